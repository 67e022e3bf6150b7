"""Methods that a location serves only to some: what nginx lets through, and ours."""

import pytest
from harness import client
from harness.pairs import every_front
from harness.processes import free_port, wait_until

SITE = """
log_format changed 'changed "$request" $status';
server {{
    listen 127.0.0.1:{port};
    root {project};
    location = /denied.html {{ }}

    location /reads/ {{ limit_except GET {{ deny all; }} }}
    location /heads/ {{ limit_except HEAD {{ deny all; }} }}
    location /writes/ {{ limit_except PUT post {{ deny all; }} }}
    location /empty/ {{ deny all; limit_except GET {{ }} }}
    location /outer/ {{ deny all; limit_except GET {{ allow 127.0.0.1; }} }}
    location /others/ {{ allow 127.0.0.1; deny all; limit_except GET {{ allow 10.0.0.1; deny all; }} }}
    location /nested/ {{
        limit_except GET {{ deny all; }}
        location /nested/free/ {{ }}
    }}

    location /returns {{ limit_except GET {{ deny all; }} return 200 "returned"; }}
    location /allowed {{ limit_except GET {{ allow all; }} return 200 "returned"; }}
    location /if/ {{
        limit_except GET {{ deny all; }}
        if ($arg_a) {{ set $b 1; }}
        if ($arg_a = 2) {{ return 200 "two"; }}
        if ($arg_a = 3) {{ proxy_pass http://127.0.0.1:{upstream}; }}
    }}
    location /server-if/ {{ limit_except GET {{ deny all; }} }}
    if ($arg_to = server) {{ rewrite ^ /server-if/page.txt break; }}
    location /rewrites/ {{ rewrite ^ /reads/page.txt last; }}

    location /tries/ {{ try_files /nothing /reads/page.txt; }}
    location /tries-inside/ {{ limit_except GET {{ allow all; }} try_files /reads/page.txt =404; }}
    location /tries-denied/ {{ limit_except GET {{ deny all; }} try_files /reads/page.txt =404; }}
    location /tries-named/ {{ try_files /nothing @limited; }}
    location @limited {{ limit_except GET {{ deny all; }} proxy_pass http://127.0.0.1:{upstream}; }}

    location @closed {{ limit_except GET {{ deny all; }} return 200 "closed"; }}

    location /page/ {{ limit_except GET {{ deny all; }} error_page 403 /denied.html; }}
    location /page-inside/ {{ limit_except GET {{ deny all; }} error_page 403 /page-inside/page.txt; }}
    location /page-named/ {{ limit_except GET {{ deny all; }} error_page 403 = @limited; }}
    location /page-open/ {{ limit_except GET {{ deny all; }} error_page 403 =200 @open; }}
    location @open {{ proxy_pass http://127.0.0.1:{upstream}; }}
    location /missing/ {{ error_page 404 = @limited; }}
    location /missing-uri/ {{ error_page 404 = /reads/page.txt; }}
    location /inside/ {{ internal; limit_except GET {{ allow all; }} }}

    location /passes/ {{ limit_except GET {{ deny 10.0.0.1; }} proxy_pass http://127.0.0.1:{upstream}/to/; }}
    location /passes-others/ {{ limit_except GET {{ proxy_pass http://127.0.0.1:{upstream}; }} }}
    location /accel/ {{ proxy_pass http://127.0.0.1:{upstream}; }}
    location /big/ {{ client_max_body_size 3; limit_except GET {{ deny all; }} }}
    location = /status {{ stub_status; limit_except GET {{ allow all; }} }}
    location /alias/ {{ alias {project}/reads/; limit_except PUT {{ allow all; }} }}
    location /logged/ {{ limit_except GET {{ access_log {log}/changed.log changed; deny all; }} }}
    location /any/ {{ satisfy any; limit_except GET {{ deny all; }} }}
    location ~ ^/regex/(.*)$ {{ alias {project}/reads/$1; limit_except POST {{ allow all; }} }}
}}
server {{
    listen 127.0.0.1:{upstream};
    add_header X-Method $request_method;
    location / {{ return 200 "$request_uri"; }}
    location /accel/uri {{ add_header X-Accel-Redirect /reads/page.txt; return 200 ""; }}
    location /accel/named {{ add_header X-Accel-Redirect @closed; return 200 ""; }}
}}
"""

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "MKCOL", "FOO")
TARGETS = (
    "/reads/page.txt",
    "/heads/page.txt",
    "/writes/page.txt",
    "/empty/page.txt",
    "/outer/page.txt",
    "/others/page.txt",
    "/nested/page.txt",
    "/nested/free/page.txt",
    "/returns",
    "/allowed",
    "/if/page.txt",
    "/if/page.txt?a=1",
    "/if/page.txt?a=2",
    "/if/page.txt?a=3",
    "/x?to=server",
    "/rewrites/",
    "/tries/",
    "/tries-inside/page.txt",
    "/tries-denied/page.txt",
    "/tries-named/",
    "/page/page.txt",
    "/page-inside/page.txt",
    "/page-named/page.txt",
    "/page-open/page.txt",
    "/missing/x",
    "/missing-uri/x",
    "/inside/page.txt",
    "/passes/x",
    "/passes-others/x",
    "/accel/uri",
    "/accel/named",
    "/alias/page.txt",
    "/any/page.txt",
    "/regex/page.txt",
)


