"""The app server's processes: reload, stop, crash, broken code, files that stay or go."""

import os
import re
import signal
import threading
import time

import pytest
from harness import client
from harness.load import Load
from harness.processes import descendants, free_port, wait_until

BARE = """\
import os, time
def application(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        time.sleep(1.5)
    if environ["PATH_INFO"] == "/pid":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(os.getpid()).encode()]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"version {version}"]
"""


def bare(version):
    return BARE.replace("{version}", str(version))


@pytest.fixture
def app(machine):
    """A bare app on one HTTP socket, two workers, with a pidfile."""
    machine.write("bare.py", bare(1))
    port = free_port()
    machine.write(
        "bare.ini",
        f"[uwsgi]\nwsgi-file = bare.py\nmaster = true\nprocesses = 2\nhttp-socket = 127.0.0.1:{port}\n"
        f"pidfile = {machine.project}/bare.pid\nvacuum = true\ndie-on-term = true\nsocket = bare.sock\n",
    )
    process = machine.app("ours", "--ini", "bare.ini").ready(port)
    process.port = port
    # The socket is open before the app is loaded: only an answer says that it is.
    assert text(port) == "version 1"
    return process


def text(port, target="/"):
    return client.get(port, target).text()


def test_hup_brings_the_new_code_and_loses_no_request(machine, app):
    load = Load(f"http://127.0.0.1:{app.port}/", 4)
    for version in range(2, 5):
        machine.write("bare.py", bare(version))
        app.send(signal.SIGHUP)
        wait_until(lambda version=version: text(app.port) == f"version {version}", what="the new code")
    counted = load.finish()
    assert counted.clean(), counted.report + app.log()
    assert text(app.port) == "version 4"


def test_hup_also_reads_the_ini_again(machine, app):
    ini = (machine.project / "bare.ini").read_text()
    machine.write("bare.ini", ini + "env = COLOUR=blue\n")
    machine.write("bare.py", bare(1).replace("b\"version 1\"", "os.environ.get('COLOUR', 'none').encode()"))
    app.send(signal.SIGHUP)
    wait_until(lambda: text(app.port) == "blue", what="the new environment")


def test_code_that_does_not_import_leaves_the_old_workers_and_says_why(machine, app):
    machine.write("bare.py", "import no_such_module_anywhere\n")
    app.send(signal.SIGHUP)
    wait_until(lambda: "no_such_module_anywhere" in app.log(), what="the reason")
    assert [text(app.port) for _ in range(10)] == ["version 1"] * 10
    machine.write("bare.py", bare(2))
    app.send(signal.SIGHUP)
    wait_until(lambda: text(app.port) == "version 2", what="the mended code")


@pytest.mark.parametrize("maker", ["ours", "original"])
def test_touching_a_file_brings_the_new_code(machine, maker):
    """Relative to `chdir`; one that comes into being counts as touched."""
    port = free_port()
    machine.write("code/bare.py", bare(1))
    machine.write("code/flag", "")
    machine.write(
        "touch.ini",
        f"[uwsgi]\nchdir = {machine.project}/code\nwsgi-file = bare.py\nmaster = true\nhttp-socket = 127.0.0.1:{port}\n"
        f"touch-reload = flag\ntouch-reload = {machine.project}/later\n",
    )
    machine.app(maker, "--ini", "touch.ini").ready(port)
    wait_until(lambda: text(port) == "version 1", what="the app")
    machine.write("code/bare.py", bare(2))
    time.sleep(1.5)
    assert text(port) == "version 1"
    os.utime(machine.project / "code" / "flag")
    wait_until(lambda: text(port) == "version 2", what="the new code")
    machine.write("code/bare.py", bare(3))
    machine.write("later", "")
    wait_until(lambda: text(port) == "version 3", what="the newer code")


