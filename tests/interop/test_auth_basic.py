"""Passwords: whom nginx lets in, and what it says to the others, beside ours."""

import base64
import os
import threading
import time

import pytest
from harness import client
from harness.pairs import every_front
from harness.processes import free_port, wait_until

# `secret` in every format, and lines that are traps.
USERS = """\
# a comment
#hidden:{PLAIN}secret
plain:{PLAIN}secret:a comment
sha:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=
ssha:{SSHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0
apr1:$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/
des:abNANd1rDfiNc
md5:$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1
sha256:$5$rounds=1000$abcdefgh$XIppta5rT8zJUu4vAOKQXrwq9uY4Ijlz6VjyOmkx5i4
sha512:$6$rounds=1000$abcdefgh$nhYjN017qxiYztzyUpZtPnUQcnLy62KsunSLHNeLahp2EHPlAKmFFlrjEwSXGo2kgY5hR2.peKEg2VGUqIJJu1
bcrypt:$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW
yescrypt:$y$j75$abcdefgh$uMUXG79B2cFpoAYyDccUnsaH/aGTyBYMlnQidzyag01
crlf:{PLAIN}secret\r
twice:{PLAIN}first
twice:{PLAIN}secret
none:
locked:*
nonsense:nonsense
unknown:$9$abc$def
bad-apr1:$apr1$
bad-sha:{SHA}
bad-ssha:{SSHA}xx
nocolon
last:{PLAIN}secret"""

FORMATS = "plain sha ssha apr1 des md5 sha256 sha512 bcrypt yescrypt crlf last".split()
STRANGERS = "none locked nonsense unknown bad-apr1 bad-sha bad-ssha nocolon hidden #hidden twice nobody".split()

SITE = """
log_format who '$remote_user $status "$request"';
server {{
    listen 127.0.0.1:{port};
    root {project};
    access_log {log}/who.log who;
    auth_basic "staff of $host";
    auth_basic_user_file users;

    location / {{ }}
    location /open/ {{ auth_basic off; try_files /page.txt =404; }}
    location /asked/ {{ auth_basic $arg_realm; try_files /page.txt =404; }}
    location /early/ {{ return 200 early; }}
    location /elsewhere/ {{ auth_basic_user_file $arg_file; try_files /page.txt =404; }}
    location /missing/ {{ auth_basic_user_file missing; }}
    location /folder/ {{ auth_basic_user_file {project}; }}
    location /secret/ {{ auth_basic_user_file unreadable; }}
    location /denied/ {{ deny all; }}
    location /waits/ {{ auth_delay 300ms; }}
    location /tried/ {{ try_files /nothing /tried-then; }}
    location /tried-then {{ auth_basic_user_file other; try_files /page.txt =404; }}
    location /paged/ {{ error_page 401 /open/page; }}
    location /guarded-page/ {{ error_page 401 /page.txt; }}
    location /sent-on/ {{ error_page 401 http://elsewhere.test/; }}
    location /as-200/ {{ error_page 401 =200 /open/page; }}
    location /named/ {{ error_page 401 @named; }}
    location @named {{ auth_basic off; return 418 named; }}
    location /app/ {{ proxy_pass http://127.0.0.1:{port}/early/; }}
}}
"""


@pytest.fixture
def port(machine):
    chosen = free_port()
    machine.write("page.txt", "in")
    (machine.etc / "users").write_bytes(USERS.encode())
    (machine.etc / "other").write_text("plain:{PLAIN}other\n")
    unreadable = machine.etc / "unreadable"
    unreadable.write_text(USERS)
    unreadable.chmod(0)
    machine.site("doors", SITE.format(port=chosen, log=machine.log, project=machine.project))
    return chosen


def coded(text):
    return base64.b64encode(text.encode()).decode()


def ask(port, target="/page.txt", user=None, password="secret", line=None, method="GET", host="a.test"):
    headers = [("Host", host)]
    if user is not None:
        line = f"Basic {coded(f'{user}:{password}')}"
    if line is not None:
        headers.append(("Authorization", line))
    return client.request(port, method=method, target=target, headers=headers)


def told(answer):
    """Status, and what the client is asked."""
    return answer.status, [value for name, value in answer.headers if name.lower() == "www-authenticate"]


def logged(machine, *lines):
    """Waits until every line is in the access log."""
    log = machine.log / "who.log"
    wait_until(lambda: set(lines) <= set(log.read_text().splitlines()), 5, f"{lines} in the access log")


REFUSED = (401, ['Basic realm="staff of a.test"'])


