"""`auth_request`: another location is asked, over every protocol, and the body waits for who makes the answer."""

import hashlib
import json
import time

import pytest
from harness import client
from harness.pairs import Stack, every_front, every_pair
from harness.processes import free_port, wait_until

# Tells what it was asked; who comes in says the cookie.
APP = '''
import hashlib, itertools, json, time

count = itertools.count(1)

def app(environ, start_response):
    said = environ["PATH_INFO"]
    body = environ["wsgi.input"].read() if environ.get("CONTENT_LENGTH") not in (None, "", "0") else b""
    if not said.startswith("/check"):
        shown = {
            "method": environ["REQUEST_METHOD"],
            "body": hashlib.sha256(body).hexdigest(),
            "user": environ.get("HTTP_X_USER", environ.get("X_USER")),
        }
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(shown).encode()]
    status = environ.get("HTTP_X_WANTED", "200")
    if "slow" in status:
        status = status.replace("slow", "")
        time.sleep(0.5)
    headers = [("X-User", "ann " + environ["REQUEST_METHOD"]), ("X-Body", str(len(body)))]
    headers.append(("X-Uri", environ["REQUEST_URI"]))
    headers.append(("X-Count", str(next(count))))
    headers.append(("X-Original", environ.get("HTTP_X_ORIGINAL", "none")))
    if status == "401":
        headers.append(("WWW-Authenticate", 'Bearer realm="app"'))
    start_response(status + " Said", headers)
    return [b"the text of the check"] * (int(environ.get("HTTP_X_PIECES", "1")))
'''

SITE = """
proxy_cache_path {lib}/checks keys_zone=checks:1m;
server {{
    listen 127.0.0.1:{port};
    server_name www.test;
    root {project};
    client_max_body_size 30m;
    include uwsgi_params;
    auth_request_set $user $upstream_http_x_user;
    auth_request_set $asked $upstream_status;
    auth_request_set $length $upstream_http_x_body;
    auth_request_set $uri_there $upstream_http_x_uri;
    add_header X-Asked "$asked $user $length" always;
    add_header X-Uri-There "$uri_there" always;

    location = /check-uwsgi {{
        internal;
        uwsgi_pass_request_body off;
        uwsgi_param CONTENT_LENGTH "";
        uwsgi_param QUERY_STRING "";
        uwsgi_param REQUEST_METHOD $request_method;
        uwsgi_param REQUEST_URI $request_uri;
        uwsgi_param PATH_INFO /check;
        uwsgi_param SERVER_NAME x;
        uwsgi_param SERVER_PORT 80;
        uwsgi_param SERVER_PROTOCOL $server_protocol;
        uwsgi_param HTTP_X_ORIGINAL $request_uri;
        uwsgi_pass unix:{project}/app.sock;
    }}
    location = /check-http {{
        internal;
        proxy_pass http://127.0.0.1:{http}/check;
        proxy_pass_request_body off;
        proxy_set_header Content-Length "";
        proxy_set_header X-Original $request_uri;
    }}
    location = /check-cached {{
        internal;
        proxy_pass http://127.0.0.1:{http}/check;
        proxy_pass_request_body off;
        proxy_set_header Content-Length "";
        proxy_cache checks;
        proxy_cache_key "$http_x_wanted $http_x_pieces";
        proxy_cache_valid 200 403 1m;
    }}
    location /cached/ {{
        auth_request /check-cached;
        auth_request_set $count $upstream_http_x_count;
        auth_request_set $cache $upstream_cache_status;
        add_header X-Count "$count $cache $upstream_cache_status" always;
        alias {project}/;
    }}
    location /uwsgi/ {{ auth_request /check-uwsgi; include uwsgi_params; uwsgi_param X_USER $user; uwsgi_pass unix:{project}/app.sock; }}
    location /http/ {{
        auth_request /check-http;
        proxy_set_header X-User $user;
        proxy_pass http://127.0.0.1:{http};
    }}
    location /unbuffered/ {{
        auth_request /check-http;
        proxy_set_header X-User $user;
        proxy_request_buffering off;
        proxy_http_version 1.1;
        proxy_pass http://127.0.0.1:{http};
    }}
    location /files/ {{ auth_request /check-uwsgi; alias {project}/; }}
}}
"""

INI = """\
[uwsgi]
wsgi-file = app.py
master = true
processes = 1
threads = 4
socket = app.sock
chmod-socket = 666
http-socket = 127.0.0.1:{http}
die-on-term = true
"""


@pytest.fixture
def ports(machine):
    port, http = free_port(), free_port()
    machine.write("app.py", APP.replace("def app", "def application"))
    machine.write("page.txt", "in")
    machine.write("app.ini", INI.format(http=http))
    machine.site("asked", SITE.format(port=port, http=http, project=machine.project, lib=machine.lib))
    return port, http


