"""What comes back on a worker's own sockets, good bytes and bad."""

import os
import pathlib
import pwd
import random
import re
import resource
import socket
import struct

import pytest

from worker.driver import seconds


def talk(address, *pieces, half_close=False):
    """Sends the pieces and returns everything until the end of the connection."""
    with socket.create_connection(address, timeout=10) as connection:
        for piece in pieces:
            connection.sendall(piece)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        data = b""
        try:
            while piece := connection.recv(65536):
                data += piece
        except ConnectionResetError:
            data += b"<reset>"
        return data


def get(path, head=""):
    return f"GET {path} HTTP/1.1\r\nHost: test\r\n{head}Connection: close\r\n\r\n".encode()


def post(body, head=""):
    length = f"Content-Length: {len(body)}\r\n"
    return f"POST /echo HTTP/1.1\r\nHost: test\r\n{length}{head}Connection: close\r\n\r\n".encode() + body


def packet(modifier1=0, **variables):
    coded = b"".join(
        struct.pack("<H", len(k)) + k.encode() + struct.pack("<H", len(v)) + v.encode()
        for k, v in variables.items()
    )
    return struct.pack("<BHB", modifier1, len(coded), 0) + coded


def ask(path="/", method="GET", **more):
    return packet(
        REQUEST_METHOD=method, REQUEST_URI=path, PATH_INFO=path.partition("?")[0],
        QUERY_STRING=path.partition("?")[2], SERVER_PROTOCOL="HTTP/1.1", SERVER_NAME="test",
        SERVER_PORT="80", **more,
    )


def status(answer):
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.") else None


@pytest.mark.parametrize("threads", [1, 3])
def test_bodies_of_every_size_and_coding_reach_the_app_whole(start, threads):
    master = start(threads=threads, limits={"body_memory_bytes_max": 1000})
    for size in (0, 1, 999, 1000, 1001, 70_000, 2_000_000):
        body = random.Random(size).randbytes(size)
        assert talk(master.address, post(body)).endswith(b"\r\n\r\n" + body)
        chunks = b"".join(
            b"%x\r\n%s\r\n" % (len(piece), piece)
            for piece in (body[at : at + 777] for at in range(0, size, 777))
        )
        head = b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        assert talk(master.address, head, chunks, b"0\r\n\r\n").endswith(b"\r\n\r\n" + body)


def test_a_request_in_single_bytes_is_the_same_request(start):
    master = start()
    request = post(b"body", "X-Long: " + "y" * 50 + "\r\n")
    assert talk(master.address, *(bytes([byte]) for byte in request)).endswith(b"\r\n\r\nbody")


def test_expect_is_answered_before_the_body_is_sent(start):
    master = start()
    head, _, body = post(b"body", "Expect: 100-continue\r\n").partition(b"\r\n\r\n")
    with socket.create_connection(master.address, timeout=10) as connection:
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK")


def test_generators_go_out_in_chunks_and_a_cut_one_has_no_last_chunk(start):
    master = start()
    whole = talk(master.address, get("/items"))
    assert whole.endswith(b"7\r\nitem 0\n\r\n7\r\nitem 1\n\r\n7\r\nitem 2\n\r\n0\r\n\r\n")
    cut = talk(master.address, get("/broken"))
    assert b"5\r\nbegun\r\n" in cut and not cut.endswith(b"0\r\n\r\n")
    old = talk(master.address, b"GET /items HTTP/1.0\r\n\r\n")
    assert old.endswith(b"\r\n\r\nitem 0\nitem 1\nitem 2\n") and b"chunked" not in old


def test_head_and_pipelining(start):
    master = start()
    head = talk(master.address, b"HEAD / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
    assert b"Content-Length: 5\r\n" in head and head.endswith(b"\r\n\r\n")
    many = b"GET / HTTP/1.1\r\nHost: t\r\n\r\n" * 100 + get("/")
    assert talk(master.address, many).count(b"HTTP/1.1 200 OK") == 101


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"y" * 70_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n" + b"x" * 4095 + b"\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50 + b"\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ],
)  # fmt: skip
def test_bad_requests_get_a_status_and_the_connection_ends(start, request_bytes, expected):
    master = start(limits={"body_bytes_max": 4000})
    answer = talk(master.address, request_bytes)
    assert status(answer) == expected or (expected == 505 and status(answer) == 400)
    assert len(re.findall(rb"HTTP/1.1 \d", answer)) == 1 and b"Connection: close" in answer


