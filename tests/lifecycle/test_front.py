"""The web server's life: -t, reload, refused reload, reopen, stop, by signal and by -s."""

import os
import pwd
import re
import signal
import sys
import threading
import time

import pytest
from harness import client
from harness.load import Load
from harness.pairs import every_front
from harness.processes import descendants, free_port, wait_until


@pytest.fixture
def port(machine):
    chosen = free_port()
    machine.site("text", site(chosen, "one"))
    return chosen


def site(port, text):
    return f"server {{ listen 127.0.0.1:{port}; location / {{ return 200 '{text}'; }} }}\n"


def text(port):
    return client.get(port).text()


@every_front
def test_a_reload_applies_the_new_configuration(machine, port, maker):
    front = machine.front(maker).ready(port)
    other = free_port()
    machine.site("text", site(port, "two") + site(other, "three"))
    front.send(signal.SIGHUP)
    wait_until(lambda: text(port) == "two", what="the new configuration")
    assert text(other) == "three"
    machine.site("text", site(other, "four"))
    assert machine.front_says(maker, "-s", "reload")[0] == 0
    wait_until(lambda: text(other) == "four", what="the newest configuration")
    wait_until(lambda: refused(port), what="the end of the removed listener")


def refused(port):
    try:
        client.get(port)
        return False
    except ConnectionError:
        return True


def test_reloads_under_load_lose_nothing_and_serve_nothing_old(machine, port):
    front = machine.front("ours").ready(port)
    load = Load(f"http://127.0.0.1:{port}/", 5)
    with client.Connection(port) as kept:
        for number in range(20):
            machine.site("text", site(port, f"v{number}"))
            front.send(signal.SIGHUP)
            wait_until(lambda number=number: text(port) == f"v{number}", what="the new text")
            # Its thread may be another one, which takes the configuration a moment later.
            wait_until(lambda number=number: kept.request().text() == f"v{number}", what="the same on a kept connection")
    counted = load.finish()
    assert counted.clean(), counted.report + machine.error_log()[-3000:]


@every_front
def test_a_broken_configuration_is_refused_and_the_old_one_stays(machine, port, maker):
    front = machine.front(maker).ready(port)
    machine.site("broken", "server { listen 127.0.0.1:1; lisen 80; }\n")
    code, _, said = machine.front_says(maker, "-t")
    assert code == 1
    assert re.search(r'\[emerg\] .*unknown directive "lisen" in .*broken:1', said)
    assert "test failed" in said
    front.send(signal.SIGHUP)
    wait_until(lambda: 'unknown directive "lisen"' in machine.error_log() + front.log(), what="the reason")
    assert text(port) == "one"


def test_every_problem_is_reported_in_one_run_with_a_hint(machine, port):
    machine.site("broken", "server {\n    lisen 80;\n    root;\n    proxy_pas http://x;\n}\n")
    code, _, said = machine.front_says("ours", "-t")
    assert code == 1
    for line, problem in ((2, "lisen"), (3, "root"), (4, "proxy_pas")):
        assert re.search(rf'"{problem}".* in .*broken:{line}', said), said
    assert "listen" in said and "proxy_pass" in said


@every_front
def test_dash_capital_t_prints_every_file(machine, port, maker):
    code, printed, _ = machine.front_says(maker, "-T")
    assert code == 0
    assert f"# configuration file {machine.nginx_conf}:" in printed
    assert f"# configuration file {machine.etc}/sites-enabled/text:" in printed
    assert site(port, "one") in printed


@every_front
def test_logs_are_reopened_on_usr1(machine, port, maker):
    front = machine.front(maker).ready(port)
    log = machine.log / "access.log"
    text(port)
    wait_until(lambda: log.read_text().count("GET / HTTP/1.1") == 1, what="the first line")
    log.rename(machine.log / "access.log.1")
    front.send(signal.SIGUSR1)
    wait_until(log.exists, what="the new file")

    # The file is there a moment before every process of the server writes to it.
    def is_logged():
        text(port)
        return "GET / HTTP/1.1" in log.read_text()

    wait_until(is_logged, what="a line in the new file")


SLOW = """
upstream slow {{ server 127.0.0.1:{slow}; }}
server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://slow; }} }}
"""


@every_front
def test_quit_lets_the_request_in_flight_finish(machine, maker):
    port, slow = free_port(), free_port()
    machine.write("slow.py", (
        "import http.server, time\n"
        "class H(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        time.sleep(1.5); self.send_response(200); self.send_header('Content-Length', '4')\n"
        "        self.end_headers(); self.wfile.write(b'slow')\n"
        f"http.server.HTTPServer(('127.0.0.1', {slow}), H).serve_forever()\n"
    ))  # fmt: skip
    machine.start([sys.executable, "slow.py"], name="slow").ready(slow)
    machine.site("text", SLOW.format(port=port, slow=slow))
    front = machine.front(maker).ready(port)
    answers = []
    asking = threading.Thread(target=lambda: answers.append(text(port)))
    asking.start()
    time.sleep(0.5)
    assert machine.front_says(maker, "-s", "quit")[0] == 0
    assert front.wait() == 0
    asking.join()
    assert answers == ["slow"]


@every_front
def test_the_pid_file_holds_the_master_and_goes_with_it(machine, port, maker):
    front = machine.front(maker).ready(port)
    pid_file = machine.run / "nginx.pid"
    wait_until(pid_file.exists, what="the pid file")
    assert int(pid_file.read_text()) == front.pid
    assert machine.front_says(maker, "-s", "stop")[0] == 0
    assert front.wait() == 0
    assert not pid_file.exists()


def test_the_front_process_runs_as_the_configured_user(machine, port):
    if os.getuid() != 0 or machine.uid is None:
        pytest.skip("only root can become somebody else, where everybody can reach the interpreter")
    front = machine.front("ours").ready(port)
    assert text(port) == "one"
    owners = {os.stat(f"/proc/{pid}").st_uid for pid in descendants(front.pid)}
    assert owners == {pwd.getpwnam("www-data").pw_uid}
