"""TLS as nginx speaks it: the same site in front of both, asked by OpenSSL and curl."""

import hashlib
import pathlib
import signal
import socket
import ssl
import subprocess

import pytest
from harness import client
from harness.load import Load
from harness.pairs import Stack, every_front, every_pair
from harness.processes import free_port, wait_until

RSA = ("-newkey", "rsa:2048")
ECDSA = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")


def certificate(machine, name, kind=RSA, label=None, more=()):
    """A certificate for a name, signed by itself; `label` is how its files are called."""
    label = label or name
    key, certificate = machine.etc / f"{label}.key", machine.etc / f"{label}.crt"
    command = ["openssl", "req", "-x509", "-nodes", "-days", "2", *kind, "-keyout", key, "-out", certificate]
    command += ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", *more]
    subprocess.run(command, check=True, capture_output=True)
    return certificate


def der(path):
    return ssl.PEM_cert_to_DER_cert(path.read_text())


def context(trusted=None):
    made = ssl.create_default_context(cafile=trusted)
    if trusted is None:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    return made


class Secure(client.Connection):
    """A connection under TLS to a port of 127.0.0.1."""

    def __init__(self, port, name="one.test", using=None, session=None):
        super().__init__(port)
        using = using or context()
        self.socket = using.wrap_socket(
            self.socket, server_hostname=name, session=session, suppress_ragged_eofs=False
        )

    def get(self, target="/", host="one.test"):
        return self.request(target=target, headers=[("Host", host)])


TWO_NAMES = """
server {{
    listen 127.0.0.1:{port} ssl;
    server_name one.test;
    ssl_certificate {etc}/one.test.crt;
    ssl_certificate_key {etc}/one.test.key;
    client_header_timeout 1s;
    ssl_session_cache shared:SSL:1m;
    location / {{
        default_type text/plain;
        return 200 "one $scheme $https $ssl_protocol $host $server_port $ssl_server_name";
    }}
    location = /away {{ return 301 /there; }}
    location /files/ {{ alias {project}/; client_max_body_size 20m; }}
}}
server {{
    listen 127.0.0.1:{port} ssl;
    server_name two.test *.two.test;
    ssl_certificate two.test.crt;
    ssl_certificate_key two.test.key;
    location / {{ return 200 "two $scheme $https $ssl_protocol $host"; }}
}}
"""


@pytest.fixture
def port(machine):
    certificate(machine, "one.test")
    certificate(machine, "two.test", ECDSA)
    chosen = free_port()
    machine.site("names", TWO_NAMES.format(port=chosen, etc=machine.etc, project=machine.project))
    return chosen


@every_front
def test_the_variables_say_https_and_how(machine, port, maker):
    machine.front(maker).ready(port)
    with Secure(port, using=context(machine.etc / "one.test.crt")) as connection:
        said = connection.get().text()
        assert said == f"one https on {connection.socket.version()} one.test {port} one.test"
        assert connection.get("/away").header("Location") == f"https://one.test:{port}/there"
    old = context()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with Secure(port, using=old) as connection:
        assert connection.get().text().split()[3] == "TLSv1.2"


@every_front
def test_the_name_in_the_hello_chooses_the_certificate_and_host_the_server(machine, port, maker):
    machine.front(maker).ready(port)
    one, two = der(machine.etc / "one.test.crt"), der(machine.etc / "two.test.crt")
    for name, right in (("one.test", one), ("two.test", two), ("a.two.test", two), ("x.test", one), (None, one)):
        with Secure(port, name) as connection:
            assert connection.socket.getpeercert(binary_form=True) == right, name
            assert connection.get(host="one.test").text().startswith("one https on")
            assert connection.get(host="b.two.test").text().startswith("two https on")


@every_front
def test_plain_http_to_the_port_is_told_so(machine, port, maker):
    machine.front(maker).ready(port)
    answer = client.get(port)
    assert answer.status == 400
    assert "<title>400 The plain HTTP request was sent to HTTPS port</title>" in answer.text()
    assert answer.header("Connection") == "close"


@every_front
def test_a_silent_client_is_let_go(machine, port, maker):
    machine.front(maker).ready(port)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as silent:
        assert silent.recv(1) == b""


@every_front
def test_nonsense_instead_of_a_handshake_hurts_nobody(machine, port, maker):
    front = machine.front(maker).ready(port)
    for nonsense in (b"\x16", b"\x16\x03\x01\x00\x05hello", b"\x80\x00" * 50, b"\x16\x03\x01\xff\xff" + b"\0" * 70000):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as rude:
            try:
                rude.sendall(nonsense)
                rude.shutdown(socket.SHUT_WR)
                while rude.recv(4096):
                    pass
            except OSError:
                pass
    with Secure(port) as connection:
        assert connection.get().status == 200
    assert front.running()
    if maker == "ours":
        assert "[error]" not in machine.error_log() and "[crit]" not in machine.error_log()