@every_front
def test_every_format_lets_its_own_password_in_and_no_other(machine, port, maker):
    machine.front(maker).ready(port)
    for user in FORMATS:
        for _ in range(2):
            answer = ask(port, user=user)
            assert (answer.status, answer.text()) == (200, "in"), user
            assert told(ask(port, user=user, password="Secret")) == REFUSED, user
            assert told(ask(port, user=user, password="")) == REFUSED, user
    for user in STRANGERS:
        assert told(ask(port, user=user)) == REFUSED, user
        assert told(ask(port, user=user, password="")) == REFUSED, user
    assert ask(port, user="twice", password="first").status == 200
    log = machine.error_log()
    assert 'user "twice": password mismatch, client: 127.0.0.1' in log
    assert f'user "nobody" was not found in "{machine.etc}/users"' in log
    logged(machine, 'bcrypt 200 "GET /page.txt HTTP/1.1"', 'nobody 401 "GET /page.txt HTTP/1.1"')


@every_front
def test_credentials_that_are_none_are_asked_for(machine, port, maker):
    machine.front(maker).ready(port)
    good = coded("plain:secret")
    for line in (None, "", "Basic", "Basic ", "Basic !", f"Basic {good[:-1]}!", f"Bearer {good}", f"Basic{good}",
                 f"Basic {coded('plain')}", f"Basic {coded(':secret')}", f"Basic {coded(':')}", "Basic =", "Basic A"):
        assert told(ask(port, line=line)) == REFUSED, line
    for line in (f"basic {good}", f"BASIC   {good}", f"Basic {good.rstrip('=')}"):
        assert ask(port, line=line).status == 200, line
    assert ask(port, user="plain", password="secret:more").status == 401
    assert "no user/password was provided" not in machine.error_log()
    assert told(ask(port, method="HEAD")) == REFUSED
    assert ask(port, method="HEAD", user="plain").status == 200
    logged(machine, '- 401 "GET /page.txt HTTP/1.1"')


@every_front
def test_two_authorizations_are_never_let_in(machine, port, maker):
    machine.front(maker).ready(port)
    good, bad = (("Authorization", f"Basic {coded(pair)}") for pair in ("plain:secret", "plain:wrong"))
    for lines in ([good, bad], [bad, good], [good, good]):
        assert client.request(port, target="/page.txt", headers=[("Host", "a.test"), *lines]).status in (400, 401)


@every_front
def test_locations_inherit_replace_and_leave_the_door_open(machine, port, maker):
    machine.front(maker).ready(port)
    assert ask(port, "/open/x").text() == "in"
    assert told(ask(port, "/asked/x?realm=me")) == (401, ['Basic realm="me"'])
    assert told(ask(port, "/asked/x")) == (401, ['Basic realm=""'])
    assert ask(port, "/asked/x?realm=off").text() == "in"
    assert ask(port, "/early/x").text() == "early"
    assert ask(port, "/denied/page.txt", user="plain").status == 403
    assert told(ask(port, "/denied/page.txt")) == (403, [])
    # Each location that an internal redirect comes to checks anew.
    assert ask(port, "/tried/x", user="plain").status == 401
    assert ask(port, "/tried/x", user="plain", password="other").status == 401
    assert ask(port, "/tried-then", user="plain", password="other").text() == "in"
    assert ask(port, "/elsewhere/x?file=other", user="plain", password="other").text() == "in"
    assert ask(port, "/elsewhere/x?file=../etc/other", user="plain", password="other").text() == "in"
    assert ask(port, f"/elsewhere/x?file={machine.etc}/other", user="plain", password="other").text() == "in"
    assert ask(port, "/elsewhere/x?file=other", user="plain").status == 401
    assert ask(port, "/app/x").status == 401
    assert ask(port, "/app/x", user="plain").text() == "early"


@every_front
def test_a_user_file_that_cannot_be_read_lets_nobody_in(machine, port, maker):
    machine.front(maker).ready(port)
    for place, status in (("missing", 403), ("folder", 500), ("elsewhere", 500)):
        assert told(ask(port, f"/{place}/x")) == REFUSED, place
        assert told(ask(port, f"/{place}/x", user="plain")) == (status, []), place
    log = machine.error_log()
    assert f'[error]' in log and f'open() "{machine.etc}/missing" failed (2: No such file or directory)' in log
    assert "[crit]" in log
    if os.getuid() != 0 or machine.uid is not None:
        assert told(ask(port, "/secret/x", user="plain")) == (500, [])
        assert f'open() "{machine.etc}/unreadable" failed (13: Permission denied)' in machine.error_log()


