"""Variables made of addresses: what nginx finds, and ours."""

import random

import pytest
from harness import client
from harness.pairs import every_front
from harness.processes import free_port

SITE = """
geo $near {{
    default far;
    include {project}/networks.conf;
    10.0.0.0/8 ten;
    192.0.2.0/24 documentation;
    192.0.2.128/25 half;
    192.0.2.200 host;
    192.0.2.64/26 gone;
    delete 192.0.2.64/26;
    10.1.2.3/16 low-bits;
    2001:db8::/32 six;
    2001:db8:1::/48 "six one";
    ::1 loop;
    255.255.255.255 none;
}}
geo $bare {{ 10.0.0.0/8 $uri; 10.1.0.0/16 ""; }}
geo $arg_ip $named {{ proxy 10.9.0.0/16; default far; 10.0.0.0/8 ten; 192.0.2.0/24 documentation; 255.255.255.255 none; }}
geo $arg_ip $given {{
    default far;
    10.0.0.0/8 ten;
    10.1.0.0/16 inner;
    10.1.1.1 host;
    2001:db8::/32 six;
    255.255.255.255 none;
}}
geo $arg_ip $stretch {{
    ranges;
    default far;
    include {project}/ranges.conf;
    10.0.0.0-10.0.255.255 ten;
    10.0.1.0-10.0.1.255 inner;
    10.0.1.7-10.0.1.7 host;
    10.0.2.0-10.0.2.9 gone;
    delete 10.0.2.0-10.0.2.9;
    100.64.2.0-102.51.100.9 long;
    101.0.0.0-101.0.255.255 again;
}}
geo $arg_ip $only {{ ranges; 10.0.0.0-10.0.0.9 ten; }}
geo $believed {{ proxy 127.0.0.0/8; proxy 10.0.0.0/8; default far; 10.0.0.0/8 ten; 192.0.2.0/24 documentation; }}
geo $recursive {{
    proxy_recursive;
    proxy 127.0.0.1;
    proxy 10.0.0.0/8;
    proxy 2001:db8::/32;
    default far;
    10.0.0.0/8 ten;
    192.0.2.0/24 documentation;
}}
geo $stranger {{ proxy 10.0.0.0/8; default far; 127.0.0.1 self; 192.0.2.0/24 documentation; }}
map $given $of_geo {{ default "other"; inner "mapped $given"; }}
geo $of_geo $of_map {{ 255.255.255.255 unread; }}
server {{
    listen 127.0.0.1:{port};
    listen unix:{run}/geo.sock;
    set_real_ip_from 127.0.0.1;
    set_real_ip_from unix:;
    location = /near {{ return 200 "$near|$bare|$remote_addr"; }}
    location = /given {{ return 200 "$given|$stretch|$only|$named|$of_geo|$of_map"; }}
    location = /believed {{ return 200 "$believed|$recursive|$stranger"; }}
    location = /unix {{ return 200 "$near"; }}
    if ($given = host) {{ return 403; }}
}}
"""

ADDRESSES = [
    *("10.0.0.0", "10.0.0.9", "10.0.0.10", "10.0.0.255", "10.0.1.0", "10.0.1.6", "10.0.1.7", "10.0.1.8", "10.0.1.255"),
    *("10.0.2.0", "10.0.2.9", "10.0.2.10", "10.0.255.255", "10.1.0.0", "10.1.1.0", "10.1.255.255", "10.2.0.0"),
    *("9.255.255.255", "10.255.255.255", "11.0.0.0", "0.0.0.0", "255.255.255.254", "255.255.255.255"),
    *("192.0.1.255", "192.0.2.0", "192.0.2.63", "192.0.2.64", "192.0.2.127", "192.0.2.128", "192.0.2.199"),
    *("192.0.2.200", "192.0.2.201", "192.0.3.0", "100.255.255.255", "101.0.0.0", "101.0.255.255", "101.1.0.0"),
    *("100.64.1.255", "100.64.2.0", "102.51.100.9", "102.51.100.10", "::", "::1", "::2", "2001:db8::", "2001:db8:0:ffff::1", "2001:db8:1::5"),
    *("2001:db8:2::", "2001:db9::", "::ffff:10.1.0.1", "::ffff:192.0.2.200", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
]
NO_ADDRESSES = ["", "x", "10.0.0", "10.0.0.1:80", "[::1]", "unix:", "10.0.0.256", "10.0.0.1/8", "%31%30.0.0.1"]


def networks(count, seed):
    """Networks of all sizes, some inside others, in no order."""
    chance = random.Random(seed)
    for number in range(count):
        bits = chance.randint(4, 32)
        start = chance.getrandbits(bits) << (32 - bits)
        yield f"{start >> 24}.{start >> 16 & 255}.{start >> 8 & 255}.{start & 255}/{bits} n{number};\n"


def six_networks(count, seed):
    chance = random.Random(seed)
    for number in range(count):
        bits = chance.randint(8, 128)
        start = (0x20010DB8 << 96 | chance.getrandbits(96)) >> (128 - bits) << (128 - bits)
        words = ":".join(f"{start >> shift & 65535:x}" for shift in range(112, -16, -16))
        yield f"{words}/{bits} s{number};\n"


def ranges(count, seed):
    """Ranges that do not cross, some inside others."""
    chance = random.Random(seed)
    step = (1 << 31) // count
    for number in range(count):
        first = (1 << 31) + number * step
        last = first + chance.randrange(step)
        yield first, last, f"r{number}"
        if last - first > 20 and first >> 16 == last >> 16:
            yield first + 3, last - 5, f"i{number}"


def dotted(number):
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))