def test_touching_the_ini_itself_reads_it_again_and_loses_no_request(machine, app):
    ini = (machine.project / "bare.ini").read_text() + "touch-reload = %p\n"
    machine.write("bare.ini", ini)
    app.send(signal.SIGHUP)
    wait_until(lambda: "the old ones finish and go" in app.log(), what="the reload")
    load = Load(f"http://127.0.0.1:{app.port}/", 4)
    machine.write("bare.py", bare(2))
    machine.write("bare.ini", ini.replace("processes = 2", "processes = 1"))
    wait_until(lambda: text(app.port) == "version 2", what="the new code")
    counted = load.finish()
    assert counted.clean(), counted.report + app.log()
    assert f"`{machine.project}/bare.ini` has changed" in app.log()
    assert len({text(app.port, "/pid") for _ in range(20)}) == 1


@pytest.mark.parametrize("maker", ["ours", "original"])
def test_changed_sources_are_loaded_anew(machine, maker):
    """Also one that was imported, and broken code is mended without a reload by hand."""
    port = free_port()
    machine.write("bare.py", bare(1).replace('b"version 1"', "part.TEXT") + "\nimport part\n")
    machine.write("part.py", 'TEXT = b"part 1"\n')
    machine.app(
        maker, "--http-socket", f"127.0.0.1:{port}", "--wsgi-file", "bare.py", "-M", "--py-autoreload", "1",
        "--pythonpath", str(machine.project),
    ).ready(port)  # fmt: skip
    wait_until(lambda: text(port) == "part 1", what="the app")
    time.sleep(1.5)
    machine.write("part.py", 'TEXT = b"the second part"\n')
    wait_until(lambda: text(port) == "the second part", what="the new part")
    time.sleep(1.5)
    machine.write("bare.py", bare(3))
    wait_until(lambda: text(port) == "version 3", what="the new code")


def test_broken_sources_leave_the_old_code_until_they_are_mended(machine):
    port = free_port()
    machine.write("bare.py", bare(1))
    process = machine.app(
        "ours", "--http-socket", f"127.0.0.1:{port}", "--wsgi-file", "bare.py", "-M", "--py-autoreload", "1",
    ).ready(port)  # fmt: skip
    wait_until(lambda: text(port) == "version 1", what="the app")
    machine.write("bare.py", "import nothing_of_that_name\n")
    wait_until(lambda: "reload failed" in process.log(), what="the failure")
    assert text(port) == "version 1"
    machine.write("bare.py", bare(2))
    wait_until(lambda: text(port) == "version 2", what="the mended code")


def test_touched_logs_are_opened_anew(machine):
    machine.write("bare.py", bare(1))
    port, log = free_port(), machine.project / "app.log"
    process = machine.app(
        "ours", "--http-socket", f"127.0.0.1:{port}", "--wsgi-file", "bare.py",
        "-M", "--logto", str(log), "--touch-logreopen", str(machine.project / "flag"),
    ).ready(port)  # fmt: skip
    wait_until(lambda: text(port) == "version 1", what="the app")
    log.rename(machine.project / "app.log.1")
    machine.write("flag", "")
    wait_until(log.exists, what="the new log")
    wait_until(lambda: (text(port, "/new"), "/new" in log.read_text())[1], what="a line in it")
    assert process.running()


@pytest.mark.parametrize("limit", ["reload-on-rss", "reload-on-as"])
def test_a_worker_that_has_grown_is_replaced_without_losing_a_request(machine, limit):
    machine.write("bare.py", bare(1) + "\nkept = []\nplain = application\n" + """
def application(environ, start_response):
    if environ["PATH_INFO"] == "/grow":
        kept.append(bytearray(b"x" * (400 << 20)))
    return plain(environ, start_response)
""")
    port = free_port()
    most = {"reload-on-rss": 200, "reload-on-as": 400}[limit]
    process = machine.app(
        "ours", "--http-socket", f"127.0.0.1:{port}", "--wsgi-file", "bare.py", "-M", f"--{limit}", str(most),
    ).ready(port)  # fmt: skip
    wait_until(lambda: text(port) == "version 1", what="the app")
    before = text(port, "/pid")
    time.sleep(1.1)
    assert text(port, "/pid") == before
    load = Load(f"http://127.0.0.1:{port}/", 4)
    text(port, "/grow")
    wait_until(lambda: text(port, "/pid") != before, what="another worker")
    counted = load.finish()
    assert counted.clean(), counted.report + process.log()
    assert f"({limit}: " in process.log()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_stop_lets_the_request_in_flight_finish(machine, app, number):
    answers = []
    slow = threading.Thread(target=lambda: answers.append(text(app.port, "/slow")))
    slow.start()
    time.sleep(0.5)
    app.send(number)
    assert app.wait() == 0
    slow.join()
    assert answers == ["version 1"]
    assert not (machine.project / "bare.sock").exists()
    assert not (machine.project / "bare.pid").exists()


