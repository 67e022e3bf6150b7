"""Upstreams under TLS: nginx calls another nginx, and we call the same one. Same answers, same refusals."""

import hashlib
import re
import socket
import ssl
import subprocess
import threading
import time

import pytest
from harness import client, peers
from harness.pairs import every_front
from harness.processes import free_port, wait_until

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


class Authority:
    """Signs certificates; everything it makes lies in one folder."""

    def __init__(self, folder, name, issuer=None):
        self.folder, self.name = folder, name
        key, certificate = folder / f"{name}.key", folder / f"{name}.crt"
        may_sign = "basicConstraints=critical,CA:TRUE"
        if issuer is None:
            openssl("req", "-x509", *KEY, "-days", 9, "-keyout", key, "-out", certificate, "-subj", f"/CN={name}", "-addext", may_sign)
        else:
            issuer.sign(name, may_sign)
        (folder / f"{name}.index").touch()
        (folder / f"{name}.number").write_text("01\n")
        (folder / f"{name}.cnf").write_text(
            f"[ca]\ndefault_ca = own\n[own]\ndatabase = {folder}/{name}.index\nnew_certs_dir = {folder}\n"
            f"crlnumber = {folder}/{name}.number\n"
            f"certificate = {certificate}\nprivate_key = {key}\ndefault_md = sha256\nrand_serial = yes\n"
            "policy = any\ndefault_crl_days = 2\nunique_subject = no\n[any]\ncommonName = supplied\n"
        )

    def sign(self, label, extension, name=None, dates=("20200101000000Z", "20990101000000Z")):
        """A certificate for `name`."""
        key, request, out = (self.folder / f"{label}.{kind}" for kind in ("key", "csr", "crt"))
        openssl("req", *KEY, "-keyout", key, "-out", request, "-subj", f"/CN={name or label}")
        extensions = self.folder / f"{label}.ext"
        extensions.write_text(extension + "\n")
        openssl(
            "ca", "-batch", "-notext", "-config", self.folder / f"{self.name}.cnf", "-in", request, "-out", out,
            "-startdate", dates[0], "-enddate", dates[1], "-extfile", extensions,
        )  # fmt: skip
        return out

    def server(self, label, name=None, **more):
        return self.sign(label, f"subjectAltName=DNS:{name or label}", name, **more)

    def list(self, label, *revoked):
        """A revocation list."""
        config = self.folder / f"{self.name}.cnf"
        for certificate in revoked:
            openssl("ca", "-config", config, "-revoke", certificate)
        openssl("ca", "-config", config, "-gencrl", "-out", self.folder / f"{label}.crl")


