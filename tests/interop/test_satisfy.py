"""`satisfy`: which of addresses, passwords and another location's word must let a request in."""

import base64

import pytest
from harness import client
from harness.pairs import every_front
from harness.processes import free_port

SITE = """
server {{
    listen 127.0.0.1:{port};
    root {project};
    auth_basic x;
    auth_basic_user_file users;
    set_real_ip_from 127.0.0.1;
    location /all/ {{ allow 10.0.0.1; deny all; try_files /page.txt =404; }}
    location /any/ {{ satisfy any; allow 10.0.0.1; deny all; try_files /page.txt =404; }}
    location /no-rule/ {{ satisfy any; allow 10.0.0.1; try_files /page.txt =404; }}
    location /missing/ {{ satisfy any; deny all; auth_basic_user_file missing; try_files /page.txt =404; }}
    location /addresses/ {{ satisfy any; allow 10.0.0.1; deny all; auth_basic off; try_files /page.txt =404; }}
    location /nothing/ {{ satisfy any; auth_basic off; try_files /page.txt =404; }}
    location /inherits/ {{ satisfy any; allow 10.0.0.1; deny all;
        location /inherits/all/ {{ satisfy all; try_files /page.txt =404; }}
        try_files /page.txt =404;
    }}
    location /page/ {{ satisfy any; allow 10.0.0.1; deny all; error_page 401 /free/x; error_page 403 =403 /free/x; }}
    location /free/ {{ satisfy any; allow all; try_files /page.txt =404; }}
}}
"""

ALLOWED = "10.0.0.1"
STRANGER = "10.9.9.9"


@pytest.fixture
def port(machine):
    chosen = free_port()
    machine.write("page.txt", "in")
    (machine.etc / "users").write_text("ann:{PLAIN}secret\n")
    machine.site("doors", SITE.format(port=chosen, project=machine.project))
    return chosen


def told(port, target, address, password=None):
    """Status, and whether the client is asked for a password."""
    headers = [("Host", "localhost"), ("X-Real-IP", address)]
    if password:
        coded = base64.b64encode(f"ann:{password}".encode()).decode()
        headers.append(("Authorization", f"Basic {coded}"))
    answer = client.request(port, target=target, headers=headers)
    assert (answer.status == 200) == (answer.text() == "in"), answer
    return answer.status, answer.header("WWW-Authenticate") is not None


@every_front
def test_all_wants_both_and_any_wants_one(machine, port, maker):
    machine.front(maker).ready(port)
    for target, address, password, expected in (
        ("/all/", ALLOWED, "secret", (200, False)),
        ("/all/", ALLOWED, None, (401, True)),
        ("/all/", STRANGER, "secret", (403, False)),
        ("/all/", STRANGER, None, (403, False)),
        ("/any/", ALLOWED, "secret", (200, False)),
        ("/any/", ALLOWED, None, (200, False)),
        ("/any/", ALLOWED, "wrong", (200, False)),
        ("/any/", STRANGER, "secret", (200, False)),
        ("/any/", STRANGER, None, (401, True)),
        ("/any/", STRANGER, "wrong", (401, True)),
        ("/no-rule/", STRANGER, None, (401, True)),
        ("/no-rule/", STRANGER, "secret", (200, False)),
        ("/no-rule/", ALLOWED, None, (200, False)),
        ("/missing/", STRANGER, None, (401, True)),
        ("/missing/", STRANGER, "secret", (403, False)),
        ("/addresses/", ALLOWED, None, (200, False)),
        ("/addresses/", STRANGER, "secret", (403, False)),
        ("/nothing/", STRANGER, None, (200, False)),
        ("/inherits/", ALLOWED, None, (200, False)),
        ("/inherits/all/", ALLOWED, None, (401, True)),
        ("/inherits/all/", STRANGER, "secret", (403, False)),
    ):
        assert told(port, target, address, password) == expected, (target, address, password)
    assert "access forbidden by rule" in machine.error_log()


@every_front
def test_the_page_of_a_refusal_that_is_free_for_all_asks_nobody(machine, port, maker):
    machine.front(maker).ready(port)
    answer = client.request(port, target="/page/x", headers=[("Host", "a"), ("X-Real-IP", STRANGER)])
    assert (answer.status, answer.text(), answer.header("WWW-Authenticate")) == (401, "in", None)