def test_the_pidfile_holds_the_master_and_stop_and_reload_work_through_it(machine, app):
    pidfile = machine.project / "bare.pid"
    assert int(pidfile.read_text()) == app.pid
    machine.write("bare.py", bare(2))
    assert machine.app("ours", "--reload", pidfile).wait() == 0
    wait_until(lambda: text(app.port) == "version 2", what="the new code")
    assert machine.app("ours", "--stop", pidfile).wait() == 0
    assert app.wait() == 0


def test_a_killed_worker_is_replaced_and_the_others_serve_on(app):
    for _ in range(3):
        victim = int(text(app.port, "/pid"))
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda victim=victim: f"(pid: {victim}) died, killed by signal 9" in app.log(), what="the death")
        assert text(app.port).startswith("version")
    wait_until(lambda: len(re.findall("Respawned uWSGI worker", app.log())) == 3, what="three replacements")


def test_children_go_when_the_master_is_killed_and_a_new_one_can_start(machine, app):
    worker = int(text(app.port, "/pid"))
    app.send(signal.SIGKILL)
    app.wait()
    wait_until(lambda: not os.path.exists(f"/proc/{worker}"), 5, "end of the worker")
    machine.app("ours", "--ini", "bare.ini").ready(app.port)
    assert text(app.port) == "version 1"


def test_max_requests_recycles_workers_without_losing_a_request(machine):
    machine.write("bare.py", bare(1))
    port = free_port()
    process = machine.app(
        "ours", "--http-socket", f"127.0.0.1:{port}", "--wsgi-file", "bare.py",
        "-p", "2", "-M", "--max-requests", "200", "--disable-logging",
    ).ready(port)  # fmt: skip
    counted = Load(f"http://127.0.0.1:{port}/", 3).finish()
    assert counted.clean(), counted.report + process.log()[-3000:]


def test_harakiri_ends_one_request_with_504_and_spares_its_neighbours(machine):
    machine.write(
        "hang.py",
        "import time\n"
        "def application(environ, start_response):\n"
        "    if environ['PATH_INFO'] == '/hang':\n"
        "        while True: time.sleep(0.1)\n"
        "    if environ['PATH_INFO'] == '/long': time.sleep(1.5)\n"
        "    start_response('200 OK', [])\n"
        "    return [b'fine']\n",
    )
    port = free_port()
    process = machine.app(
        "ours", "--http-socket", f"127.0.0.1:{port}", "--wsgi-file", "hang.py",
        "--threads", "2", "-M", "--harakiri", "2",
    ).ready(port)  # fmt: skip
    answers = {}
    ask = lambda target: answers.__setitem__(target, client.get(port, target))  # noqa: E731
    hanging = threading.Thread(target=ask, args=("/hang",))
    hanging.start()
    time.sleep(1)
    neighbour = threading.Thread(target=ask, args=("/long",))
    neighbour.start()
    hanging.join()
    neighbour.join()
    assert answers["/hang"].status == 504
    assert (answers["/long"].status, answers["/long"].text()) == (200, "fine")
    assert "HARAKIRI" in process.log() and "hang.py" in process.log()
    assert client.get(port).text() == "fine"


def test_an_app_without_its_callable_answers_500_and_says_what_to_write(machine):
    machine.write("oops.py", "from flask import Flask\nserver = Flask(__name__)\n")
    port = free_port()
    process = machine.app("ours", "--http-socket", f"127.0.0.1:{port}", "-w", "oops", "-M").ready(port)
    answer = client.get(port)
    assert (answer.status, answer.text().strip()) == (500, "Internal Server Error")
    assert "server" in process.log() and "oops:server" in process.log()


