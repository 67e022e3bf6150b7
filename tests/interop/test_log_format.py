"""`log-format`: the line of a request, beside the original's."""

import json
import re
import signal

import pytest
from harness import client
from harness.processes import free_port, wait_until

MAKERS = ["original", "ours"]
APP = """\
import uwsgi
def application(environ, start_response):
    environ["wsgi.input"].read()
    if environ["PATH_INFO"] == "/tenant":
        uwsgi.set_logvar("tenant", "blue")
    start_response("201 Created", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]
"""
SAME = (
    "uri method user addr host proto uagent referer status rsize hsize size cl wid switches core headers "
    "modifier1 modifier2 var.HTTP_X_A var.CONTENT_TYPE var.NOPE tenant nothing"
).split()
SHAPES = {
    "micros": r"\d+", "msecs": r"\d+", "secs": r"0\.\d{6}", "tmsecs": r"1\d{12}", "tmicros": r"1\d{15}", "time": r"1\d{9}",
    "epoch": r"1\d{9}", "ltime": r"\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}", "ftime": r"\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}",
    "ctime": r"\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}", "pid": r"\d+", "vars": r"\d+", "pktsize": r"\d+",
    "vsz": r"\d+", "rss": r"\d+", "vszM": r"\d+", "rssM": r"\d+",
}  # fmt: skip
HEADERS = [("User-Agent", "tests/1"), ("X-A", 'q"uo\\te'), ("Cookie", "a=b")]


def start(machine, maker, *options):
    """An app with these lines in its ini, once it has answered a request for `/first`; and its port."""
    port = free_port()
    machine.write("app.py", APP)
    usual = ("[uwsgi]", f"http-socket = 127.0.0.1:{port}", "wsgi-file = app.py", "master = true")
    machine.write("log.ini", "".join(f"{line}\n" for line in (*usual, *options)))
    process = machine.app(maker, "--ini", "log.ini").ready(port)
    wait_until(lambda: b"hello" in client.get(port, "/first").body, what="the app")
    return process, port


def lines(machine, maker, log_format):
    """What is logged for three requests."""
    process, port = start(machine, maker, f"log-format = line:{log_format}")
    # Its line comes behind its answer; requests before the app was there have none.
    wait_until(lambda: "line:" in process.log(), what="the first line")
    before = process.log().count("line:")
    client.request(port, "POST", '/a?b=c"d', [*HEADERS, ("Content-Type", "x/y")], b"abc")
    client.request(port, "GET", "/tenant", [*HEADERS, ("Referer", "http://there/")])
    client.request(port, "PUT", "/plain", HEADERS, b"")
    wait_until(lambda: process.log().count("line:") >= before + 3, what="the lines")
    return re.findall(r"^line:(.*)$", process.log(), re.M)[before:]


def test_the_same_format_makes_the_same_line(machine):
    log_format = "|".join(f"{name}=%({name})" for name in SAME)
    original, ours = (lines(machine, maker, log_format) for maker in MAKERS)
    assert 'uri=/a?b=c"d|method=POST|user=-|addr=127.0.0.1|host=localhost' in ours[0]
    assert "tenant=blue" in ours[1] and "tenant=-" in ours[2]
    assert ours == original


@pytest.mark.parametrize("maker", MAKERS)
def test_what_is_measured_has_the_same_shape(machine, maker):
    logged = lines(machine, maker, "|".join(f"%({name})" for name in SHAPES))
    for line in logged:
        for (name, shape), value in zip(SHAPES.items(), line.split("|"), strict=True):
            assert re.fullmatch(shape, value), (name, value)


def test_a_line_that_is_json_stays_json(machine):
    """The original's does not, which is why people write plugins for it."""
    log_format = '{"uri": "%(uri)", "x": "%(var.HTTP_X_A)", "status": %(status)}'
    process, port = start(machine, "ours", f"log-format = {log_format}")
    client.request(port, "GET", '/a?b=c"d', HEADERS)
    wait_until(lambda: "/a?b" in process.log(), what="the line")
    line = next(line for line in process.log().splitlines() if "/a?b" in line)
    assert json.loads(line) == {"uri": '/a?b=c"d', "x": 'q"uo\\te', "status": 201}


def test_a_name_that_nothing_has_is_told_with_its_place(machine):
    machine.write("app.py", APP)
    machine.write("log.ini", "[uwsgi]\nhttp-socket = :0\nwsgi-file = app.py\nlog-format = %(uri) %(rtime)\n")
    process = machine.app("ours", "--ini", "log.ini")
    wait_until(lambda: "rtime" in process.log(), what="the warning")
    assert "`%(uri)`" not in process.log()
    assert re.search(r"log\.ini:4:\d+: `log-format`: nothing is known as `%\(rtime\)`", process.log())


@pytest.mark.parametrize("maker", MAKERS)
def test_lines_of_requests_have_a_file_of_their_own(machine, maker):
    requests, rest = machine.project / "requests.log", machine.project / "app.log"
    process, _ = start(machine, maker, "log-format = line:%(uri)", f"logger = file:{rest}", f"req-logger = file:{requests}")
    # The original makes its files with their first lines.
    wait_until(lambda: requests.exists() and "line:/first" in requests.read_text(), what="the line")
    wait_until(lambda: rest.exists() and "spawned uWSGI worker 1" in rest.read_text(), what="the other lines")
    assert "line:" not in rest.read_text() + process.log() and "spawned" not in requests.read_text()


def test_renamed_files_of_request_lines_are_left_at_usr1(machine):
    """Without a file of the master's own, too."""
    requests = machine.project / "requests.log"
    process, port = start(machine, "ours", "processes = 2", f"req-logger = file:{requests}")
    wait_until(lambda: "/first" in requests.read_text(), what="the line")
    requests.rename(machine.project / "requests.log.1")
    process.send(signal.SIGUSR1)
    wait_until(requests.exists, what="the new file")
    wait_until(lambda: (client.get(port, "/second"), "/second" in requests.read_text())[1], what="a line in it")
    assert "/first" not in requests.read_text()


def test_a_file_of_request_lines_that_cannot_be_is_told_at_the_start(machine):
    machine.write("app.py", APP)
    process = machine.app("ours", "--http-socket", ":0", "--wsgi-file", "app.py", "--req-logger", "file:/nowhere/requests.log")
    assert process.wait() == 1
    assert "cannot open the log `/nowhere/requests.log`: No such file or directory" in process.log()
