"""Clients behind a balancer: whose word nginx takes about their addresses, and ours."""

import pytest
from harness import client
from harness.pairs import every_front
from harness.processes import free_port, wait_until

SITE = """
log_format who '$remote_addr $realip_remote_addr "$request"';
server {{
    listen 127.0.0.1:{port};
    set_real_ip_from 127.0.0.0/8;
    set_real_ip_from 10.0.0.0/8;
    set_real_ip_from unix:;
    real_ip_header X-Forwarded-For;
    access_log {log}/who.log who;
    set $said "$remote_addr|$remote_port|$realip_remote_addr|$proxy_add_x_forwarded_for";
    if ($remote_addr = 192.0.2.66) {{ return 200 "early"; }}
    location = / {{ return 200 $said; }}
    location = /all {{ real_ip_recursive on; return 200 $said; }}
    location /doors/ {{ allow 192.0.2.0/24; allow 2001:db8::/32; deny all; alias {project}/; }}
}}
server {{
    listen 127.0.0.1:{port};
    server_name late.test;
    location / {{
        set_real_ip_from 127.0.0.1;
        real_ip_recursive on;
        try_files /nothing =404;
        error_page 404 = @who;
    }}
    location @who {{ return 200 "$remote_addr"; }}
}}
server {{
    listen 127.0.0.1:{port};
    server_name all.test;
    set_real_ip_from 127.0.0.1;
    set_real_ip_from 10.0.0.0/8;
    real_ip_header x-forwarded-for;
    real_ip_recursive on;
    return 200 "$remote_addr|$remote_port";
}}
server {{
    listen 127.0.0.1:{port};
    server_name strangers.test;
    set_real_ip_from 10.0.0.0/8;
    return 200 $remote_addr;
}}
"""


@pytest.fixture
def port(machine):
    chosen = free_port()
    machine.write("page.txt", "in")
    machine.site("behind", SITE.format(port=chosen, log=machine.log, project=machine.project))
    return chosen


def told(port, *lines, host="localhost", target="/", name="X-Forwarded-For"):
    headers = [("Host", host), *((name, line) for line in lines)]
    answer = client.request(port, target=target, headers=headers)
    return answer.text() if answer.status == 200 else answer.status


@every_front
def test_the_last_address_of_the_list_is_the_client(machine, port, maker):
    machine.front(maker).ready(port)
    local = "127.0.0.1"
    assert told(port, "192.0.2.1") == f"192.0.2.1||{local}|192.0.2.1, 192.0.2.1"
    assert told(port, "192.0.2.1:81").startswith("192.0.2.1|81|")
    assert told(port, "6.6.6.6, 192.0.2.1").startswith("192.0.2.1|")
    assert told(port, "6.6.6.6,192.0.2.1, ").startswith("192.0.2.1|")
    assert told(port, "6.6.6.6", "192.0.2.1").startswith("192.0.2.1|")
    assert told(port, "192.0.2.1, 10.0.0.1").startswith("10.0.0.1|")
    assert told(port, "2001:DB8::1").startswith("2001:db8::1||")
    assert told(port, "[2001:db8::1]:81").startswith("2001:db8::1|81|")
    for nonsense in ("unknown", "192.0.2.1, x", "192.0.2.256", "192.0.2.1:", "192.0.2.1:0"):
        assert told(port, nonsense).startswith(f"{local}|"), nonsense
    assert told(port, "192.0.2.1", name="X-Real-IP").startswith(f"{local}|")
    assert told(port).startswith(f"{local}|")


@every_front
def test_rewriting_rules_and_doors_see_the_client(machine, port, maker):
    machine.front(maker).ready(port)
    assert told(port, "192.0.2.66") == "early"
    assert told(port, "192.0.2.66", target="/all") == "early"
    assert told(port, "192.0.2.1", target="/doors/page.txt") == "in"
    assert told(port, "2001:db8::5", target="/doors/page.txt") == "in"
    assert told(port, "198.51.100.1", target="/doors/page.txt") == 403
    assert told(port, target="/doors/page.txt") == 403
    assert "access forbidden by rule, client: 198.51.100.1, server" in machine.error_log()
    # A request is logged when its answer has gone out, which the client may see first.
    log, line = machine.log / "who.log", '198.51.100.1 127.0.0.1 "GET /doors/page.txt HTTP/1.1"'
    wait_until(lambda: line in log.read_text().splitlines(), 5, "the line of the access log")


@every_front
def test_recursion_passes_over_trusted_proxies_only(machine, port, maker):
    machine.front(maker).ready(port)
    def said(*lines):
        return told(port, *lines, host="all.test")

    assert said("6.6.6.6, 192.0.2.1, 10.0.0.1") == "192.0.2.1|"
    assert said("6.6.6.6, 192.0.2.1:99, 10.0.0.1", "10.0.0.2") == "192.0.2.1|99"
    assert said("10.0.0.3, 10.0.0.1") == "10.0.0.3|"
    assert said("x, 10.0.0.1") == "10.0.0.1|"
    assert said("192.0.2.1, x, 10.0.0.1") == "10.0.0.1|"


@every_front
def test_a_location_may_trust_and_the_default_field_is_x_real_ip(machine, port, maker):
    machine.front(maker).ready(port)
    assert told(port, "192.0.2.9", host="late.test", name="X-Real-IP") == "192.0.2.9"
    assert told(port, "192.0.2.9", "192.0.2.8", host="late.test", name="X-Real-IP") in ("192.0.2.9", "192.0.2.8")
    assert told(port, "192.0.2.9", host="strangers.test", name="X-Real-IP") == "127.0.0.1"


@every_front
def test_what_cannot_be_meant_is_refused(machine, port, maker):
    for line, said in (
        ("set_real_ip_from 10.0.0.0/33;", 'host not found in set_real_ip_from "10.0.0.0/33"'),
        ("real_ip_recursive maybe;", 'invalid value "maybe" in "real_ip_recursive" directive'),
        ("real_ip_header;", 'invalid number of arguments in "real_ip_header" directive'),
    ):
        machine.site("wrong", f"server {{ listen 127.0.0.1:{port}; {line} }}\n")
        code, _, error = machine.front_says(maker, "-t")
        assert code == 1 and said in error, (line, error)