ORIGIN = """
worker_processes 1;
pid {run}/origin.pid;
error_log {log}/origin.log info;
events {{ }}
http {{
    access_log {log}/origin-access.log;
    client_body_temp_path {lib}/origin-body;
    proxy_temp_path {lib}/origin-proxy;
    fastcgi_temp_path {lib}/o1; uwsgi_temp_path {lib}/o2; scgi_temp_path {lib}/o3;
    client_max_body_size 0;
    # nginx as the client takes up a session in any location that calls the same peer, whatever that
    # location tells or verifies: there are sessions only where they are looked at.
    ssl_session_cache off;
    ssl_session_tickets off;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_certificate {etc}/one.test.crt;
    ssl_certificate_key {etc}/one.test.key;
    server {{
        listen 127.0.0.1:{plain};
        client_body_in_single_buffer on;
        client_body_buffer_size 32m;
        location / {{ return 200 "plain"; }}
        location = /hash {{ proxy_pass http://127.0.0.1:{hash}; }}
    }}
    server {{
        listen 127.0.0.1:{tls} ssl;
        listen unix:{run}/origin.sock ssl;
        location / {{
            return 200 "$ssl_server_name|$http_host|$http_x_forwarded_proto|$ssl_protocol|$request_uri";
        }}
        location /connection {{ return 200 "$connection $connection_requests $ssl_session_reused"; }}
        location /away {{ return 302 https://$http_host/there; }}
        location /files/ {{ alias {project}/; }}
        location /hash {{ proxy_pass http://127.0.0.1:{hash}; proxy_request_buffering off; proxy_http_version 1.1; }}
    }}
    server {{ listen 127.0.0.1:{expired} ssl; ssl_certificate {etc}/expired.crt; ssl_certificate_key {etc}/expired.key; return 200 hidden; }}
    server {{ listen 127.0.0.1:{revoked} ssl; ssl_certificate {etc}/revoked.crt; ssl_certificate_key {etc}/revoked.key; return 200 hidden; }}
    server {{ listen 127.0.0.1:{deep} ssl; ssl_certificate {etc}/deep-chain.crt; ssl_certificate_key {etc}/deep.key; return 200 deep; }}
    server {{ listen 127.0.0.1:{own} ssl; ssl_certificate {etc}/own.crt; ssl_certificate_key {etc}/own.key; return 200 own; }}
    server {{
        listen 127.0.0.1:{client} ssl;
        ssl_client_certificate {etc}/ca.crt;
        ssl_verify_client on;
        return 200 "$ssl_client_verify $ssl_client_s_dn";
    }}
    server {{
        listen 127.0.0.1:{sessions} ssl;
        ssl_session_cache shared:all:1m;
        ssl_session_tickets on;
        return 200 "$connection $connection_requests $ssl_session_reused";
    }}
    server {{ listen 127.0.0.1:{old} ssl; ssl_protocols TLSv1.2; return 200 "$ssl_protocol $ssl_cipher"; }}
    server {{ listen 127.0.0.1:{brief} ssl; keepalive_timeout 1s; return 200 "$connection"; }}
    server {{ listen 127.0.0.1:{new} ssl; ssl_protocols TLSv1.3; return 200 "$ssl_protocol"; }}
}}
"""