@pytest.fixture
def site(machine):
    port = free_port()
    machine.write("networks.conf", "".join((*networks(400, 1), *six_networks(100, 2))))
    lines = (f"{dotted(first)}-{dotted(last)} {value};\n" for first, last, value in ranges(300, 3))
    machine.write("ranges.conf", "".join(lines))
    machine.site("geo", SITE.format(port=port, project=machine.project, run=machine.run))
    return machine, port


def ask(connection, target, *headers):
    answer = connection.request(target=target, headers=headers)
    return answer.text() if answer.status == 200 else answer.status


def everything(port):
    chance = random.Random(4)
    said = {}
    with client.Connection(port) as connection:
        for address in (*ADDRESSES, *NO_ADDRESSES):
            said["given", address] = ask(connection, f"/given?ip={address}")
            # Whom `real_ip_header` takes for a client is another matter.
            if address not in ("255.255.255.255", "[::1]"):
                said["near", address] = ask(connection, "/near", ("X-Real-IP", address))
    with client.Connection(port) as connection:
        for _ in range(400):
            four, six = dotted(chance.getrandbits(32)), f"2001:db8:{chance.getrandbits(16):x}::{chance.getrandbits(8):x}"
            said["near", four] = ask(connection, "/near", ("X-Real-IP", four))
            said["near", six] = ask(connection, "/near", ("X-Real-IP", six))
    with client.Connection(port) as connection:
        for _ in range(400):
            high = dotted(1 << 31 | chance.getrandbits(31))
            said["given", high] = ask(connection, f"/given?ip={high}")
    return said


def test_every_address_has_the_value_it_has_with_nginx(site):
    machine, port = site
    said = {}
    for maker in ("original", "ours"):
        front = machine.front(maker).ready(port)
        said[maker] = everything(port)
        front.stop()
    assert said["ours"] == said["original"]
    assert len(set(said["original"].values())) > 200


@every_front
def test_the_smallest_network_wins_whatever_the_order(site, maker):
    machine, port = site
    machine.front(maker).ready(port)

    def given(address):
        return client.get(port, f"/given?ip={address}").text().split("|")

    assert given("10.1.1.2")[:2] == ["inner", "far"]
    assert given("10.2.0.1")[0] == "ten"
    assert client.get(port, "/given?ip=10.1.1.1").status == 403
    assert given("2001:db8::5")[:2] == ["six", "far"]
    assert given("::ffff:10.1.0.1")[0] == "inner"
    assert given("nonsense") == ["none", "far", "", "none", "other", "unread"]
    assert given("10.0.1.9")[1] == "inner"
    assert given("10.0.1.7")[1] == "host"
    assert given("10.0.2.5")[1] == "far"
    assert given("10.1.0.1")[4:] == ["mapped inner", "unread"]


@every_front
def test_a_proxy_that_is_named_is_passed_over(site, maker):
    machine, port = site
    machine.front(maker).ready(port)

    def believed(*lines):
        headers = [("Host", "localhost"), *(("X-Forwarded-For", line) for line in lines)]
        return client.request(port, target="/believed", headers=headers).text()

    assert believed() == "far|far|self"
    assert believed("192.0.2.1") == "documentation|documentation|self"
    assert believed("192.0.2.1, 10.0.0.1") == "ten|documentation|self"
    assert believed("192.0.2.1", "10.0.0.1") == "ten|documentation|self"
    assert believed("192.0.2.1, 2001:db8::1, 10.0.0.1") == "ten|documentation|self"
    assert believed("10.0.0.7") == "ten|ten|self"
    assert believed("192.0.2.1, x") == "far|far|self"
    assert believed("192.0.2.1, x, 10.0.0.1") == "ten|ten|self"

    def named(ip, line):
        headers = [("Host", "localhost"), ("X-Forwarded-For", line)]
        return client.request(port, target=f"/given?ip={ip}", headers=headers).text().split("|")[3]

    assert named("10.9.1.1", "192.0.2.1") == "documentation"
    assert named("10.8.1.1", "192.0.2.1") == "ten"
    assert named("x", "192.0.2.1") == "none"


