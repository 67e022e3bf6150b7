"""The cookbook "Deploying Flask application using uWSGI web server with Nginx", recipe by recipe."""

import hashlib
import signal
import stat
import threading
import time

import pytest
from harness import client
from harness.pairs import Stack, every_app_server, every_pair
from harness.processes import free_port, wait_until

from . import apps


@pytest.fixture
def project(machine):
    machine.write("app.py", apps.APP)
    return machine


def flask_site(port, socket, more=""):
    return f"""
server {{
    listen 127.0.0.1:{port};
    server_name localhost;

    location / {{
        include uwsgi_params;
        uwsgi_pass unix://{socket};
        {more}
    }}
}}
"""


@every_app_server
def test_a_file_is_served_over_http_from_the_command_line(project, maker):
    port = free_port()
    project.app(maker, "--wsgi-file", "app.py", "--http", f"127.0.0.1:{port}").ready(port)
    answer = client.get(port)
    assert answer.status == 200
    assert answer.text().startswith("Hello uWSGI from python version: <br>3.")


@every_pair
def test_the_site_answers_502_until_the_socket_is_there_and_then_serves_by_itself(project, pair):
    stack = Stack(project, pair)
    if stack.together:
        pytest.skip("`serve` always brings the socket itself")
    port, http = free_port(), free_port()
    socket = project.project / "flask.sock"
    project.site("flaskconfig", flask_site(port, socket))
    stack.start_front(port)
    answer = client.get(port)
    assert answer.status == 502
    assert "<center><h1>502 Bad Gateway</h1></center>" in answer.text()
    stack.error_log_says(f"connect() to unix://{socket} failed (2: No such file or directory)")

    ini = apps.UWSGI_INI.format(http=http) + f"socket = {socket}\nchmod-socket = 666\n"
    project.write("uwsgi.ini", ini)
    stack.start_app("uwsgi.ini", socket, http)
    assert stat.S_IMODE(socket.stat().st_mode) == 0o666
    assert client.get(port).text().startswith("Hello uWSGI")
    assert client.get(http).text().startswith("Hello uWSGI")


@every_pair
def test_without_the_http_line_only_the_socket_serves(project, pair):
    stack = Stack(project, pair)
    port, http = free_port(), free_port()
    socket = project.project / "flask.sock"
    project.site("flaskconfig", flask_site(port, socket))
    ini = apps.UWSGI_INI.format(http=http) + f"socket = {socket}\nchmod-socket = 666\n"
    project.write("uwsgi.ini", ini)
    stack.start_app("uwsgi.ini", socket, http)
    stack.start_front(port)
    assert client.get(http).text().startswith("Hello uWSGI")
    assert client.get(port).text().startswith("Hello uWSGI")
    stack.front.stop()
    if not stack.together:
        stack.app.stop(signal.SIGINT)

    project.write("uwsgi.ini", ini.replace(f"http = 127.0.0.1:{http}\n", ""))
    stack.start_app("uwsgi.ini", socket)
    stack.start_front(port)
    assert client.get(port).text().startswith("Hello uWSGI")
    with pytest.raises(ConnectionRefusedError):
        client.get(http)


@every_pair
def test_with_buffering_off_every_second_a_new_line_pops_up(project, pair):
    stack = Stack(project, pair)
    port = free_port()
    socket = project.project / "flask.sock"
    project.site("flaskconfig", flask_site(port, socket, "uwsgi_buffering off;"))
    project.write("uwsgi.ini", f"[uwsgi]\nwsgi-file = app.py\nmaster = true\nsocket = {socket}\nchmod-socket = 666\n")
    stack.start_app("uwsgi.ini", socket)
    stack.start_front(port)
    with client.Connection(port) as connection:
        connection.send(client.build(target="/time/"))
        first = connection.read_for(0.7)
        assert first.count(b"<p>") == 1
        second = connection.read_for(2.1)
        assert second.count(b"<p>") == 2
    # The client has gone for good: the worker must notice and take the next request.
    assert client.get(port).text().startswith("Hello uWSGI")


@every_pair
def test_with_buffering_the_page_loads_forever(project, pair):
    stack = Stack(project, pair)
    port = free_port()
    socket = project.project / "flask.sock"
    project.site("flaskconfig", flask_site(port, socket))
    project.write("uwsgi.ini", f"[uwsgi]\nwsgi-file = app.py\nmaster = true\nsocket = {socket}\nchmod-socket = 666\n")
    stack.start_app("uwsgi.ini", socket)
    stack.start_front(port)
    with client.Connection(port) as connection:
        connection.send(client.build(target="/time/"))
        assert b"<p>" not in connection.read_for(1.5)