SITE = """
upstream one.test {{ server 127.0.0.1:{tls}; }}
upstream kept.test {{ server 127.0.0.1:{tls}; keepalive 8; }}
upstream brief {{ server 127.0.0.1:{brief}; keepalive 8; }}
upstream again {{ server 127.0.0.1:{plain} max_fails=0; server 127.0.0.1:{tls} max_fails=0; }}
upstream closes-first {{ server 127.0.0.1:{closing} max_fails=0; server 127.0.0.1:{tls} max_fails=0; }}
upstream strangers-first {{ server 127.0.0.1:{own} max_fails=0; server 127.0.0.1:{tls} max_fails=0; }}
server {{
    listen 127.0.0.1:{port};
    client_max_body_size 0;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    set $to 127.0.0.1:{tls};
    set $how https;
    location /default/ {{ proxy_pass https://127.0.0.1:{tls}/; }}
    location /named/ {{ proxy_pass https://one.test/; proxy_ssl_server_name on; }}
    location /unnamed/ {{ proxy_pass https://one.test/; }}
    location /number/ {{ proxy_pass https://127.0.0.1:{tls}/; proxy_ssl_server_name on; }}
    location /told/ {{ proxy_pass https://one.test/; proxy_ssl_server_name on; proxy_ssl_name two.test; }}
    location /asked/ {{ proxy_pass https://one.test/; proxy_ssl_server_name on; proxy_ssl_name $arg_name; }}
    location /host/ {{ proxy_pass https://one.test/; proxy_ssl_server_name on; proxy_ssl_name $http_host; proxy_set_header Host $http_host; }}
    location /variable/ {{ proxy_pass https://$to; proxy_ssl_server_name on; proxy_ssl_name three.test; }}
    location /scheme/ {{ proxy_pass $how://one.test; proxy_ssl_server_name on; }}
    location /path/ {{ proxy_pass https://unix:{run}/origin.sock:/; }}
    location /away/ {{ proxy_pass https://127.0.0.1:{tls}/away/; }}
    location /files/ {{ proxy_pass https://one.test; }}
    location /hash {{ proxy_pass https://one.test; }}
    location /unbuffered/hash {{ proxy_pass https://one.test/hash; proxy_request_buffering off; proxy_buffering off; }}
    location /kept/ {{
        proxy_pass https://kept.test/connection;
        location /kept/name/ {{ proxy_pass https://kept.test/connection; proxy_ssl_name two.test; }}
        location /kept/asked/ {{ proxy_pass https://kept.test/connection; proxy_ssl_name $arg_name; }}
    }}
    location /once/ {{ proxy_pass https://127.0.0.1:{sessions}/; }}
    location /fresh/ {{ proxy_pass https://127.0.0.1:{sessions}/; proxy_ssl_session_reuse off; }}
    location /once-old/ {{ proxy_pass https://127.0.0.1:{sessions}/; proxy_ssl_protocols TLSv1.2; }}

    location /trusted/ {{
        proxy_ssl_verify on;
        proxy_ssl_trusted_certificate {etc}/ca.crt;
        proxy_pass https://one.test/;
        location /trusted/kept/ {{ proxy_pass https://kept.test/connection; proxy_ssl_name one.test; }}
        location /trusted/wrong-name/ {{ proxy_pass https://one.test/; proxy_ssl_name two.test; }}
        location /trusted/wrong-authority/ {{ proxy_pass https://one.test/; proxy_ssl_trusted_certificate {etc}/other.crt; }}
        location /trusted/again/ {{ proxy_pass https://one.test/; }}
        location /trusted/expired/ {{ proxy_pass https://127.0.0.1:{expired}/; proxy_ssl_name expired; }}
        location /trusted/self/ {{ proxy_pass https://127.0.0.1:{own}/; proxy_ssl_name own; }}
        location /trusted/strangers/ {{ proxy_pass https://strangers-first/; proxy_ssl_name one.test; }}
        location /trusted/revoked/ {{ proxy_pass https://127.0.0.1:{revoked}/; proxy_ssl_name revoked; proxy_ssl_crl {etc}/ca.crl; }}
        location /trusted/listed/ {{ proxy_pass https://one.test/; proxy_ssl_crl {etc}/ca.crl; }}
        location /trusted/unlisted/ {{ proxy_pass https://127.0.0.1:{revoked}/; proxy_ssl_name revoked; }}
        location /trusted/deep/ {{ proxy_pass https://127.0.0.1:{deep}/; proxy_ssl_name deep; }}
        location /trusted/deep-enough/ {{ proxy_pass https://127.0.0.1:{deep}/; proxy_ssl_name deep; proxy_ssl_verify_depth 2; }}
    }}
    location /own/ {{
        proxy_pass https://127.0.0.1:{own}/;
        proxy_ssl_verify on; proxy_ssl_trusted_certificate {etc}/own.crt; proxy_ssl_name own;
    }}
    location /nobody/ {{ proxy_pass https://127.0.0.1:{client}/; }}
    location /somebody/ {{
        proxy_pass https://127.0.0.1:{client}/;
        proxy_ssl_certificate {etc}/me.crt; proxy_ssl_certificate_key {etc}/me.key;
    }}
    location /packets/ {{
        uwsgi_pass suwsgi://127.0.0.1:{packets};
        uwsgi_param REQUEST_URI $request_uri;
        uwsgi_ssl_server_name on; uwsgi_ssl_name packets.test;
        uwsgi_ssl_verify on; uwsgi_ssl_trusted_certificate {etc}/ca.crt;
        location /packets/right/ {{ uwsgi_pass suwsgi://127.0.0.1:{packets}; uwsgi_param REQUEST_URI $request_uri; uwsgi_ssl_name one.test; }}
    }}
    location /old/ {{ proxy_pass https://127.0.0.1:{old}/; }}
    location /old-chosen/ {{ proxy_pass https://127.0.0.1:{old}/; proxy_ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256; }}
    location /brief/ {{ proxy_pass https://brief/; }}
    location /too-new/ {{ proxy_pass https://127.0.0.1:{new}/; proxy_ssl_protocols TLSv1.2; }}
    location /plain/ {{ proxy_pass https://127.0.0.1:{plain}/; }}
    location /closing/ {{ proxy_pass https://127.0.0.1:{closing}/; }}
    location /silent/ {{ proxy_pass https://127.0.0.1:{silent}/; proxy_connect_timeout 1s; }}
    location /again/ {{ proxy_pass https://again/; }}
    location /again/never/ {{ proxy_pass https://again/; proxy_next_upstream off; }}
    location /closes-first/ {{ proxy_pass https://closes-first/; }}
}}
"""


