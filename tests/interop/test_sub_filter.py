"""Texts replaced in responses: what nginx sends, and ours."""

import gzip
import random

import pytest
from harness import client
from harness.pairs import every_front
from harness.processes import free_port

SITE = """
server {{
    listen 127.0.0.1:{port};
    root {project};
    gzip off;
    sub_filter hello bye;
    location /plain/ {{ alias {project}/; }}
    location /validators/ {{ alias {project}/; sub_filter_last_modified on; }}
    location /every/ {{ alias {project}/; sub_filter_once off; }}
    location /short-first/ {{ alias {project}/; sub_filter ab 1; sub_filter abc 2; sub_filter abcd 3; sub_filter_once off; }}
    location /long-first/ {{ alias {project}/; sub_filter abcd 1; sub_filter AB 2; sub_filter abc 3; sub_filter_once off; }}
    location /twice/ {{ alias {project}/; sub_filter hello x; sub_filter HELLO y; }}
    location /asked/ {{ alias {project}/; sub_filter $arg_a "[$arg_b]"; sub_filter_once off; }}
    location /typed/ {{ alias {project}/; sub_filter_types text/plain; }}
    location /any/ {{ alias {project}/; sub_filter_types *; sub_filter_once off; }}
    location /gzip/ {{ alias {project}/; gzip on; gzip_min_length 0; sub_filter_once off; }}
    location /charset/ {{ alias {project}/; charset utf-8; add_header X-Added "hello"; }}
    location /returned {{ default_type text/html; return 200 "hello $uri hello"; }}
    location /created {{ default_type text/html; return 201 "hello"; }}
    location /nothing {{ default_type text/html; return 204; }}
    location /missing/ {{ sub_filter nginx server; sub_filter_once off; }}
    location /moved {{ sub_filter Moved Gone; return 301 /x; }}
    location /page/ {{ error_page 404 /plain/page.html; }}
    location /cached/ {{ proxy_pass http://127.0.0.1:{upstream}/; sub_filter_once off; sub_filter_last_modified on; }}
    location /passed/ {{ proxy_pass http://127.0.0.1:{upstream}/; sub_filter_once off; }}
    location /many/ {{
        proxy_pass http://127.0.0.1:{upstream}/;
        proxy_buffer_size 1k;
        proxy_buffers 4 1k;
        proxy_busy_buffers_size 2k;
        sub_filter ab 1;
        sub_filter abba <two>;
        sub_filter ba/a $arg_b;
        sub_filter "a a a a b" "";
        sub_filter_once off;
        location /many/once/ {{ proxy_pass http://127.0.0.1:{upstream}/; sub_filter_once on; }}
        location /many/gzip/ {{ proxy_pass http://127.0.0.1:{upstream}/; gzip on; }}
        location /many/unbuffered/ {{ proxy_pass http://127.0.0.1:{upstream}/; proxy_buffering off; }}
    }}
}}
server {{ listen 127.0.0.1:{upstream}; root {project}; gzip off; }}
"""

TARGETS = [
    *(f"/{place}/page.html" for place in ("plain", "validators", "every", "twice", "typed", "any", "charset", "page")),
    *(f"/{place}/letters.html" for place in ("short-first", "long-first", "plain")),
    *(f"/{place}/page.txt" for place in ("plain", "typed", "any")),
    *(f"/{place}/empty.html" for place in ("plain", "passed")),
    *(f"/{place}/page.html" for place in ("passed", "cached")),
    *("/asked/page.html?a=hello&b=1", "/asked/page.html?a=l&b=", "/asked/page.html?b=1", "/asked/page.html?a=HELLO"),
    *("/returned", "/created", "/nothing", "/missing/x", "/moved", "/page/x", "/any/missing.html"),
]
COMPARED = ("Content-Type", "Content-Length", "Transfer-Encoding", "ETag", "Last-Modified", "Accept-Ranges", "Vary")
COMPARED += ("Content-Encoding", "Content-Range", "Location", "X-Added", "Connection")


@pytest.fixture
def site(machine):
    port, upstream = free_port(), free_port()
    machine.write("page.html", "<b>Hello</b> hello HELLO hell hello")
    machine.write("page.txt", "hello hello")
    machine.write("letters.html", "abab abcd abc ABCD xabc ab")
    machine.write("empty.html", "")
    chance = random.Random(6)
    for number in range(12):
        text = "".join(chance.choices("ab/ \n<", (8, 8, 3, 3, 1, 1), k=chance.randrange(1, 90_000)))
        machine.write(f"random{number}.html", text)
    places = {"port": port, "upstream": upstream, "project": machine.project}
    machine.site("replaced", SITE.format(**places))
    return machine, port, upstream