def started(machine, pair, ports):
    stack = Stack(machine, pair)
    stack.start_app("app.ini", machine.project / "app.sock", ports[1])
    stack.start_front(ports[0])
    return ports[0]


def ask(port, target, wanted="200", method="GET", body=None, **more):
    headers = [("Host", "www.test"), ("X-Wanted", wanted), *((name.replace("_", "-"), text) for name, text in more.items())]
    return client.request(port, method=method, target=target, headers=headers, body=body)


@every_pair
def test_the_app_is_asked_and_its_status_decides(machine, pair, ports):
    port = started(machine, pair, ports)
    for target in ("/uwsgi/page?x=1", "/http/page?x=1", "/files/page.txt"):
        for wanted, expected in (("200", 200), ("204", 200), ("299", 200), ("403", 403), ("401", 401), ("404", 500),
                                 ("302", 500), ("500", 500), ("slow200", 200)):
            answer = ask(port, target, wanted)
            assert answer.status == expected, (target, wanted)
            asked = wanted.replace("slow", "")
            assert answer.header("X-Asked") == f"{asked} ann GET 0", (target, wanted)
            challenge = 'Bearer realm="app"' if wanted == "401" else None
            assert answer.header("WWW-Authenticate") == challenge, (target, wanted)
            if expected == 200 and "files" not in target:
                assert json.loads(answer.text())["user"] == "ann GET"
            if expected == 200 and "files" in target:
                assert answer.text() == "in"
    assert ask(port, "/files/page.txt?y=2").header("X-Uri-There") == "/files/page.txt?y=2"
    assert ask(port, "/http/z").header("X-Uri-There") == "/check"
    assert ask(port, "/files/page.txt", method="HEAD").status == 200
    assert ask(port, "/check-uwsgi").status == 404 and ask(port, "/check-http").status == 404
    assert "auth request unexpected status: 404" in machine.error_log()
    log = machine.log / "access.log"
    wait_until(lambda: log.read_text().count("/check") >= 2, 5, "the last requests in the access log")
    assert log.read_text().count("/check") == 2


@every_pair
def test_the_body_goes_to_who_makes_the_answer_and_to_nobody_else(machine, pair, ports):
    port = started(machine, pair, ports)
    for size in (1, 20_000, 3_000_000):
        body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        digest = hashlib.sha256(body).hexdigest()
        for target in ("/uwsgi/", "/http/", "/unbuffered/"):
            with client.Connection(port) as connection:
                for wanted, expected in (("200", 200), ("slow200", 200), ("200", 200)):
                    headers = [("Host", "www.test"), ("X-Wanted", wanted)]
                    answer = connection.request("POST", target, headers, body)
                    assert answer.status == expected, (target, wanted, size)
                    assert answer.header("X-Asked") == f"200 ann {'POST' if 'uwsgi' in target else 'GET'} 0"
                    shown = json.loads(answer.text())
                    assert (shown["method"], shown["body"]) == ("POST", digest), (target, wanted, size)
            assert ask(port, target, "403", "POST", body).status == 403
    # A body that comes after the question has been answered.
    with client.Connection(port) as connection:
        connection.send(client.build("POST", "/http/", [("Host", "www.test"), ("Content-Length", "6")]))
        time.sleep(0.3)
        connection.send(b"abc")
        time.sleep(0.1)
        connection.send(b"def")
        assert json.loads(connection.answer().text())["body"] == hashlib.sha256(b"abcdef").hexdigest()


@every_pair
def test_the_text_of_the_check_is_read_and_not_sent(machine, pair, ports):
    port = started(machine, pair, ports)
    with client.Connection(port) as connection:
        for _ in range(3):
            headers = [("Host", "www.test"), ("X-Pieces", "30000")]
            answer = connection.request(target="/files/page.txt", headers=headers)
            assert (answer.status, answer.text()) == (200, "in")


@every_pair
def test_answers_of_the_check_may_come_from_a_cache(machine, pair, ports):
    port = started(machine, pair, ports)
    for wanted, pieces in (("200", "1"), ("200", "30000"), ("403", "1")):
        counts = []
        for cache in ("MISS", "HIT", "HIT"):
            answer = ask(port, "/cached/page.txt", wanted, x_pieces=pieces)
            assert answer.status == int(wanted)
            assert (answer.text() == "in") == (wanted == "200")
            count, _, status = answer.header("X-Count").partition(" ")
            assert status.strip() == cache
            counts.append(count)
        assert len(set(counts)) == 1, counts


