"""The same request through nginx and uWSGI, and through ours: the same status, headers and body."""

import gzip
import os
import pathlib
import tempfile

import pytest
from harness import peers
from harness.client import Answer, Connection
from harness.pairs import OUR_PAIRS, Stack
from harness.processes import free_port
from harness.site import Machine

from .requests import EVERY

# Headers that differ by nature: the moment, and the name and version of the program.
ASIDE = {"date", "server"}
# 2022-01-01, so that ETag and Last-Modified are the same on both machines.
MODIFIED = 1640995200

INI = """\
[uwsgi]
module = echo_app:app
master = true
processes = 1
threads = 2
socket = app.sock
chmod-socket = 666
vacuum = true
buffer-size = 32768
die-on-term = true
"""

SITE = """
upstream app {{ server unix:{project}/app.sock; }}

server {{
    listen 127.0.0.1:{port} default_server;
    server_name fallback;
    return 200 "default server for $host\\n";
}}

server {{
    listen 127.0.0.1:{port};
    server_name www.example.com;
    root {root};
    port_in_redirect off;
    client_max_body_size 20m;
    include uwsgi_params;

    location / {{ uwsgi_pass app; }}
    location /static/ {{ root {root}; }}
    location /protected/ {{ internal; alias {root}/static/sub/; add_header X-From-Front 1; }}
    location = /returned {{ default_type text/plain; return 200 "text for $request_method $uri\\n"; }}
    location = /gone-there {{ return 301 https://other.example$request_uri; }}
    location = /gone-here {{ return 302 /static/page.html; }}
    location = /teapot {{ return 418; }}
    location /custom/ {{ root {root}; error_page 404 /static/page.html; }}
    location /masked/ {{ root {root}; error_page 404 =200 /static/text.txt; }}
    location /named/ {{ root {root}; error_page 404 = @app; }}
    location @app {{ uwsgi_pass app; }}
    location /added/ {{ alias {root}/static/; add_header X-Added "$uri"; add_header X-Always yes always; charset utf-8; }}
    # Said in full, because the defaults changed between nginx 1.22 and 1.31.
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $host;
    location /proxied/ {{ proxy_pass http://127.0.0.1:{inner}/; }}
    location /forwarded/ {{
        proxy_set_header Connection "";
        proxy_set_header Host $host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_pass http://127.0.0.1:{inner}/;
    }}
    location /replaced/ {{ proxy_pass http://127.0.0.1:{inner}/environ/; }}
    location /intercepted/ {{ proxy_pass http://127.0.0.1:{inner}/; proxy_intercept_errors on; error_page 503 /static/text.txt; }}
    location /small/ {{ client_max_body_size 1k; uwsgi_pass app; }}
    location /dead/ {{ uwsgi_pass unix:{project}/nobody.sock; }}
}}

server {{
    listen 127.0.0.1:{inner};
    location / {{ include uwsgi_params; uwsgi_pass app; }}
}}
"""


def files(root):
    (root / "static" / "sub").mkdir(parents=True)
    (root / "static" / "bare").mkdir()
    texts = {
        "static/page.html": "<html><body>" + "page " * 200 + "</body></html>\n",
        "static/text.txt": "0123456789" * 10,
        "static/data.unknown": "data\n",
        "static/empty.txt": "",
        "static/with blank.txt": "blank\n",
        "static/sub/index.html": "<p>index of sub</p>\n",
        "static/sub/file.txt": "protected\n",
    }
    for name, text in texts.items():
        (root / name).write_text(text)
        os.utime(root / name, (MODIFIED, MODIFIED))


class Running:
    """One pair at work, asked by request name."""

    def __init__(self, pair):
        self.pair = pair
        self.machine = Machine(tempfile.mkdtemp(prefix="propylon-same-"))
        self.port, inner = free_port(), free_port()
        app = pathlib.Path(__file__).with_name("echo_app.py").read_text()
        written = self.machine.write("echo_app.py", app)
        os.utime(written, (MODIFIED, MODIFIED))
        self.machine.write("app.ini", INI)
        root = self.machine.folder / "root"
        files(root)
        self.machine.site(
            "site",
            SITE.format(project=self.machine.project, root=root, port=self.port, inner=inner),
        )
        stack = Stack(self.machine, pair)
        stack.start_app("app.ini", self.machine.project / "app.sock")
        stack.start_front(self.port, inner)

    def answer(self, name):
        method, data = EVERY[name]
        with Connection(self.port) as connection:
            connection.send(data)
            try:
                return connection.answer(method)
            except ConnectionError as closed:
                return Answer(0, str(closed), [], b"")

    def close(self):
        try:
            self.machine.close()
        finally:
            self.machine.remove()


def running(pair):
    made = Running(pair)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def original():
    yield from running("nginx+uwsgi")


@pytest.fixture(scope="module", params=OUR_PAIRS)
def ours(request):
    yield from running(request.param)


# Where ours answers otherwise on purpose: whose part it is, status, beginning of the body. The
# reasons are in docs/differences.md.
DIFFERENT_ON_PURPOSE = {
    # uWSGI's app reads nothing of a chunked body.
    "chunked POST": ("app", 200, b"POST 5011 "),
    "chunked POST, large": ("app", 200, b"POST 500000 "),
    # uWSGI closes on what the app did not read: now and then nginx makes a 502 of it.
    "POST that the app does not read": ("app", 200, b"did not read"),
    # No tunnels: nginx 1.22 takes the target for a broken one, later ones say 405.
    "CONNECT": ("front", 405, b"<html>"),
}
# Which parts of a pair are ours.
OUR_PARTS = {"ours+ours": ("front", "app"), "serve": ("front", "app"), "ours+uwsgi": ("front",), "nginx+ours": ("app",)}


def comparable(answer):
    """What must be equal; a compressed body is compared by what is in it."""
    headers = sorted(
        (name, value) for name, value in answer.headers if name.lower() not in ASIDE
    )
    body = answer.body
    if answer.header("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
        headers = [pair for pair in headers if pair[0] != "Content-Length"]
    return {
        "status": answer.status,
        "reason": answer.reason,
        "headers": headers,
        "body": body.replace(server_token(answer), b"SERVER"),
        "complete": answer.complete,
    }


def server_token(answer):
    """Error pages end in the program's name and version, as its Server header has it."""
    return (answer.header("Server") or "nothing").encode()


@pytest.mark.parametrize("name", EVERY)
def test_the_same_request_gets_the_same_answer(original, ours, name):
    part, status, body = DIFFERENT_ON_PURPOSE.get(name, (None, None, None))
    if part in OUR_PARTS[ours.pair]:
        answer = ours.answer(name)
        assert (answer.status, answer.body[: len(body)]) == (status, body)
        return
    if part == "app":
        pytest.skip("what the original app server does with this is not always the same")
    answer, expected = comparable(ours.answer(name)), comparable(original.answer(name))
    # nginx has no phrase for some codes of the RFC; ours has.
    if not expected["reason"]:
        del answer["reason"], expected["reason"]
    assert answer == expected


def test_there_are_enough_requests():
    assert len(EVERY) >= 40
    assert peers.NGINX and peers.UWSGI