@every_front
def test_the_page_of_a_refusal_says_what_is_asked(machine, port, maker):
    machine.front(maker).ready(port)
    page = ask(port, "/paged/x")
    assert told(page) == REFUSED and page.text() == "in"
    guarded = ask(port, "/guarded-page/x")
    assert guarded.status == 401 and b"in" != guarded.body and b"401 Authorization Required" in guarded.body
    sent_on = ask(port, "/sent-on/x")
    assert sent_on.status == 302 and sent_on.header("Location") == "http://elsewhere.test/"
    assert told(ask(port, "/as-200/x")) == (200, REFUSED[1])
    named = ask(port, "/named/x")
    assert told(named) == REFUSED and named.text() == "named"
    # Nothing of a refusal stays with the connection.
    with client.Connection(port) as connection:
        assert told(connection.request(target="/page.txt", headers=[("Host", "a.test")])) == REFUSED
        good = ("Authorization", f"Basic {coded('plain:secret')}")
        assert told(connection.request(target="/page.txt", headers=[("Host", "a.test"), good])) == (200, [])


@every_front
def test_edits_of_the_user_file_count_without_a_reload(machine, port, maker):
    machine.front(maker).ready(port)
    users = machine.etc / "users"
    for _ in range(40):
        assert ask(port, user="md5").status == 200
    for text, user, status in (
        ("new:{PLAIN}secret\n", "md5", 401),
        ("new:{PLAIN}secret\n", "new", 200),
        ("md5:{PLAIN}other\n", "md5", 401),
        ("x:{PLAIN}x\n" * 10000 + USERS, "md5", 200),
    ):
        beside = machine.etc / "users.new"
        beside.write_text(text)
        beside.rename(users)
        wait_until(lambda: ask(port, user=user).status == status, 2, f"{status} for {user}")
    users.unlink()
    wait_until(lambda: ask(port, user="md5").status == 403, 2, "403 without a file")


@every_front
def test_a_refusal_waits_as_long_as_auth_delay_says(machine, port, maker):
    machine.front(maker).ready(port)

    def lasted(**how):
        begun = time.monotonic()
        status = ask(port, "/waits/page.txt", **how).status
        return status, time.monotonic() - begun

    for how in ({}, {"user": "plain", "password": "wrong"}):
        status, seconds = lasted(**how)
        assert status == 401 and 0.29 < seconds < 2, seconds
    status, seconds = lasted(user="plain")
    assert status == 404 and seconds < 0.25, seconds


def test_a_slow_hash_stops_nobody_else_and_is_paid_once(machine, port):
    conf = machine.nginx_conf.read_text()
    machine.nginx_conf.write_text(conf.replace("worker_processes auto", "worker_processes 1"))
    # `secret` at cost 13: a third of a second on a fast machine.
    (machine.etc / "users").write_text("slow:$2y$13$abcdefghijklmnopqrstuuyd9ipDgNyTEie103vumVuve9x.2WtxW\n")
    machine.front("ours").ready(port)
    seconds = {}

    def slow(password):
        begun = time.monotonic()
        status = ask(port, user="slow", password=password).status
        seconds[password] = (status, time.monotonic() - begun)

    asking = threading.Thread(target=slow, args=["secret"])
    asking.start()
    others = []
    while asking.is_alive():
        begun = time.monotonic()
        assert ask(port, "/open/x").text() == "in"
        others.append(time.monotonic() - begun)
    asking.join()
    status, first = seconds["secret"]
    assert status == 200 and first > 0.2, seconds
    assert len(others) > 10 and sorted(others)[len(others) // 2] < first / 4, (first, others)
    slow("secret")
    assert (200, 0) < seconds["secret"] < (200, 0.1), seconds
    slow("wrong")
    assert (401, 0.2) < seconds["wrong"] < (402, 0), seconds


def test_a_realm_without_a_user_file_is_noticed_and_lets_nobody_in(machine):
    port = free_port()
    machine.write("page.txt", "in")
    machine.site("open", f"server {{ listen 127.0.0.1:{port}; root {machine.project}; auth_basic x; location / {{ }} }}\n")
    code, _, said = machine.front_says("ours", "-t")
    assert code == 0 and "`auth_basic` without `auth_basic_user_file` lets nobody in" in said
    machine.front("ours").ready(port)
    assert ask(port).status == 403 and ask(port, user="plain").status == 403
    assert "no user file is set for basic authentication" in machine.error_log()