@every_front
def test_a_client_of_a_unix_socket_has_the_value_of_no_address(site, maker):
    import socket

    machine, port = site
    machine.front(maker).ready(port)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(machine.run / "geo.sock"))
        connection.sendall(b"GET /unix HTTP/1.0\r\nHost: x\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.endswith(b"\r\n\r\nnone")


@every_front
def test_what_cannot_be_meant_is_refused(machine, maker):
    many = "invalid number of the geo parameters"
    for text, said in (
        ("geo $a { 10.0.0.0/33 x; }", 'invalid network "10.0.0.0/33"'),
        ("geo $a { 10.0.0 x; }", 'invalid network "10.0.0"'),
        ("geo $a { localhost x; }", 'invalid network "localhost"'),
        ("geo $a { [::1] x; }", 'invalid network "[::1]"'),
        ("geo $a { DEFAULT x; }", 'invalid network "DEFAULT"'),
        ("geo $a { delete default; }", 'invalid network "default"'),
        ("geo $a { proxy localhost; }", 'invalid network "localhost"'),
        ("geo $a { proxy unix:; }", 'invalid network "unix:"'),
        ("geo $a { proxy_recursive on; }", 'invalid network "proxy_recursive"'),
        ("geo $a { 10.0.0.0/8; }", many),
        ("geo $a { 10.0.0.0/8 x y; }", many),
        ("geo $a { foo; }", many),
        ("geo $a { default x; ranges; }", 'the "ranges" directive must be the first directive inside "geo" block'),
        ("geo $a { delete 10.0.0.0/8; ranges; }", 'the "ranges" directive must be the first directive'),
        ("geo $a { 10.0.0.0/8 x { } }", 'unexpected "{"'),
        ("geo $a { ranges; 10.0.0.0/8 x; }", 'invalid range "10.0.0.0/8"'),
        ("geo $a { ranges; 10.0.0.1 x; }", 'invalid range "10.0.0.1"'),
        ("geo $a { ranges; 10.0.0.2-10.0.0.1 x; }", 'invalid range "10.0.0.2-10.0.0.1"'),
        ("geo $a { ranges; 224.0.0.0-255.255.255.255 x; }", 'invalid range "224.0.0.0-255.255.255.255"'),
        ("geo $a { ranges; ::1-::2 x; }", 'invalid range "::1-::2"'),
        ("geo $a { ranges; delete default; }", 'invalid range "default"'),
        (
            "geo $a { ranges; 1.1.1.1-1.1.1.10 x; 1.1.1.5-1.1.1.20 y; }",
            'range "1.1.1.5-1.1.1.20" overlaps "1.1.1.1-1.1.1.10"',
        ),
        (
            "geo $a { ranges; 1.1.1.5-1.1.1.10 x; 1.1.1.1-1.1.1.20 y; }",
            'range "1.1.1.1-1.1.1.20" overlaps "1.1.1.5-1.1.1.10"',
        ),
        ("geo a { }", 'invalid variable name "a"'),
        ("geo $a b { }", 'invalid variable name "b"'),
        ("geo a $b { }", 'invalid variable name "a"'),
        ("geo $ { }", 'invalid variable name "$"'),
        ("geo $nothing_here $b { }", 'unknown "nothing_here" variable'),
        ("geo $uri { }", 'the duplicate "uri" variable'),
        ("geo { }", 'invalid number of arguments in "geo" directive'),
        ("geo $a $b $c { }", 'invalid number of arguments in "geo" directive'),
        ("geo $a;", 'directive "geo" has no opening "{"'),
        ("server { geo $a { } }", '"geo" directive is not allowed here'),
        ("geo $a { include /nowhere/at/all; }", 'open() "/nowhere/at/all" failed (2: No such file or directory)'),
    ):
        machine.site("wrong", text + "\n")
        code, _, error = machine.front_says(maker, "-t")
        assert code == 1 and said in error, (text, error)


@every_front
def test_what_is_strange_is_told(machine, maker):
    for text, said in (
        ("geo $a { 10.0.0.0/8 x; 10.0.0.0/8 y; }", 'duplicate network "10.0.0.0/8", value: "y", old value: "x"'),
        ("geo $a { default x; default y; }", 'duplicate network "default", value: "y", old value: "x"'),
        ("geo $a { ::/0 x; default y; }", 'duplicate network "default", value: "y", old value: "x"'),
        ("geo $a { 10.0.0.1/8 x; }", "low address bits of 10.0.0.1/8 are meaningless"),
        ("geo $a { proxy 10.0.0.1/8; }", "low address bits of 10.0.0.1/8 are meaningless"),
        ("geo $a { delete 10.0.0.0/8; }", 'no network "10.0.0.0/8" to delete'),
        (
            "geo $a { ranges; default x; default y; }",
            'duplicate default geo range value: "y", old value: "x"',
        ),
        (
            "geo $a { ranges; 1.1.0.0-1.2.255.255 x; 1.2.0.0-1.3.255.255 y; }",
            'duplicate range "1.2.0.0-1.3.255.255", value: "y", old value: "x"',
        ),
        ("geo $a { ranges; delete 3.3.3.3-4.4.4.4; }", 'no address range "3.3.3.3-4.4.4.4" to delete'),
    ):
        machine.site("strange", text + "\n")
        code, _, error = machine.front_says(maker, "-t")
        assert code == 0 and said in error, (text, error)