@every_front
def test_large_files_and_uploads_go_through_one_kept_connection(machine, port, maker):
    content = b"0123456789abcdef" * (1 << 16) * 9
    machine.write("big.bin", "").write_bytes(content)
    machine.front(maker).ready(port)
    with Secure(port) as connection:
        for _ in range(3):
            answer = connection.get("/files/big.bin")
            assert answer.complete and hashlib.sha256(answer.body).digest() == hashlib.sha256(content).digest()
            ranged = connection.request(
                target="/files/big.bin", headers=[("Host", "one.test"), ("Range", "bytes=70000-200000")]
            )
            assert ranged.status == 206 and ranged.body == content[70000:200001]
            assert connection.get().text().startswith("one https")


@every_front
def test_the_end_of_a_connection_is_said_under_tls(machine, port, maker):
    machine.front(maker).ready(port)
    with Secure(port) as connection:
        connection.send(b"GET / HTTP/1.0\r\nHost: one.test\r\n\r\n")
        received = b""
        # A connection that just ended would raise here.
        while piece := connection.socket.recv(4096):
            received += piece
        assert received.startswith(b"HTTP/1.1 200")


@every_front
def test_sessions_are_taken_up_again(machine, port, maker):
    machine.front(maker).ready(port)
    using = context()
    using.maximum_version = ssl.TLSVersion.TLSv1_2
    for option in (0, ssl.OP_NO_TICKET):
        using.options |= option
        with Secure(port, using=using) as first:
            first.get()
            session = first.socket.session
        with Secure(port, using=using, session=session) as second:
            assert second.socket.session_reused
            assert second.get().status == 200


@every_front
def test_a_renewed_certificate_is_used_after_a_reload_and_no_connection_ends(machine, port, maker):
    front = machine.front(maker).ready(port)
    with Secure(port) as kept:
        assert kept.get().status == 200
        old = der(machine.etc / "one.test.crt")
        certificate(machine, "one.test")
        new = der(machine.etc / "one.test.crt")
        front.send(signal.SIGHUP)

        def used():
            with Secure(port) as fresh:
                return fresh.socket.getpeercert(binary_form=True)

        wait_until(lambda: used() == new, what="the new certificate")
        assert old != new
        if maker == "ours":
            assert kept.get().text().startswith("one https")


def test_reloads_under_load_lose_no_connection(machine, port):
    front = machine.front("ours").ready(port)
    load = Load(f"https://127.0.0.1:{port}/", 4)
    for _ in range(5):
        certificate(machine, "one.test")
        front.send(signal.SIGHUP)
        with Secure(port) as connection:
            assert connection.get().status == 200
    counted = load.finish()
    assert counted.clean(), counted.report + machine.error_log()[-3000:]


REDIRECT = """
server {{
    listen 127.0.0.1:{plain};
    server_name one.test;
    return 301 https://$host:{port}$request_uri;
}}
"""


@every_front
def test_a_site_sends_plain_visitors_to_https(machine, port, maker):
    plain = free_port()
    machine.site("plain", REDIRECT.format(plain=plain, port=port))
    machine.front(maker).ready(port, plain)
    command = ["curl", "-sS", "-L", "--cacert", machine.etc / "one.test.crt", "--noproxy", "*"]
    for number in (plain, port):
        command += ["--resolve", f"one.test:{number}:127.0.0.1"]
    said = subprocess.run([*command, f"http://one.test:{plain}/x?y"], capture_output=True, text=True, timeout=30)
    assert said.stdout.startswith("one https on TLSv1.3 one.test"), said.stderr


APP = """\
import hashlib
def app(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/pieces":
        return (bytes([number % 251]) * 7919 for number in range(1000))
    said = (environ["wsgi.url_scheme"], environ.get("HTTPS"), hashlib.sha256(body).hexdigest())
    return [repr(said).encode()]
"""

APP_SITE = """
server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate one.test.crt;
    ssl_certificate_key one.test.key;
    client_max_body_size 20m;
    location / {{
        include uwsgi_params;
        uwsgi_param UWSGI_SCHEME $scheme;
        uwsgi_pass unix:{project}/app.sock;
    }}
}}
"""


