"""`propylon serve`: both halves under load while both are reloaded, and the short command line."""

import os
import signal
import time

import pytest
from harness import client, peers
from harness.load import Load
from harness.processes import free_port, wait_until

SITE = """
server {{
    listen 127.0.0.1:{port};
    location / {{
        include uwsgi_params;
        uwsgi_pass unix:{project}/app.sock;
    }}
}}
"""

APP = """\
from flask import Flask
app = Flask(__name__)

@app.route("/")
def hello():
    return "hello"
"""

INI = """\
[uwsgi]
module = hello:app
master = true
processes = 2
threads = 2
socket = app.sock
disable-logging = true
vacuum = true
"""


@pytest.fixture
def project(machine):
    machine.write("hello.py", APP)
    machine.write("app.ini", INI)
    return machine


@pytest.mark.parametrize("close", [False, True], ids=["kept alive", "closed each time"])
def test_ten_seconds_of_load_with_a_reload_of_both_halves_every_second(project, close):
    port = free_port()
    project.site("hello", SITE.format(port=port, project=project.project))
    process = project.serve("app.ini").ready(port)
    assert client.get(port).text() == "hello"
    load = Load(f"http://127.0.0.1:{port}/", 10, close=close)
    for _ in range(9):
        time.sleep(1)
        process.send(signal.SIGHUP)
    counted = load.finish()
    assert counted.clean(), counted.report + process.log()[-3000:] + project.error_log()[-3000:]
    assert process.stop(signal.SIGTERM) == 0
    assert not (project.project / "app.sock").exists()


def test_server_blocks_alone_are_enough_of_a_site(project):
    port = free_port()
    site = project.project / "site.conf"
    site.write_text(SITE.format(port=port, project=project.project))
    project.serve("app.ini", site).ready(port)
    assert client.get(port).text() == "hello"


def test_the_short_command_line_serves_an_app(project):
    port = free_port()
    command = [peers.OURS, "serve", "hello:app", "--listen", f"127.0.0.1:{port}"]
    process = project.start(command, name="serve").ready(port)
    assert client.get(port).text() == "hello"
    assert process.stop(signal.SIGINT) == 0


def test_the_socket_of_the_ini_still_serves_others(project):
    port, other = free_port(), free_port()
    project.site("hello", SITE.format(port=port, project=project.project))
    process = project.serve("app.ini").ready(port, project.project / "app.sock")
    second = project.folder / "second.conf"
    second.write_text(
        f"pid {project.run}/second.pid; error_log {project.log}/second.log;\n"
        f"events {{}}\nhttp {{ access_log off; {SITE.format(port=other, project=project.project)} }}\n"
        .replace("include uwsgi_params", f"include {project.etc}/uwsgi_params")
    )
    user = "user root; " if os.getuid() == 0 else ""
    project.start([peers.NGINX, "-c", str(second), "-g", f"{user}daemon off;"], cwd="/").ready(other)
    assert client.get(other).text() == "hello"
    assert process.running()


def test_new_code_and_a_new_site_come_with_one_hup(project):
    port = free_port()
    project.site("hello", SITE.format(port=port, project=project.project))
    process = project.serve("app.ini").ready(port)
    project.write("hello.py", APP.replace('"hello"', '"new"'))
    site = SITE.format(port=port, project=project.project)
    project.site("hello", site.replace("location /", "add_header X-New 1; location /"))
    process.send(signal.SIGHUP)
    wait_until(lambda: client.get(port).text() == "new", what="the new code")
    wait_until(lambda: client.get(port).header("X-New") == "1", what="the new site")
