"""The workers' own HTTP socket and uwsgi socket: framing, limits, and bytes nobody should send."""

import socket
import struct

import pytest
from harness import client
from harness.processes import free_port, wait_until

ECHO = """\
def application(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    shown = "%s %s %d" % (environ["REQUEST_METHOD"], environ["PATH_INFO"], len(body))
    return [shown.encode()]
"""


@pytest.fixture
def server(machine):
    machine.write("echo.py", ECHO)
    port, packets = free_port(), free_port()
    process = machine.app(
        "ours", "--http-socket", f"127.0.0.1:{port}", "--socket", f"127.0.0.1:{packets}",
        "--wsgi-file", "echo.py", "-M", "--limit-post", "100000",
    ).ready(port, packets)  # fmt: skip
    process.port, process.packets = port, packets
    yield process
    assert process.running() and "panicked" not in process.log()
    assert client.get(port).text() == "GET / 0"


def test_connections_are_kept_and_requests_may_be_pipelined(server):
    with client.Connection(server.port) as connection:
        for number in range(5):
            assert connection.request("GET", f"/{number}").text() == f"GET /{number} 0"
        pipelined = [client.build("POST", f"/p{number}", body=b"x" * number) for number in range(20)]
        connection.send(b"".join(pipelined))
        assert [connection.answer().text() for _ in pipelined] == [f"POST /p{n} {n}" for n in range(20)]


def test_more_pipelined_answers_than_a_buffer_holds_come_whole_and_in_order(server):
    paths = [f"/{number:04}{'x' * 200}" for number in range(400)]
    with client.Connection(server.port) as connection:
        connection.send(b"".join(client.build("GET", path) for path in paths))
        assert [connection.answer().text() for _ in paths] == [f"GET {path} 0" for path in paths]


def test_answers_before_half_a_pipelined_request_do_not_wait_for_its_rest(server):
    for rest, split in ((client.build("GET", "/last"), 9), (client.build("POST", "/last", body=b"12345"), -3)):
        with client.Connection(server.port) as connection:
            connection.send(client.build("GET", "/0") + client.build("GET", "/1") + rest[:split])
            assert [connection.answer().text() for _ in range(2)] == ["GET /0 0", "GET /1 0"]
            connection.send(rest[split:])
            assert "/last" in connection.answer().text()


def test_a_pipelined_request_that_is_refused_does_not_take_the_answers_before_it_along(server):
    with client.Connection(server.port) as connection:
        connection.send(client.build("GET", "/0") + client.build("GET", "/1") + b"GET / HTTP/1.1\r\nbad head\r\n\r\n")
        assert [connection.answer().text() for _ in range(2)] == ["GET /0 0", "GET /1 0"]
        assert connection.answer().status == 400


def test_a_request_may_come_byte_by_byte(server):
    with client.Connection(server.port) as connection:
        for byte in client.build("POST", "/slow", body=b"12345"):
            connection.send(bytes([byte]))
        assert connection.answer().text() == "POST /slow 5"


def test_http_1_0_and_close_end_the_connection(server):
    for version, headers in (("HTTP/1.0", []), ("HTTP/1.1", [("Connection", "close")])):
        with client.Connection(server.port) as connection:
            assert connection.request("GET", "/", headers, version=version).text() == "GET / 0"
            assert connection.read_for(1) == b""


def test_expect_is_answered_before_the_body_comes(server):
    with client.Connection(server.port) as connection:
        connection.send(client.build("POST", "/", [("Expect", "100-continue"), ("Content-Length", "3")]))
        interim = b""
        while b"\r\n\r\n" not in interim:
            interim += connection.socket.recv(100)
        assert interim.startswith(b"HTTP/1.1 100 ")
        connection.send(b"abc")
        assert connection.answer("POST").text() == "POST / 3"


def test_an_upgrade_is_not_taken_up(server):
    answer = client.request(server.port, "GET", "/", [("Upgrade", "websocket"), ("Connection", "Upgrade")])
    assert (answer.status, answer.text()) == (200, "GET / 0")