class Ending:
    """A peer that takes connections and ends them after the first bytes; or never says a word."""

    def __init__(self, silent=False):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.silent, self.held = silent, []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.held.append(connection)
            if not self.silent:
                connection.recv(4096)
                connection.close()

    def close(self):
        self.listener.close()
        for connection in self.held:
            connection.close()


class Packets:
    """An app behind uwsgi under TLS: answers with the name it was called by and the variables it got."""

    def __init__(self, folder):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(folder / "one.test.crt", folder / "one.test.key")
        self.context.sni_callback = self.named
        self.name = None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def named(self, _socket, name, _context):
        self.name = name

    def run(self):
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            try:
                with self.context.wrap_socket(plain, server_side=True) as connection:
                    self.serve(connection)
            except OSError:
                # Whoever does not like the certificate goes away.
                pass

    def serve(self, connection):
        length = int.from_bytes(connection.recv(4)[1:3], "little")
        variables = b""
        while len(variables) < length:
            variables += connection.recv(length)
        name = str(self.name).encode()
        connection.sendall(b"Status: 200 OK\r\nX-Name: %s\r\n\r\n%s" % (name, variables))
        connection.unwrap()

    def close(self):
        self.listener.close()


HASH = """
import hashlib, http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        left, digest = int(self.headers.get("Content-Length") or 0), hashlib.sha256()
        if self.headers.get("Transfer-Encoding"):
            while size := int(self.rfile.readline(), 16):
                digest.update(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
        while left:
            piece = self.rfile.read(min(left, 65536))
            digest.update(piece)
            left -= len(piece)
        body = digest.hexdigest().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def make_certificates(folder):
    authority = Authority(folder, "ca")
    Authority(folder, "other")
    between = Authority(folder, "between", Authority(folder, "middle", authority))
    authority.server("one.test")
    authority.server("expired", dates=("20200101000000Z", "20200201000000Z"))
    revoked = authority.server("revoked")
    between.server("deep")
    chain = [(folder / f"{name}.crt").read_text() for name in ("deep", "between", "middle")]
    (folder / "deep-chain.crt").write_text("".join(chain))
    openssl("req", "-x509", *KEY, "-days", 2, "-keyout", folder / "own.key", "-out", folder / "own.crt",
            "-subj", "/CN=own", "-addext", "subjectAltName=DNS:own")  # fmt: skip
    authority.sign("me", "extendedKeyUsage=clientAuth")
    authority.list("ca", revoked)


@pytest.fixture
def ports(machine):
    """The origin is up, the site of the proxy is written."""
    make_certificates(machine.etc)
    names = ("port", "plain", "tls", "hash", "expired", "revoked", "deep", "own", "client", "old", "new", "sessions", "brief")
    ports = {name: free_port() for name in names}
    closing, silent, packets = Ending(), Ending(silent=True), Packets(machine.etc)
    ports.update(closing=closing.port, silent=silent.port, packets=packets.port)
    places = {name: getattr(machine, name) for name in ("etc", "run", "log", "lib", "project")}
    machine.start(["python3", "-c", HASH, str(ports["hash"])], name="hash").ready(ports["hash"])
    conf = machine.etc / "origin.conf"
    conf.write_text(ORIGIN.format(**ports, **places))
    command = [peers.NGINX, "-c", str(conf), "-e", str(machine.log / "origin.log"), "-g", "daemon off;"]
    machine.start(command, name="origin", cwd="/").ready(ports["plain"], ports["tls"], ports["new"])
    machine.run.chmod(0o777)
    wait_until(lambda: (machine.run / "origin.sock").exists())
    (machine.run / "origin.sock").chmod(0o777)
    machine.site("calls", SITE.format(**ports, **places))
    yield ports
    for peer in (closing, silent, packets):
        peer.close()


def said(ports, target, host="localhost"):
    answer = client.get(ports["port"], target, host)
    return answer.text() if answer.status == 200 else answer.status


@every_front
def test_the_origin_hears_the_name_and_the_host_that_nginx_tells(machine, ports, maker):
    machine.front(maker).ready(ports["port"])
    there = f"127.0.0.1:{ports['tls']}"
    # The newest that nginx 1.22 offers without a word about it.
    version = "TLSv1.2" if maker == "original" else "TLSv1.3"
    assert said(ports, "/default/x?y") == f"|{there}||{version}|/x?y"
    assert said(ports, "/number/") == f"|{there}||{version}|/"
    assert said(ports, "/named/") == f"one.test|one.test||{version}|/"
    assert said(ports, "/unnamed/") == f"|one.test||{version}|/"
    assert said(ports, "/told/") == f"two.test|one.test||{version}|/"
    assert said(ports, "/asked/?name=a.test") == f"a.test|one.test||{version}|/?name=a.test"
    assert said(ports, "/asked/?name=b.test:81") == f"b.test|one.test||{version}|/?name=b.test:81"
    assert said(ports, "/host/", "c.test:99") == f"c.test|c.test:99||{version}|/"
    assert said(ports, "/variable/z") == f"three.test|{there}||{version}|/variable/z"
    assert said(ports, "/scheme/z") == f"one.test|one.test||{version}|/scheme/z"
    assert said(ports, "/path/z") == f"|localhost||{version}|/z"
    answer = client.request(ports["port"], target="/named/", headers=[("X-Forwarded-Proto", "ftp")])
    assert answer.text().split("|")[2] == "ftp"
    away = client.get(ports["port"], "/away/").header("Location")
    assert away in (f"http://localhost:{ports['port']}/there", f"https://{there}/there")


@every_front
def test_a_verified_origin_answers_and_any_other_is_a_bad_gateway(machine, ports, maker):
    machine.front(maker).ready(ports["port"])
    log = machine.error_log

    def refused(target, *texts):
        before = len(log())
        assert said(ports, target) == 502, target
        line = wait_until(lambda: re.search(r"\[error\].*SSL.*", log()[before:]), 5, target).group()
        for text in (*texts, "while SSL handshaking to upstream", 'upstream: "https://127.0.0.1:'):
            assert text in line, (text, line)

    assert said(ports, "/trusted/").startswith("|one.test|")
    refused("/trusted/wrong-name/", 'upstream SSL certificate does not match "two.test"')
    refused("/trusted/wrong-authority/", "upstream SSL certificate verify error: (2", ":unable to ")
    assert said(ports, "/trusted/again/").startswith("|one.test|")
    refused("/trusted/expired/", "upstream SSL certificate verify error: (10:certificate has expired)")
    refused("/trusted/self/", "upstream SSL certificate verify error: (")
    refused("/trusted/revoked/", "upstream SSL certificate verify error: (23:certificate revoked)")
    assert said(ports, "/trusted/listed/").startswith("|one.test|")
    assert said(ports, "/trusted/unlisted/") == "hidden"
    refused("/trusted/deep/", "upstream SSL certificate verify error: (2")
    assert said(ports, "/trusted/deep-enough/") == "deep"
    assert said(ports, "/own/") == "own"
    # Whoever asks for no verification gets none.
    assert said(ports, "/old/").startswith("TLSv1.2 ")


@every_front
def test_a_certificate_is_shown_to_an_origin_that_wants_one(machine, ports, maker):
    machine.front(maker).ready(ports["port"])
    # The origin closes behind its answer, and the reset that meets what is still being sent can overtake it.
    refusals = []
    wait_until(lambda: refusals.append(said(ports, "/nobody/")) or 400 in refusals, what="the origin's own answer")
    assert set(refusals) <= {400, 502}
    assert said(ports, "/somebody/") == "SUCCESS CN=me"


@every_front
def test_versions_and_ciphers_are_those_of_the_configuration(machine, ports, maker):
    machine.front(maker).ready(ports["port"])
    assert said(ports, "/old/").startswith("TLSv1.2 ECDHE-ECDSA-")
    assert said(ports, "/old-chosen/") == "TLSv1.2 ECDHE-ECDSA-AES128-GCM-SHA256"
    assert said(ports, "/too-new/") == 502
    assert "SSL_do_handshake() failed (SSL: " in machine.error_log()


@every_front
def test_handshakes_that_fail_are_told_and_another_peer_is_asked(machine, ports, maker):
    machine.front(maker).ready(ports["port"])
    assert said(ports, "/plain/") == 502
    assert re.search(r"SSL_do_handshake\(\) failed \(SSL: .*wrong version number.* while SSL handshaking to upstream",
                     machine.error_log())  # fmt: skip
    assert said(ports, "/closing/") == 502
    assert "peer closed connection in SSL handshake" in machine.error_log()
    assert said(ports, "/silent/") == 504
    assert "upstream timed out (110: Connection timed out) while SSL handshaking to upstream" in machine.error_log()
    for target in ("/again/", "/closes-first/", "/trusted/strangers/"):
        for _ in range(4):
            assert "|/" in said(ports, target), target
    post = client.request(ports["port"], "POST", "/again/", body=b"x" * 1000)
    assert post.status == 200
    never = {said(ports, "/again/never/") for _ in range(4)}
    assert 502 in never and len(never) == 2


@every_front
def test_one_handshake_serves_many_requests_of_the_same_kind_and_no_other(machine, ports, maker):
    machine.front(maker).ready(ports["port"])
    with client.Connection(ports["port"]) as browser:

        def connection(target, used=1):
            number, requests, _ = browser.request(target=target).text().split()
            assert int(requests) == used, (target, requests)
            return number

        first = connection("/kept/")
        assert [connection("/kept/", used) for used in (2, 3)] == [first, first]
        if maker == "original":
            # nginx keeps one pool for all of them: whoever comes next gets the connection.
            return
        others = ["/kept/name/", "/kept/asked/?name=a.test", "/kept/asked/?name=b.test", "/trusted/kept/"]
        numbers = [connection(target) for target in others]
        assert len({first, *numbers}) == 5
        assert [connection(target, 2) for target in others] == numbers
        assert connection("/kept/", 4) == first
        # The same name and rules from another location is the same kind.
        assert connection("/kept/asked/?name=two.test", 3) == numbers[0]


@every_front
def test_a_kept_connection_that_the_origin_has_ended_is_not_used(machine, ports, maker):
    machine.front(maker).ready(ports["port"])
    with client.Connection(ports["port"]) as browser:
        seen = []
        for pause in (0, 0, 1.5):
            time.sleep(pause)
            answer = browser.request("POST", "/brief/", body=b"not to be repeated")
            assert answer.status == 200
            seen.append(answer.text())
    assert seen[0] == seen[1] != seen[2]


@every_front
def test_sessions_are_taken_up_again_unless_that_is_off(machine, ports, maker):
    machine.front(maker).ready(ports["port"])
    with client.Connection(ports["port"]) as browser:

        def resumed(target):
            return browser.request(target=target).text().split()[2]

        for target in ("/once/", "/once-old/"):
            seen = [resumed(target) for _ in range(4)]
            # nginx takes up a session of the first location in the second.
            assert seen[0] == "." or maker == "original"
            assert set(seen[1:]) == {"r"}, (target, seen)
        assert {resumed("/fresh/") for _ in range(4)} == {"."}


@every_front
def test_large_bodies_go_both_ways(machine, ports, maker):
    machine.front(maker).ready(ports["port"])
    content = hashlib.sha256(b"seed").digest() * (12 << 15)
    (machine.project / "large.bin").write_bytes(content)
    answer = client.get(ports["port"], "/files/large.bin")
    assert answer.status == 200 and answer.complete and answer.body == content
    part = client.request(ports["port"], target="/files/large.bin", headers=[("Range", "bytes=100-199")])
    assert part.status == 206 and part.body == content[100:200]
    for target in ("/hash", "/unbuffered/hash"):
        with client.Connection(ports["port"]) as browser:
            for size in (len(content), 10, 70000):
                answer = browser.request("POST", target, body=content[:size])
                assert answer.text() == hashlib.sha256(content[:size]).hexdigest(), (target, size)
            pieces = b"".join(b"%x\r\n%s\r\n" % (100000, content[at : at + 100000]) for at in range(0, 1000000, 100000))
            answer = browser.request(
                "POST", target, headers=[("Transfer-Encoding", "chunked")], body=pieces + b"0\r\n\r\n"
            )
            assert answer.text() == hashlib.sha256(content[:1000000]).hexdigest(), target


@every_front
def test_uwsgi_packets_go_under_tls(machine, ports, maker):
    machine.front(maker).ready(ports["port"])
    answer = client.get(ports["port"], "/packets/right/x?y")
    assert answer.status == 200 and "/packets/right/x?y" in answer.text()
    assert answer.header("X-Name") == "one.test"
    assert said(ports, "/packets/") == 502
    assert 'upstream SSL certificate does not match "packets.test"' in machine.error_log()
    assert f'upstream: "suwsgi://127.0.0.1:{ports["packets"]}"' in machine.error_log()


@every_front
def test_a_reload_lets_nobody_use_a_connection_of_the_rules_before(machine, ports, maker):
    front = machine.front(maker).ready(ports["port"])
    assert said(ports, "/unnamed/").startswith("|one.test|")
    site = machine.etc / "sites-available" / "calls"
    site.write_text(site.read_text().replace(f"{machine.etc}/ca.crt", f"{machine.etc}/other.crt"))
    assert said(ports, "/trusted/").startswith("|one.test|")
    code, _, error = machine.front_says(maker, "-s", "reload")
    assert code == 0, error
    wait_until(lambda: said(ports, "/trusted/") == 502, 10, "the new authority")
    assert front.running()


@every_front
def test_what_cannot_be_meant_is_refused_and_where(machine, ports, maker):
    def wrong(lines):
        machine.site("wrong", f"server {{ listen 127.0.0.1:{ports['port']}; location / {{\n{lines}\n}} }}\n")
        code, _, error = machine.front_says(maker, "-t")
        assert code == 1, lines
        return error

    call = "proxy_pass https://127.0.0.1:1;"
    assert "no proxy_ssl_trusted_certificate for proxy_ssl_verify" in wrong(call + "proxy_ssl_verify on;")
    said = wrong(call + "proxy_ssl_certificate own.crt;")
    assert 'no "proxy_ssl_certificate_key" is defined for certificate "' in said
    assert 'invalid value "TLSv9"' in wrong(call + "proxy_ssl_protocols TLSv9;")
    assert '"proxy_ssl_verify" directive is duplicate' in wrong("proxy_ssl_verify on; proxy_ssl_verify on;" + call)
    said = wrong(call + "proxy_ssl_verify on;\nproxy_ssl_trusted_certificate nothing.crt;")
    assert "nothing.crt" in said
    said = wrong(call + "\nproxy_ssl_certificate me.crt; proxy_ssl_certificate_key own.key;")
    assert "key values mismatch" in said
    if maker == "ours":
        assert "sites-enabled/wrong:3" in said


def test_nobody_is_trusted_without_a_word_about_it(machine, ports):
    code, _, error = machine.front_says("ours", "-t")
    assert code == 0
    warned = [line for line in error.splitlines() if "is not verified" in line]
    assert any('"one.test" is not verified: write "proxy_ssl_verify on"' in line for line in warned), error
    assert all("[warn]" in line for line in warned) and len(warned) == len(set(warned))
    machine.site("calls", f"server {{ listen 127.0.0.1:{ports['port']}; proxy_ssl_verify off; "
                          f"location / {{ proxy_pass https://127.0.0.1:{ports['tls']}; }} }}\n")  # fmt: skip
    assert "is not verified" not in machine.front_says("ours", "-t")[2]