@pytest.fixture
def site(machine):
    port, upstream = free_port(), free_port()
    machine.write("denied.html", "denied")
    machine.write("allowed", "a file")
    for folder in ("reads heads writes empty outer others nested nested/free if server-if page page-inside page-named"
                   " page-open inside big logged any tries-inside tries-denied").split():
        machine.write(f"{folder}/page.txt", f"page of {folder}")
    places = {"port": port, "upstream": upstream, "log": machine.log, "project": machine.project}
    machine.site("methods", SITE.format(**places))
    return machine, port, upstream


def told(port, method, target, body=b""):
    body = body if method in ("POST", "PUT", "PATCH") else None
    answer = client.request(port, method, target, body=body)
    text = answer.text() if answer.status < 300 or "denied" == answer.text() else ""
    return answer.status, answer.header("X-Method"), text


def everything(port):
    return {(method, target): told(port, method, target) for target in TARGETS for method in METHODS}


def test_every_method_meets_what_it_meets_with_nginx(site):
    machine, port, upstream = site
    said = {}
    for maker in ("original", "ours"):
        front = machine.front(maker).ready(port, upstream)
        said[maker] = everything(port)
        front.stop()
    different = {
        case: (expected, said["ours"][case])
        for case, expected in said["original"].items()
        if said["ours"][case] != expected
    }
    assert not different


@every_front
def test_other_methods_meet_the_rules_inside_and_get_includes_head(site, maker):
    machine, port, upstream = site
    machine.front(maker).ready(port, upstream)
    for target in ("/reads/page.txt", "/returns", "/tries/", "/rewrites/", "/if/page.txt?a=2", "/x?to=server"):
        for method in ("GET", "HEAD"):
            assert told(port, method, target)[0] == 200, (method, target)
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "PROPFIND", "FOO"):
            assert told(port, method, target)[0] == 403, (method, target)
    assert told(port, "GET", "/heads/page.txt")[0] == 403
    assert "access forbidden by rule" in machine.error_log()


@every_front
def test_rules_outlive_named_locations_and_upstreams_that_name_one(site, maker):
    machine, port, upstream = site
    machine.front(maker).ready(port, upstream)
    for target in ("/tries-named/", "/accel/named"):
        assert told(port, "GET", target)[0] == 200, target
        assert told(port, "DELETE", target)[0] == 403, target
    assert told(port, "GET", "/missing/x") == (200, "GET", "/missing/x")
    assert told(port, "POST", "/page-named/page.txt")[0] == 403
    assert told(port, "POST", "/page/page.txt") == (403, None, "denied")