@every_pair
def test_an_app_sees_https_and_the_whole_upload(machine, pair):
    certificate(machine, "one.test")
    port = free_port()
    machine.write("app.py", APP)
    machine.write(
        "app.ini",
        "[uwsgi]\nmodule = app:app\nmaster = true\nprocesses = 1\nsocket = app.sock\n"
        "chmod-socket = 666\nvacuum = true\ndie-on-term = true\n",
    )
    machine.site("app", APP_SITE.format(port=port, project=machine.project))
    stack = Stack(machine, pair)
    stack.start_app("app.ini", machine.project / "app.sock")
    stack.start_front(port)
    body = b"body" * 1_000_000
    with Secure(port) as connection:
        for _ in range(2):
            answer = connection.request("POST", "/up", [("Host", "one.test")], body)
            assert answer.text() == repr(("https", "on", hashlib.sha256(body).hexdigest()))
    with Secure(port) as connection:
        answer = connection.get("/pieces")
        assert answer.complete
        assert answer.body == b"".join(bytes([number % 251]) * 7919 for number in range(1000))


PAIR = """
server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate rsa.crt;
    ssl_certificate_key rsa.key;
    ssl_certificate ecdsa.crt;
    ssl_certificate_key ecdsa.key;
    return 200 $ssl_cipher;
}}
"""


@every_front
def test_the_client_s_ciphers_choose_between_two_kinds_of_keys(machine, maker):
    rsa = der(certificate(machine, "one.test", RSA, "rsa"))
    ecdsa = der(certificate(machine, "one.test", ECDSA, "ecdsa"))
    port = free_port()
    machine.site("pair", PAIR.format(port=port))
    machine.front(maker).ready(port)
    for cipher, right in (("ECDHE-RSA-AES128-GCM-SHA256", rsa), ("ECDHE-ECDSA-AES256-GCM-SHA384", ecdsa)):
        using = context()
        using.maximum_version = ssl.TLSVersion.TLSv1_2
        using.set_ciphers(cipher)
        with Secure(port, using=using) as connection:
            assert connection.socket.getpeercert(binary_form=True) == right
            assert connection.get().text() == cipher


VERIFYING = """
server {{
    listen 127.0.0.1:{port} ssl default_server;
    server_name open.test;
    ssl_certificate one.test.crt;
    ssl_certificate_key one.test.key;
    return 200 "open $ssl_client_verify";
}}
server {{
    listen 127.0.0.1:{port} ssl;
    server_name staff.test;
    ssl_certificate one.test.crt;
    ssl_certificate_key one.test.key;
    ssl_client_certificate staff.crt;
    ssl_verify_client on;
    return 200 "staff $ssl_client_verify";
}}
"""


def with_certificate(machine, label):
    using = context()
    using.load_cert_chain(machine.etc / f"{label}.crt", machine.etc / f"{label}.key")
    return using


@every_front
def test_a_server_that_wants_a_certificate_serves_nobody_without_one(machine, maker):
    certificate(machine, "one.test")
    certificate(machine, "staff", ECDSA)
    subprocess.run(
        ["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=me", "-keyout", machine.etc / "me.key",
         "-out", machine.etc / "me.csr"], check=True, capture_output=True)  # fmt: skip
    (machine.etc / "me.ext").write_text("basicConstraints=CA:FALSE\n")
    subprocess.run(
        ["openssl", "x509", "-req", "-in", machine.etc / "me.csr", "-CA", machine.etc / "staff.crt", "-CAkey",
         machine.etc / "staff.key", "-CAcreateserial", "-days", "2", "-extfile", machine.etc / "me.ext",
         "-out", machine.etc / "me.crt"], check=True, capture_output=True)  # fmt: skip
    port = free_port()
    machine.site("staff", VERIFYING.format(port=port))
    machine.front(maker).ready(port)
    with Secure(port, "staff.test", with_certificate(machine, "me")) as connection:
        assert connection.get(host="staff.test").text() == "staff SUCCESS"
    with Secure(port, "staff.test") as connection:
        answer = connection.get(host="staff.test")
        assert answer.status == 400 and "No required SSL certificate was sent" in answer.text()
    with Secure(port, "open.test", with_certificate(machine, "me")) as connection:
        assert connection.get(host="open.test").text() == "open NONE"
        assert connection.get(host="staff.test").status == 421
    # A stranger's certificate: nginx answers a page, we end the handshake; nobody gets in.
    with pytest.raises((AssertionError, OSError)):
        with Secure(port, "staff.test", with_certificate(machine, "one.test")) as connection:
            assert connection.get(host="staff.test").status == 200


BROKEN = """
server {{
    listen 127.0.0.1:{port} ssl;
    {lines}
}}
"""


