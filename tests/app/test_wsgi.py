"""PEP 3333 as a client sees it: straight from a worker, and through the front's private channel."""

import pathlib
import tempfile

import pytest
from harness import client, peers
from harness.processes import free_port, wait_until
from harness.site import Machine

BEHAVIOURS = pathlib.Path(__file__).with_name("behaviours.py")


@pytest.fixture(scope="module", params=["http-socket", "http", "http-socket with threads"])
def server(request):
    machine = Machine(tempfile.mkdtemp(prefix="propylon-wsgi-"))
    machine.write("behaviours.py", BEHAVIOURS.read_text())
    port = free_port()
    option, _, threads = request.param.partition(" with ")
    more = ["--threads", "3"] if threads else []
    process = machine.app("ours", f"--{option}", f"127.0.0.1:{port}", "-w", "behaviours", "-M", *more)
    process.ready(port)
    process.port = port
    try:
        yield process
        assert process.running()
        assert "panicked" not in process.log()
    finally:
        machine.close()
        machine.remove()


def ask(server, target, method="GET", headers=(), body=None, version="HTTP/1.1"):
    with client.Connection(server.port) as connection:
        return connection.request(method, target, headers, body, version)


WHOLE = {
    "one_item": b"one",
    "several_items": b"abc",
    "with_length": b"abcdef",
    "generator": b"firstsecond",
    "late_start": b"late",
    "write": b"written returned",
    "write_only": b"only written",
    "empty": b"",
    "tuple_of_items": b"xy",
    "large": b"L" * 3_000_000,
    "file_wrapper": BEHAVIOURS.read_bytes(),
    "file_wrapper_without_length": BEHAVIOURS.read_bytes(),
    "file_wrapper_offset": BEHAVIOURS.read_bytes()[3:13],
    "file_wrapper_of_memory": b"memory" * 100,
    "types": b"fine",
    "fresh_environ": b"False",
}


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
def test_the_body_arrives_whole(server, name, version):
    answer = ask(server, f"/{name}", version=version)
    assert (answer.status, answer.complete) == (200, True)
    assert answer.body == WHOLE[name]
    assert answer.header("Content-Type") == "text/plain"


@pytest.mark.parametrize("name", WHOLE)
def test_head_has_the_same_head_and_no_body(server, name):
    with client.Connection(server.port) as connection:
        answer = connection.request("HEAD", f"/{name}")
        assert (answer.status, answer.body) == (200, b"")
        # Nothing of a body may be left over: the next answer starts right here.
        assert connection.request("GET", "/one_item").body == b"one"


@pytest.mark.parametrize("name", ["one_item", "with_length", "large", "file_wrapper"])
def test_a_known_length_is_announced(server, name):
    assert ask(server, f"/{name}").header("Content-Length") == str(len(WHOLE[name]))


BROKEN_BEFORE_THE_HEAD = [
    "no_start", "raise_before", "raise_after_start", "raise_first_item", "exit_in_view", "start_twice",
    "str_item", "header_split", "header_newline", "header_nul", "header_bad_name", "header_not_latin1",
    "header_bytes", "header_hop_by_hop", "header_length_nonsense", "status_bad", "status_split",
]  # fmt: skip


@pytest.mark.parametrize("name", BROKEN_BEFORE_THE_HEAD)
def test_an_error_before_the_head_is_a_500_and_the_connection_lives(server, name):
    with client.Connection(server.port) as connection:
        answer = connection.request("GET", f"/{name}")
        assert (answer.status, answer.complete) == (500, True)
        assert answer.header("X-Injected") is None
        assert b"never" not in answer.body
    assert ask(server, "/one_item").body == b"one"


@pytest.mark.parametrize(
    "name", ["raise_mid_body", "raise_mid_body_with_length", "exc_info_after", "str_item_later", "too_short"]
)
def test_an_error_in_the_body_is_seen_as_a_cut(server, name):
    answer = ask(server, f"/{name}")
    assert answer.status in (200, 500)
    assert answer.status == 500 or not answer.complete
    assert b"never" not in answer.body


def test_more_body_than_announced_is_not_sent(server):
    with client.Connection(server.port) as connection:
        assert connection.request("GET", "/too_long").body == b"abc"
        try:
            assert connection.request("GET", "/one_item").body == b"one"
        except ConnectionError:
            pass


def test_exc_info_replaces_a_head_that_was_not_sent(server):
    answer = ask(server, "/exc_info_before")
    assert (answer.status, answer.reason, answer.body) == (503, "Replaced", b"error page")


def test_close_is_called_on_every_path(server):
    for name in ("close_normal", "raise_first_item", "raise_mid_body"):
        ask(server, f"/{name}")
    closed = ask(server, "/closed").text().split(",")
    assert {"close_normal", "raise_first_item", "raise_mid_body"} <= set(closed)