@every_front
def test_rules_inside_take_the_place_of_all_outside(site, maker):
    machine, port, upstream = site
    machine.front(maker).ready(port, upstream)
    assert told(port, "GET", "/outer/page.txt")[0] == 403
    assert told(port, "DELETE", "/outer/page.txt")[0] == 405
    assert told(port, "GET", "/empty/page.txt")[0] == 403
    assert told(port, "DELETE", "/empty/page.txt")[0] == 403
    assert told(port, "GET", "/others/page.txt")[0] == 200
    assert told(port, "DELETE", "/others/page.txt")[0] == 403
    assert told(port, "DELETE", "/passes/x") == (200, "DELETE", "/to/x")
    assert told(port, "DELETE", "/passes-others/x") == (200, "DELETE", "/passes-others/x")
    assert told(port, "PUT", "/big/page.txt", b"more")[0] == 413
    assert told(port, "PUT", "/big/page.txt", b"abc")[0] == 403
    assert told(port, "GET", "/status")[0] == 200
    assert told(port, "DELETE", "/status")[0] != 200


@every_front
def test_the_block_has_a_log_of_its_own(site, maker):
    machine, port, upstream = site
    machine.front(maker).ready(port, upstream)
    told(port, "GET", "/logged/page.txt")
    told(port, "DELETE", "/logged/page.txt")
    log = machine.log / "changed.log"
    wait_until(lambda: log.read_text() == 'changed "DELETE /logged/page.txt HTTP/1.1" 403\n', 5, "the line")


@every_front
def test_what_cannot_be_meant_is_refused(machine, maker):
    port = free_port()
    for line, said in (
        ("limit_except TRACE { deny all; }", 'invalid method "TRACE"'),
        ("limit_except GET Foo { deny all; }", 'invalid method "Foo"'),
        ("limit_except { deny all; }", 'invalid number of arguments in "limit_except" directive'),
        ("limit_except GET;", 'directive "limit_except" has no opening "{"'),
        ("limit_except GET { } limit_except POST { }", '"limit_except" directive is duplicate'),
        ("limit_except GET { limit_except POST { } }", '"limit_except" directive is not allowed here'),
        ("limit_except GET { location /x { } }", '"location" directive is not allowed here'),
        ("limit_except GET { if ($uri) { return 403; } }", '"if" directive is not allowed here'),
        ("limit_except GET { return 403; }", '"return" directive is not allowed here'),
        ("limit_except GET { satisfy any; }", '"satisfy" directive is not allowed here'),
        ("limit_except GET { root /x; }", '"root" directive is not allowed here'),
        ("limit_except GET { error_log x; }", '"error_log" directive is not allowed here'),
        ("limit_except GET { uwsgi_pass 127.0.0.1:1; }", '"uwsgi_pass" directive is not allowed here'),
        ("limit_except GET { types { } }", '"types" directive is not allowed here'),
        ("limit_except GET { allow 1.1.1; }", 'invalid parameter "1.1.1"'),
        ("limit_except GET { proxy_pass http://127.0.0.1:1/x; }", '"proxy_pass" cannot have URI part'),
        ("if ($arg_a) { limit_except GET { deny all; } }", '"limit_except" directive is not allowed here'),
    ):
        machine.site("wrong", f"server {{ listen 127.0.0.1:{port}; location / {{ {line} }} }}\n")
        code, _, error = machine.front_says(maker, "-t")
        assert code == 1 and said in error, (line, error)
    machine.site("wrong", f"server {{ listen 127.0.0.1:{port}; limit_except GET {{ deny all; }} }}\n")
    code, _, error = machine.front_says(maker, "-t")
    assert code == 1 and '"limit_except" directive is not allowed here' in error