@every_front
@pytest.mark.parametrize(
    "lines, said",
    [
        ("ssl_certificate one.test.crt; ssl_certificate_key other.key;", "key values mismatch"),
        ("ssl_certificate one.test.crt;", 'no "ssl_certificate_key" is defined for certificate "'),
        ("", 'no "ssl_certificate" is defined for the "listen ... ssl" directive in '),
        ("ssl_certificate gone.crt; ssl_certificate_key one.test.key;", 'cannot load certificate "{etc}/gone.crt": '),
        ("ssl_certificate one.test.crt; ssl_certificate_key x.key;", 'cannot load certificate key "{etc}/x.key": '),
        ("ssl_certificate one.test.key; ssl_certificate_key one.test.key;", 'cannot load certificate "'),
        ("ssl_protocols TLSv1.7;", 'invalid value "TLSv1.7" in '),
    ],
)
def test_what_is_wrong_with_a_certificate_is_said_as_nginx_says_it(machine, port, maker, lines, said):
    certificate(machine, "one.test", label="other")
    machine.site("broken", BROKEN.format(port=free_port(), lines=lines))
    code, _, printed = machine.front_says(maker, "-t")
    assert code == 1
    assert said.format(etc=machine.etc) in printed
    assert "test failed" in printed


def test_a_key_with_a_password_is_refused_with_what_to_do(machine, port):
    folder = pathlib.Path(machine.etc)
    subprocess.run(
        ["openssl", "pkey", "-in", folder / "one.test.key", "-aes128", "-passout", "pass:x", "-out", folder / "locked.key"],
        check=True, capture_output=True)  # fmt: skip
    lines = "ssl_certificate one.test.crt; ssl_certificate_key locked.key;"
    machine.site("broken", BROKEN.format(port=free_port(), lines=lines))
    code, _, printed = machine.front_says("ours", "-t")
    assert code == 1 and "it is encrypted in" in printed and "openssl pkey" in printed


def test_every_kind_of_key_file_is_read(machine, port):
    folder = machine.etc
    convert = ["openssl", "rsa", "-traditional", "-in", folder / "one.test.key", "-out", folder / "pkcs1.key"]
    subprocess.run(convert, check=True, capture_output=True)
    convert = ["openssl", "ec", "-in", folder / "two.test.key", "-out", folder / "sec1.key"]
    subprocess.run(convert, check=True, capture_output=True)
    for certificate_name, key in (("one.test", "pkcs1"), ("two.test", "sec1")):
        lines = f"ssl_certificate {certificate_name}.crt; ssl_certificate_key {key}.key;"
        machine.site("kinds", BROKEN.format(port=free_port(), lines=lines))
        code, _, printed = machine.front_says("ours", "-t")
        assert code == 0, printed


MORE = """
server {{
    listen 127.0.0.1:{port};
    ssl on;
    ssl_certificate one.test.crt;
    ssl_certificate_key one.test.key;
    error_page 497 https://$host:$server_port$request_uri;
    return 200 "default $https";
}}
server {{
    listen 127.0.0.1:{port};
    ssl on;
    server_name no.test;
    ssl_reject_handshake on;
}}
server {{
    listen unix:{run}/tls.sock ssl;
    ssl_certificate one.test.crt;
    ssl_certificate_key one.test.key;
    return 200 "unix $https";
}}
"""


@every_front
def test_the_old_way_to_say_ssl_a_redirect_for_plain_http_and_a_name_that_is_rejected(machine, maker):
    certificate(machine, "one.test")
    port = free_port()
    machine.site("more", MORE.format(port=port, run=machine.run))
    machine.front(maker).ready(port, machine.run / "tls.sock")
    answer = client.get(port, "/a?b")
    assert answer.status == 302 and answer.header("Location") == f"https://localhost:{port}/a?b"
    with Secure(port) as connection:
        assert connection.get().text() == "default on"
    with pytest.raises(ssl.SSLError, match="(?i)unrecognized.name"):
        Secure(port, "no.test")
    command = ["curl", "-sSk", "--unix-socket", machine.run / "tls.sock", "https://one.test/"]
    assert subprocess.run(command, capture_output=True, text=True, timeout=30).stdout == "unix on"


@every_front
def test_a_client_that_only_speaks_http2_or_old_tls_is_refused_without_harm(machine, port, maker):
    machine.front(maker).ready(port)
    only_h2 = context()
    only_h2.set_alpn_protocols(["h2"])
    with pytest.raises(OSError):
        Secure(port, using=only_h2)
    both = context()
    both.set_alpn_protocols(["h2", "http/1.1"])
    with Secure(port, using=both) as connection:
        assert connection.socket.selected_alpn_protocol() == "http/1.1"
        assert connection.get().status == 200