def told(port, target, method="GET", headers=(), version="HTTP/1.1"):
    answer = client.request(port, method, target, [("Host", "localhost"), *headers], version=version)
    product = answer.header("Server").replace("nginx", "server")
    text = answer.text().replace(answer.header("Server"), product).replace(product, "server")
    return answer.status, [answer.header(name) for name in COMPARED], text


def everything(port):
    said = {}
    for target in TARGETS:
        said[target] = told(port, target)
        said[target, "HEAD"] = told(port, target, "HEAD")
        said[target, "1.0"] = told(port, target, version="HTTP/1.0")
        said[target, "range"] = told(port, target, headers=[("Range", "bytes=1-5")])
        said[target, "since"] = told(port, target, headers=[("If-Modified-Since", "Fri, 01 Jan 2038 00:00:00 GMT")])
    for number in range(12):
        for place in ("many", "many/once", "many/unbuffered"):
            said[place, number] = told(port, f"/{place}/random{number}.html?b=x{number}")
    return said


def test_every_answer_is_the_one_of_nginx(site):
    machine, port, upstream = site
    said = {}
    for maker in ("original", "ours"):
        front = machine.front(maker).ready(port, upstream)
        said[maker] = everything(port)
        front.stop()
    different = {
        case: (expected[:2], said["ours"][case][:2], expected[2][:200], said["ours"][case][2][:200])
        for case, expected in said["original"].items()
        if said["ours"][case] != expected
    }
    assert not different


@every_front
def test_the_first_text_of_each_kind_is_replaced_and_validators_go(site, maker):
    machine, port, upstream = site
    machine.front(maker).ready(port, upstream)
    answer = client.get(port, "/plain/page.html")
    assert answer.text() == "<b>bye</b> hello HELLO hell hello"
    gone = ("Content-Length", "ETag", "Last-Modified", "Accept-Ranges")
    assert not any(answer.header(name) for name in gone)
    assert client.get(port, "/every/page.html").text() == "<b>bye</b> bye bye hell bye"
    assert client.get(port, "/plain/page.txt").text() == "hello hello"
    kept = client.get(port, "/validators/page.html")
    assert kept.header("ETag").startswith('W/"') and kept.header("Last-Modified")


@every_front
def test_texts_are_replaced_before_compression(site, maker):
    machine, port, upstream = site
    machine.front(maker).ready(port, upstream)
    asking = [("Host", "localhost"), ("Accept-Encoding", "gzip")]
    answer = client.request(port, target="/gzip/page.html", headers=asking)
    assert answer.header("Content-Encoding") == "gzip" and not answer.header("ETag")
    assert gzip.decompress(answer.body) == b"<b>bye</b> bye bye hell bye"
    for number in range(12):
        packed = client.request(port, target=f"/many/gzip/random{number}.html?b=y", headers=asking)
        plain = client.get(port, f"/many/random{number}.html?b=y")
        assert packed.header("Content-Encoding") == "gzip"
        assert gzip.decompress(packed.body) == plain.body


@every_front
def test_what_cannot_be_meant_is_refused(machine, maker):
    port = free_port()
    many = "".join(f"sub_filter a{number} b; " for number in range(256))
    for line, said in (
        ('sub_filter "" x;', "empty search pattern"),
        (many, "number of search patterns exceeds 255"),
        ("sub_filter a;", 'invalid number of arguments in "sub_filter" directive'),
        ("sub_filter a b c;", 'invalid number of arguments in "sub_filter" directive'),
        ("sub_filter_types;", 'invalid number of arguments in "sub_filter_types" directive'),
        ("sub_filter_once maybe;", 'invalid value "maybe" in "sub_filter_once" directive'),
        ("sub_filter_once on; sub_filter_once on;", '"sub_filter_once" directive is duplicate'),
        ("sub_filter_last_modified on; sub_filter_last_modified off;", '"sub_filter_last_modified" directive is dup'),
        ("sub_filter $nothing_here x;", 'unknown "nothing_here" variable'),
        ("if ($uri) { sub_filter a b; }", '"sub_filter" directive is not allowed here'),
        ("limit_except GET { sub_filter a b; }", '"sub_filter" directive is not allowed here'),
    ):
        machine.site("wrong", f"server {{ listen 127.0.0.1:{port}; location / {{ {line} }} }}\n")
        code, _, error = machine.front_says(maker, "-t")
        assert code == 1 and said in error, (line, error)