def test_need_app_ends_with_22_and_shows_the_traceback(machine):
    machine.write("broken.py", "1/0\n")
    process = machine.app("ours", "--http-socket", f"127.0.0.1:{free_port()}", "-w", "broken", "-M", "--need-app")
    assert process.wait() == 22
    assert "ZeroDivisionError" in process.log() and "broken.py" in process.log()


def test_a_misspelt_option_is_named_with_its_place_and_refused_only_when_strict(machine):
    machine.write("bare.py", bare(1))
    port = free_port()
    ini = f"[uwsgi]\nhttp-socket = 127.0.0.1:{port}\nwsgi-file = bare.py\nvaccum = true\n"
    machine.write("typo.ini", ini)
    process = machine.app("ours", "--ini", "typo.ini").ready(port)
    assert re.search(r"typo\.ini:4.*vaccum", process.log()) and "vacuum" in process.log()
    process.stop()
    machine.write("strict.ini", ini + "strict = true\n")
    refused = machine.app("ours", "--ini", "strict.ini")
    assert refused.wait() == 1
    assert "strict.ini:4" in refused.log() and "vaccum" in refused.log()


def test_a_port_that_is_taken_ends_with_1_and_names_it(machine, app):
    second = machine.app("ours", "--http-socket", f"127.0.0.1:{app.port}", "--wsgi-file", "bare.py")
    assert second.wait() == 1
    assert str(app.port) in second.log()


def test_daemonize_goes_to_the_background_and_logs_to_the_file(machine):
    machine.write("bare.py", bare(1))
    port = free_port()
    log, pidfile = machine.log / "daemon.log", machine.project / "daemon.pid"
    log.touch()
    machine.own(log)
    process = machine.app(
        "ours", "--http-socket", f"127.0.0.1:{port}", "--wsgi-file", "bare.py", "-M",
        "--daemonize", log, "--pidfile", pidfile,
    )  # fmt: skip
    assert process.wait() == 0
    wait_until(lambda: "spawned uWSGI worker 1" in log.read_text(), what="the worker")
    assert text(port) == "version 1"
    master = int(pidfile.read_text())
    os.kill(master, signal.SIGTERM)
    wait_until(lambda: not os.path.exists(f"/proc/{master}"), what="end of the daemon")


def test_the_request_log_is_uwsgis_line(machine):
    machine.write("bare.py", bare(1))
    port = free_port()
    process = machine.app("ours", "--http-socket", f"127.0.0.1:{port}", "--wsgi-file", "bare.py").ready(port)
    client.get(port, "/a?b=c")
    line = (
        r"\[pid: \d+\|app: 0\|req: 1/1\] 127\.0\.0\.1 \(\) \{\d+ vars in \d+ bytes\} "
        r"\[\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}\] GET /a\?b=c => generated 9 bytes in \d+ msecs "
        r"\(HTTP/1\.1 200\) 1 headers in \d+ bytes \(\d+ switches on core 0\)"
    )
    wait_until(lambda: re.search(line, process.log()), 5, "the request's line")


def file_kilobytes(pid):
    """Pages of files in a process's memory, as the kernel counts them."""
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"RssFile:\s+(\d+)", status.read())[1])


def test_a_master_and_a_nursery_at_rest_let_go_of_what_starting_needed_and_still_replace_a_worker(machine, app):
    workers = {int(text(app.port, "/pid")) for _ in range(20)}
    at_rest = [app.pid] + [pid for pid in descendants(app.pid) if pid not in workers and "nursery" in command(pid)]
    assert len(at_rest) == 2
    wait_until(lambda: all(file_kilobytes(pid) < 3000 for pid in at_rest), what="a small memory at rest")
    victim = int(text(app.port, "/pid"))
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: f"{victim}" not in {text(app.port, "/pid") for _ in range(20)}, what="another worker")
    assert text(app.port) == "version 1"


def command(pid):
    with open(f"/proc/{pid}/cmdline") as line:
        return line.read()