@pytest.fixture
def example(machine):
    machine.write("myexample.py", apps.MYEXAMPLE)
    machine.write("wsgi.py", apps.MYEXAMPLE_WSGI)
    machine.write("myexample.ini", apps.MYEXAMPLE_INI)
    return machine


@every_app_server
def test_a_module_alone_means_its_callable_application(example, maker):
    port = free_port()
    example.app(maker, "--socket", f"127.0.0.1:{port}", "--protocol=http", "-w", "wsgi").ready(port)
    assert client.get(port).text() == "<h1>Hello World</h1>"


def caching_site(machine, inner, outer, more=""):
    cache = machine.lib / "cache"
    return f"""
server {{
    listen 127.0.0.1:{inner} default_server;
    server_name myexample.com; #you can also use your IP
    charset utf-8;
    root {machine.project};
    location /api {{
        include uwsgi_params;
        uwsgi_pass unix:{machine.project}/myexample.sock;
    }}
}}

proxy_cache_path {cache} levels=1:2 keys_zone=my_zone:10m inactive=60m;
proxy_cache_key "$scheme$request_method$host$request_uri";

server {{
    listen   127.0.0.1:{outer}  default_server;
    server_name www.example.com;
    location /api {{
        add_header X-Proxy-Cache $upstream_cache_status;
        proxy_cache my_zone;
        proxy_cache_use_stale updating;
        proxy_cache_lock on;
        # cache all responses ?
        # proxy_cache_valid 30d;
        proxy_cache_valid 200 30d;
        proxy_ignore_headers X-Accel-Expires Expires Cache-Control;
        proxy_pass http://127.0.0.1:{inner}/api;
        {more}
    }}
}}
"""


@every_pair
def test_the_caching_site_answers_from_disk_also_after_a_restart(example, pair):
    stack = Stack(example, pair)
    inner, outer = free_port(), free_port()
    example.site("myexample", caching_site(example, inner, outer))
    code, said = stack.check_front()
    assert code == 0, said
    stack.start_app("myexample.ini", example.project / "myexample.sock")
    stack.start_front(inner, outer)

    plain = client.get(inner, "/api", "myexample.com")
    assert (plain.status, plain.text()) == (200, "<h1>Hello World</h1>")
    first = client.get(outer, "/api", "www.example.com")
    assert (first.status, first.header("X-Proxy-Cache"), first.body) == (200, "MISS", plain.body)
    second = client.get(outer, "/api", "www.example.com")
    assert (second.status, second.header("X-Proxy-Cache"), second.body) == (200, "HIT", plain.body)
    assert second.header("Content-Type") == first.header("Content-Type")

    name = hashlib.md5(b"httpGETwww.example.com/api").hexdigest()
    path = example.lib / "cache" / name[-1] / name[-3:-1] / name
    wait_until(path.exists, what=f"{path}")

    stack.restart_front(inner, outer)
    status = lambda: client.get(outer, "/api", "www.example.com").header("X-Proxy-Cache")  # noqa: E731
    assert status() == "HIT"


@every_pair
def test_twelve_clients_at_once_make_one_fetch(example, pair):
    example.write(
        "wsgi.py",
        "import os, time\n"
        "def application(environ, start_response):\n"
        "    time.sleep(0.5)\n"
        f"    with open({str(example.project / 'calls')!r}, 'a') as calls: calls.write('x')\n"
        "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
        "    return [b'slow']\n",
    )
    stack = Stack(example, pair)
    inner, outer = free_port(), free_port()
    example.site("myexample", caching_site(example, inner, outer))
    stack.start_app("myexample.ini", example.project / "myexample.sock")
    stack.start_front(inner, outer)

    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(client.get(outer, "/api", "www.example.com")))
        for _ in range(12)
    ]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.text() for answer in answers] == ["slow"] * 12
    assert time.monotonic() - started < 5
    assert (example.project / "calls").read_text() == "x"
    statuses = sorted(answer.header("X-Proxy-Cache") for answer in answers)
    assert statuses == ["HIT"] * 11 + ["MISS"]