@pytest.mark.parametrize("name, status", [("no_content", 204), ("not_modified", 304)])
def test_a_status_without_body_has_none(server, name, status):
    with client.Connection(server.port) as connection:
        answer = connection.request("GET", f"/{name}")
        assert answer.status == status
        assert answer.header("Transfer-Encoding") is None
        assert connection.request("GET", "/one_item").body == b"one"


def test_headers_keep_their_order_and_their_bytes(server):
    answer = ask(server, "/headers_twice")
    assert [value for name, value in answer.headers if name == "Set-Cookie"] == ["a=1", "b=2"]
    assert answer.header("X-Latin") == "gr\xfcn"


def test_a_status_without_reason_passes(server):
    assert ask(server, "/status_without_reason").status == 299


BODIES = {
    "read_all": (b"x" * 5000, b"5000 " + b"x" * 20),
    "read_pieces": (b"x" * 123456, b"123456"),
    "read_lines": (b"a\nb\r\nc", b"[b'a\\n', b'b\\r\\n', b'c']"),
    "read_line": (b"one\ntwothree\nrest\nend", b"[b'one\\n', b'two', b'three\\n', b'rest\\nend']"),
    "iterate_input": (b"a\n\nb", b"[b'a\\n', b'\\n', b'b']"),
    "read_nothing": (b"x" * 200000, b"unread"),
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "chunked"])
def test_the_app_reads_its_input(server, name, chunked):
    body, expected = BODIES[name]
    with client.Connection(server.port) as connection:
        if chunked:
            pieces = [body[at : at + 7000] for at in range(0, len(body), 7000)]
            connection.send(client.build("POST", f"/{name}", [("Transfer-Encoding", "chunked")]))
            for piece in pieces:
                connection.send(b"%X\r\n%s\r\n" % (len(piece), piece))
            connection.send(b"0\r\n\r\n")
            answer = connection.answer("POST")
        else:
            answer = connection.request("POST", f"/{name}", body=body)
        assert (answer.status, answer.body) == (200, expected)
        assert connection.request("GET", "/one_item").body == b"one"


def dump(server, target, names, headers=(), method="GET", body=None):
    answer = ask(server, f"/environ_dump{target}?{'&'.join(names)}", method, headers, body)
    return dict(line.split("=", 1) for line in answer.body.decode("latin-1").split("\n"))


def test_environ_has_what_pep_3333_asks_for(server):
    shown = dump(
        server,
        "/a%20b/%C3%BC",
        ["REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "SERVER_PROTOCOL", "wsgi.version", "wsgi.url_scheme",
         "wsgi.run_once", "REMOTE_ADDR", "HTTP_HOST", "HTTP_PROXY", "CONTENT_LENGTH"],
        [("Proxy", "http://evil/")],
    )  # fmt: skip
    assert shown["REQUEST_METHOD"] == "'GET'"
    assert shown["SCRIPT_NAME"] == "''"
    assert shown["PATH_INFO"] == "'/environ_dump/a b/\xc3\xbc'"
    assert shown["SERVER_PROTOCOL"] == "'HTTP/1.1'"
    assert shown["wsgi.version"] == "(1, 0)"
    assert shown["wsgi.url_scheme"] == "'http'"
    assert shown["wsgi.run_once"] == "False"
    assert shown["REMOTE_ADDR"] == "'127.0.0.1'"
    assert shown["HTTP_HOST"] == "'localhost'"
    assert shown["HTTP_PROXY"] == "None"
    assert shown["CONTENT_LENGTH"] in ("''", "None")


def test_threads_and_processes_are_told_truly(server):
    shown = dump(server, "", ["wsgi.multithread", "wsgi.multiprocess"])
    threaded = "--threads" in server.command
    assert shown == {"wsgi.multithread": str(threaded), "wsgi.multiprocess": "False"}


def test_repeated_headers_are_joined(server):
    shown = dump(
        server, "", ["HTTP_COOKIE", "HTTP_X_LIST"],
        [("Cookie", "a=1"), ("X-List", "1"), ("Cookie", "b=2"), ("X-List", "2")],
    )  # fmt: skip
    assert shown["HTTP_COOKIE"] == "'a=1; b=2'"
    assert shown["HTTP_X_LIST"] in ("'1, 2'", "'1,2'")


def test_what_the_app_writes_to_errors_is_in_the_log(server):
    ask(server, "/types")
    wait_until(lambda: "a message for the log\ntwo pieces" in server.log(), 5, "the message")


def test_a_generators_items_arrive_one_by_one(server):
    assert peers.OURS
    with client.Connection(server.port) as connection:
        answer = connection.request("GET", "/generator")
        assert answer.body == b"firstsecond"