def test_a_refused_upload_is_answered_although_the_client_goes_on_sending(start):
    master = start(limits={"body_bytes_max": 1000})
    assert status(talk(master.address, post(b"x" * 60_000))) == 413


def test_uwsgi_packets_are_answered_and_the_connection_ends(start):
    master = start(uwsgi=1)
    plain = talk(master.uwsgi_address, ask())
    assert plain == b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
    body = b"z" * 200_000
    echoed = talk(master.uwsgi_address, ask("/echo", "POST", CONTENT_LENGTH=str(len(body))), body)
    assert echoed.endswith(b"\r\n\r\n" + body)
    split = ask("/echo", "POST", CONTENT_LENGTH="4") + b"body"
    assert talk(master.uwsgi_address, *(bytes([byte]) for byte in split)).endswith(b"\r\n\r\nbody")
    assert talk(master.uwsgi_address, ask("/items")).endswith(b"\r\n\r\nitem 0\nitem 1\nitem 2\n")
    assert talk(master.uwsgi_address, ask("/broken")).endswith(b"<reset>")


@pytest.mark.parametrize(
    ("bytes_sent", "expected", "logged"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "not HTTP"),
        (packet(modifier1=5, A="b"), 400, "unavailable modifier requested: 5"),
        (b"\x00\x06\x00\x00\xff\xffabcd", 400, "invalid uwsgi packet"),
        (ask(CONTENT_LENGTH="-1"), 400, "CONTENT_LENGTH"),
        (ask(CONTENT_LENGTH="99999"), 413, "too big"),
        (struct.pack("<BHB", 0, 60000, 0), 431, "invalid request block size: 60000 (max 50000)"),
    ],
)
def test_bad_packets_are_answered_and_logged(start, bytes_sent, expected, logged):
    master = start(uwsgi=1, limits={"body_bytes_max": 4000, "head_bytes_max": 50000})
    assert status(talk(master.uwsgi_address, bytes_sent)) == expected
    master.log_says(logged)
    assert talk(master.uwsgi_address, ask()).endswith(b"hello")


def test_random_bytes_never_end_a_worker(start):
    master = start(uwsgi=1, limits={"socket_timeout": seconds(1)})
    dice = random.Random(7)
    good = [get("/"), post(b"body"), ask(), ask("/echo", "POST", CONTENT_LENGTH="4") + b"body"]
    for _ in range(300):
        mangled = bytearray(dice.choice(good))
        for _ in range(dice.randrange(1, 6)):
            mangled[dice.randrange(len(mangled))] = dice.randrange(256)
        address = dice.choice([master.address, master.uwsgi_address])
        talk(address, bytes(mangled[: dice.randrange(1, len(mangled) + 1)]), half_close=True)
    assert talk(master.address, get("/pid")).endswith(str(master.workers[0].pid).encode())


def test_static_files_are_served_without_the_app_and_nothing_above_them(start, tmp_path):
    files = tmp_path / "files"
    files.mkdir()
    (files / "style.css").write_bytes(b"p {}" * 100_000)
    (tmp_path / "secret").write_text("secret")
    (files / "out").symlink_to(tmp_path / "secret")
    master = start(uwsgi=1, static_maps=[{"prefix": "/static", "path": str(files)}])
    answer = talk(master.address, get("/static/style.css"))
    assert status(answer) == 200 and b"Content-Type: text/css\r\n" in answer
    assert answer.endswith(b"\r\n\r\n" + b"p {}" * 100_000)
    modified = re.search(rb"Last-Modified: ([^\r]*)", answer)[1].decode()
    again = talk(master.address, get("/static/style.css", f"If-Modified-Since: {modified}\r\n"))
    assert status(again) == 304 and again.endswith(b"\r\n\r\n")
    for path in ("/static/../secret", "/static/out", "/static/", "/static/missing", "/static/%2e%2e/secret"):
        assert b"secret" not in talk(master.address, get(path))
    assert talk(master.uwsgi_address, ask("/static/style.css")).endswith(b"p {}" * 100_000)


def test_the_request_log_has_the_line_of_uwsgi(start):
    master = start(log={"requests": True})
    talk(master.address, get("/sleep?0"))
    pid = master.workers[0].pid
    line = (
        rf"^\[pid: {pid}\|app: 0\|req: 1/1\] 127\.0\.0\.1 \(\) \{{\d+ vars in \d+ bytes\}} "
        r"\[\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}\] GET /sleep\?0 => generated 5 bytes in \d+ msecs "
        r"\(HTTP/1\.1 200\) 2 headers in 64 bytes \(1 switches on core 0\)$"
    )
    master.log_says("switches on core")
    assert re.search(line, master.log_text(), re.MULTILINE), master.log_text()