RULES = """
map $http_x_wanted $wanted {{ default 200; ~^\\d+$ $http_x_wanted; }}
server {{
    listen 127.0.0.1:{port};
    root {project};
    set $said none;
    auth_request /check;
    location = /check {{
        internal;
        allow 10.0.0.1; deny all;
        set $said "$request_method $uri $request_uri $http_x_wanted";
        if ($http_x_wanted = 204) {{ return 204; }}
        if ($http_x_wanted = 301) {{ return 301 /x; }}
        if ($http_x_wanted = 401) {{ return 401; }}
        if ($http_x_wanted = 403) {{ return 403; }}
        if ($http_x_wanted = 404) {{ return 404; }}
        return 200 checked;
    }}
    add_header X-Said $said always;
    location / {{ }}
    location /off/ {{ auth_request off; try_files /page.txt =404; }}
    location /nowhere/ {{ auth_request /missing; }}
    location /page/ {{ auth_request /file-check; try_files /page.txt =404; }}
    location = /file-check {{ deny all; auth_basic x; auth_basic_user_file users; try_files /page.txt =404; }}
    location /paged/ {{ error_page 403 /off/x; error_page 401 =200 @in; try_files /page.txt =404; }}
    location @in {{ auth_request off; try_files /page.txt =404; }}
    location /paged-check/ {{ auth_request /with-page; try_files /page.txt =404; }}
    location = /with-page {{ error_page 404 =204 /off/x; return 404; }}
    location /any/ {{ satisfy any; deny all; auth_basic x; auth_basic_user_file users; try_files /page.txt =404; }}
    location /all/ {{ auth_basic x; auth_basic_user_file users; try_files /page.txt =404; }}
    location /returned/ {{ return 200 early; }}
    location /redirected/ {{ try_files /nothing /all/x; }}
}}
"""


@every_front
def test_the_question_is_a_request_of_the_server_and_takes_part_in_satisfy(machine, maker):
    port = free_port()
    machine.write("page.txt", "in")
    (machine.etc / "users").write_text("ann:{PLAIN}secret\n")
    machine.site("rules", RULES.format(port=port, project=machine.project))
    machine.front(maker).ready(port)
    good = {"Authorization": "Basic YW5uOnNlY3JldA=="}
    bad = {"Authorization": "Basic YW5uOnNlY3JlVA=="}
    for target, wanted, more, expected in (
        ("/page.txt", "200", {}, 200),
        ("/page.txt", "204", {}, 200),
        ("/page.txt", "301", {}, 500),
        ("/page.txt", "401", {}, 401),
        ("/page.txt", "403", {}, 403),
        ("/page.txt", "404", {}, 500),
        ("/nothing", "200", {}, 404),
        ("/off/", "403", {}, 200),
        ("/nowhere/", "200", {}, 500),
        ("/page/", "403", {}, 200),
        ("/paged/", "200", {}, 200),
        ("/paged/", "403", {}, 403),
        ("/paged/", "401", {}, 200),
        ("/paged-check/", "200", {}, 200),
        ("/any/", "200", {}, 200),
        ("/any/", "403", good, 200),
        ("/any/", "403", bad, 401),
        ("/any/", "403", {}, 401),
        ("/any/", "404", {}, 500),
        ("/any/", "404", good, 200),
        ("/all/", "200", good, 200),
        ("/all/", "200", bad, 401),
        ("/all/", "403", good, 403),
        ("/all/", "404", bad, 401),
        ("/returned/", "403", {}, 200),
        ("/redirected/", "200", {}, 401),
        ("/redirected/", "200", good, 200),
        ("/check", "200", {}, 404),
    ):
        answer = ask(port, target, wanted, **more)
        assert answer.status == expected, (target, wanted, more)
        asks = [value for name, value in answer.headers if name == "WWW-Authenticate"]
        # Beside a 500, nginx leaves what another check asked.
        if expected != 500:
            assert bool(asks) == (expected == 401 and "/page" not in target), (target, wanted, more)
        if expected == 200 and target != "/returned/":
            assert answer.text() == "in", (target, wanted)
    said = ask(port, "/page.txt?a=b", "204", method="DELETE").header("X-Said")
    assert said == "DELETE /check /page.txt?a=b 204"
    # Nothing in the access log tells of the questions.
    log = machine.log / "access.log"
    wait_until(lambda: "/check" in log.read_text(), 5, "the last request in the access log")
    assert log.read_text().count("/check") == 1


def test_a_client_that_leaves_while_the_app_thinks_is_noticed(machine, ports):
    port = started(machine, "ours+ours", ports)
    with client.Connection(port) as connection:
        connection.send(client.build("GET", "/files/page.txt", [("Host", "www.test"), ("X-Wanted", "slow200")]))
        time.sleep(0.2)
    log = machine.log / "access.log"
    wait_until(lambda: " 499 " in log.read_text(), 5, "499 in the access log")
    assert ask(port, "/files/page.txt").text() == "in"
