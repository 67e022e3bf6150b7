"""The guide "How To Serve Flask Applications with uWSGI and Nginx", from its first command to its last."""

import os
import re
import signal
import stat
import sys

import pytest
from harness import client
from harness.pairs import Stack, every_app_server, every_pair
from harness.processes import descendants, free_port, wait_until

from . import apps


@pytest.fixture
def project(machine):
    machine.write("myproject.py", apps.MYPROJECT)
    machine.write("wsgi.py", apps.MYPROJECT_WSGI)
    machine.write("myproject.ini", apps.MYPROJECT_INI)
    return machine


@every_app_server
def test_the_command_line_serves_the_app_over_http_and_ctrl_c_ends_it(project, maker):
    port = free_port()
    app = project.app(maker, "--socket", f"127.0.0.1:{port}", "--protocol=http", "-w", "wsgi:app")
    app.ready(port)
    answer = client.get(port)
    assert (answer.status, answer.text()) == (200, apps.HELLO)
    below = descendants(app.pid)
    app.stop(signal.SIGINT)
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in below), what="end of children")


@every_app_server
def test_the_ini_makes_five_workers_a_socket_of_mode_660_and_cleans_up(project, maker):
    app = project.app(maker, "--ini", "myproject.ini")
    socket = project.project / "myproject.sock"
    app.ready(socket)
    assert stat.S_IMODE(socket.stat().st_mode) == 0o660
    spawned = wait_until(
        lambda: len(re.findall(r"spawned uWSGI worker \d+ \(", app.log())) == 5 and app.log(),
        what="five workers",
    )
    pids = [int(pid) for pid in re.findall(r"spawned uWSGI worker \d+ \(pid: (\d+)", spawned)]
    assert all(os.path.exists(f"/proc/{pid}") for pid in pids)
    assert app.stop(signal.SIGTERM) == 0
    assert not socket.exists()
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)


@every_pair
def test_the_site_shows_the_app(project, pair):
    stack = Stack(project, pair)
    port = free_port()
    socket = project.project / "myproject.sock"
    project.site(
        "myproject",
        f"""
server {{
    listen 127.0.0.1:{port};
    server_name server_domain_or_IP;

    location / {{
        include uwsgi_params;
        uwsgi_pass unix:{socket};
    }}
}}
""",
    )
    code, said = stack.check_front()
    assert code == 0
    assert "syntax is ok" in said and "test is successful" in said

    stack.start_app("myproject.ini", socket)
    stack.start_front(port)
    for host in ("server_domain_or_IP", "127.0.0.1"):
        answer = client.get(port, host=host)
        assert (answer.status, answer.text()) == (200, apps.HELLO)
        assert answer.header("Content-Type") == "text/html; charset=utf-8"
        assert answer.header("Server").startswith("nginx")

    stack.restart_front(port)
    assert client.get(port).text() == apps.HELLO
    assert stack.front.stop() == 0
    if stack.app is not stack.front:
        assert stack.app.stop() == 0
    assert not socket.exists()


@pytest.mark.skipif(sys.version_info < (3, 9), reason="the oldest CPython that is served")
@every_app_server
def test_a_bare_ini_is_enough_and_options_come_from_the_environment(project, maker):
    port = free_port()
    environment = project.environment(UWSGI_HTTP_SOCKET=f"127.0.0.1:{port}")
    app = project.app(maker, "myproject.ini", env=environment)
    app.ready(port, project.project / "myproject.sock")
    assert client.get(port).text() == apps.HELLO