BAD = {
    "no method": b" / HTTP/1.1\r\nHost: a\r\n\r\n",
    "no version": b"GET /\r\nHost: a\r\n\r\n",
    "blank in the target": b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "blank before the colon": b"GET / HTTP/1.1\r\nHost: a\r\nX-A : 1\r\n\r\n",
    "folded line": b"GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n 2\r\n\r\n",
    "control byte": b"GET / HTTP/1.1\r\nHost: a\r\nX-A: a\x01b\r\n\r\n",
    "NUL": b"GET / HTTP/1.1\r\nHost: a\r\nX-A: a\x00b\r\n\r\n",
    "length and chunks": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "list of lengths": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello",
    "signed length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello",
    "hexadecimal length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\nhello",
    "huge length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    "chunked twice": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked hidden": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "bad chunk size": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    "chunk longer than said": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
    "bare feed in chunks": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\nab\n0\n\n",
    "huge chunk": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    "binary": bytes(range(256)),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_not_http_gets_a_400_and_nothing_more_is_read(server, name):
    with client.Connection(server.port) as connection:
        connection.send(BAD[name] + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = connection.answer()
        assert answer.status in (400, 501)
        assert connection.read_for(2) == b""
    assert "/smuggled" not in server.log()


def test_a_head_over_the_limit_gets_431_and_a_body_over_the_limit_413(server):
    with client.Connection(server.port) as connection:
        connection.send(client.build("GET", "/", [("X-Long", "h" * 200_000)]))
        assert connection.answer().status == 431
    with client.Connection(server.port) as connection:
        connection.send(client.build("POST", "/", [("Content-Length", "100001")]))
        assert connection.answer("POST").status == 413
    assert client.request(server.port, "POST", "/", body=b"x" * 100_000).text() == "POST / 100000"


def packet(variables, modifier1=0, size=None):
    coded = b"".join(
        struct.pack("<H", len(key)) + key + struct.pack("<H", len(value)) + value for key, value in variables
    )
    return struct.pack("<BHB", modifier1, len(coded) if size is None else size, 0) + coded


def exchange(port, data, half_close=True):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(data)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        try:
            while piece := connection.recv(65536):
                received += piece
        except ConnectionResetError:
            pass
        return received


BASIC = [(b"REQUEST_METHOD", b"GET"), (b"PATH_INFO", b"/packet"), (b"SERVER_PROTOCOL", b"HTTP/1.1"),
         (b"REQUEST_URI", b"/packet"), (b"SERVER_NAME", b"n"), (b"SERVER_PORT", b"80")]  # fmt: skip


def test_a_uwsgi_packet_is_answered_and_the_connection_closed(server):
    answer = exchange(server.packets, packet(BASIC))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and answer.endswith(b"GET /packet 0")
    posted = [*BASIC[1:], (b"REQUEST_METHOD", b"POST"), (b"CONTENT_LENGTH", b"4")]
    assert exchange(server.packets, packet(posted) + b"body").endswith(b"POST /packet 4")


def test_a_large_packet_is_no_problem(server):
    big = [*BASIC, (b"HTTP_X_BIG", b"b" * 60_000)]
    assert exchange(server.packets, packet(big)).endswith(b"GET /packet 0")


def test_a_packet_is_data_and_never_code(server, machine):
    evil = machine.write("evil.py", f"open({str(machine.project / 'ran')!r}, 'w')\napplication = None\n")
    for name in (b"UWSGI_FILE", b"UWSGI_SCRIPT", b"UWSGI_MODULE", b"UWSGI_SETENV", b"UWSGI_APPID"):
        value = b"evil" if name == b"UWSGI_MODULE" else str(evil).encode()
        assert exchange(server.packets, packet([*BASIC, (name, value)])).endswith(b"GET /packet 0")
    assert not (machine.project / "ran").exists()


BAD_PACKETS = {
    "nothing": b"",
    "half a head": b"\x00\x10",
    "shorter than said": packet(BASIC, size=500),
    "length outside": struct.pack("<BHB", 0, 4, 0) + b"\xff\xff\x00\x00",
    "key without value": struct.pack("<BHB", 0, 5, 0) + b"\x03\x00abc",
    "other modifier": packet(BASIC, modifier1=200),
    "noise": bytes(range(256)) * 20,
}


@pytest.mark.parametrize("name", BAD_PACKETS)
def test_a_malformed_packet_never_harms(server, name):
    answer = exchange(server.packets, BAD_PACKETS[name])
    assert answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5", b"HTTP/1.0 4")), answer


def test_http_on_the_uwsgi_socket_is_explained(server):
    answer = exchange(server.packets, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", half_close=False)
    assert answer.startswith(b"HTTP/1.") and b" 400 " in answer.split(b"\r\n")[0]
    wait_until(lambda: "uwsgi" in server.log() and "HTTP" in server.log(), 5, "the explanation")