def test_the_request_log_names_the_mounted_app_and_none_for_a_static_file(start, tmp_path):
    source = {"File": {"path": str(tmp_path / "app.py"), "callable": None}}
    (tmp_path / "style.css").write_bytes(b"p {}")
    master = start(
        log={"requests": True}, manage_script_name=True,
        load=[{"mount": mount, "source": source} for mount in ("/one", "/two")],
        static_maps=[{"prefix": "/static", "path": str(tmp_path)}],
    )
    for path in ("/two/a", "/one/b", "/static/style.css"):
        talk(master.address, get(path))
    master.log_says("GET /static")
    logged = re.findall(r"\|app: (-?\d+)\|req: (-?\d+)/(\d+)\].* GET (\S+) =>", master.log_text())
    assert logged == [("1", "1", "1", "/two/a"), ("0", "2", "2", "/one/b"), ("-1", "-1", "3", "/static/style.css")]


def test_new_clients_get_in_when_descriptors_run_out(start):
    master = start()
    pid = master.workers[0].pid
    used = len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir()))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 20, used + 20))
    idle = [socket.create_connection(master.address) for _ in range(60)]
    assert talk(master.address, get("/")).endswith(b"hello")
    for connection in idle:
        connection.close()


SYSTEM_PYTHON = pathlib.Path("/usr/bin/python3")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
@pytest.mark.skipif(not SYSTEM_PYTHON.exists(), reason="needs an interpreter everybody can read")
def test_the_app_never_sees_root_when_a_user_is_named(start, tmp_path):
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    app = tmp_path / "who.py"
    app.write_text(
        "import os\n"
        "loaded = os.getresuid() + os.getresgid() + (tuple(os.getgroups()),)\n"
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
        "    try:\n"
        "        os.setuid(0)\n"
        "    except PermissionError:\n"
        "        return [repr(loaded).encode()]\n"
        "    return [b'root again']\n"
    )
    nobody = pwd.getpwnam("nobody")
    source = {"File": {"path": str(app), "callable": None}}
    process = {"uid": "nobody", "gid": str(nobody.pw_gid)}
    loads = [{"mount": "", "source": source}]
    master = start(load=loads, process=process, interpreter=str(SYSTEM_PYTHON))
    uid, gid = nobody.pw_uid, nobody.pw_gid
    assert talk(master.address, get("/")).endswith(repr((uid,) * 3 + (gid,) * 3 + ((gid,),)).encode())


def test_descriptors_of_the_worker_are_not_inherited_by_what_the_app_starts(start, tmp_path):
    app = tmp_path / "starts.py"
    app.write_text(
        "import os, subprocess\n"
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
        "    return [subprocess.run(['ls', '/proc/self/fd'], close_fds=False, stdout=-1).stdout]\n"
    )
    source = {"File": {"path": str(app), "callable": None}}
    master = start(uwsgi=1, front_threads=1, load=[{"mount": "", "source": source}])
    listed = talk(master.address, get("/")).partition(b"\r\n\r\n")[2].split()
    # Standard streams, and the directory that `ls` reads.
    assert len(listed) == 4, listed
    assert pathlib.Path(f"/proc/{master.workers[0].pid}").exists()


def test_a_slow_reader_of_a_large_answer_gets_it_whole_and_holds_no_thread_and_little_memory(start):
    master = start(limits={"socket_timeout": seconds(1)})
    before = private_bytes(master)
    readers = []
    for _ in range(8):
        reader = socket.socket()
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect(master.address)
        reader.settimeout(10)
        reader.sendall(get("/big?20000000"))
        readers.append(reader)
    assert talk(master.address, get("/")).endswith(b"hello")
    assert private_bytes(master) - before < 60_000_000
    for reader in readers[1:]:
        reader.close()
    taken = 0
    while piece := readers[0].recv(65536):
        taken += len(piece)
    assert taken > 20_000_000
    assert talk(master.address, get("/")).endswith(b"hello")


def private_bytes(master):
    text = pathlib.Path(f"/proc/{master.workers[0].pid}/smaps_rollup").read_text()
    return int(re.search(r"Private_Dirty:\s+(\d+)", text)[1]) * 1024


def test_a_reader_that_takes_nothing_is_cut_off(start):
    master = start(limits={"socket_timeout": seconds(0.2)})
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect(master.address)
        reader.sendall(get("/big?50000000"))
        master.workers[0].quiesce()
        assert master.workers[0].exit_code() == 0
