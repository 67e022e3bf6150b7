"""Clients that are shared out: nginx gives each one the same value as ours."""

import random
from urllib.parse import quote

import pytest
from harness import client
from harness.pairs import every_front
from harness.processes import free_port

SITE = """
split_clients "$arg_a" $plain {{ 0.01% tiny; 33.33% third; .5% half; 12.% twelve; 50% fifty; * rest; }}
split_clients "x${{arg_a}}y$arg_b" $joined {{ 25% one; 25% two; 25% three; }}
split_clients "$plain$joined" $nested {{ 50% $uri; * "two words"; * never; }}
split_clients "${{remote_addr}}AAA" $whole {{ 100% all; * none; }}
split_clients $arg_a $empty {{ }}
server {{
    listen 127.0.0.1:{port};
    return 200 "$plain|$joined|$nested|$whole|$empty";
}}
"""
KEYS = 10_000


@pytest.fixture
def port(machine):
    chosen = free_port()
    machine.site("split", SITE.format(port=chosen))
    return chosen


def keys():
    """Texts of every length, as they come in cookies and addresses, and bytes of all kinds."""
    chance = random.Random(5)
    yield ""
    for number in range(KEYS - 1):
        if number % 3 == 0:
            yield f"192.0.2.{number % 256}user{number}"
        else:
            yield chance.randbytes(number % 41).decode("latin-1")


def values(port):
    found = []
    connection = client.Connection(port)
    for number, key in enumerate(keys()):
        # A server ends a connection after a thousand requests.
        if number % 900 == 899:
            connection.close()
            connection = client.Connection(port)
        # Arguments are not decoded, so what is hashed is what is sent.
        found.append(connection.request(target=f"/?a={quote(key)}&b={number}").text())
    connection.close()
    return found


def test_ten_thousand_clients_have_the_values_they_have_with_nginx(machine, port):
    found = {}
    for maker in ("original", "ours"):
        front = machine.front(maker).ready(port)
        found[maker] = values(port)
        front.stop()
    assert found["ours"] == found["original"]
    shares = [text.split("|")[0] for text in found["ours"]]
    assert 3000 < shares.count("third") < 3700 and 4600 < shares.count("fifty") < 5400
    assert {text.split("|")[1] for text in found["ours"]} == {"one", "two", "three", ""}
    assert {text.split("|")[2] for text in found["ours"]} == {"$uri", "two words"}


@every_front
def test_what_cannot_be_meant_is_refused(machine, maker):
    def block(line):
        return f"split_clients $remote_addr $v {{ {line} }}"

    for text, said in (
        (block("50% a; 50.01% b;"), "percent total is greater than 100%"),
        (block("* a; 50% b;"), "percent total is greater than 100%"),
        (block("101% a;"), "percent total is greater than 100%"),
        (block("0% a;"), 'invalid percent value "0%"'),
        (block("0.001% a;"), 'invalid percent value "0.001%"'),
        (block("50 a;"), 'invalid percent value "50"'),
        (block("% a;"), 'invalid percent value "%"'),
        (block("-5% a;"), 'invalid percent value "-5%"'),
        (block("5.5.5% a;"), 'invalid percent value "5.5.5%"'),
        (block("99999999999999999999% a;"), 'invalid percent value "99999999999999999999%"'),
        (block('"" a;'), 'invalid percent value ""'),
        (block("50% a { }"), 'unexpected "{"'),
        ("split_clients $remote_addr v { }", 'invalid variable name "v"'),
        ("split_clients $remote_addr $uri { }", 'the duplicate "uri" variable'),
        ("split_clients $nothing_here $v { }", 'unknown "nothing_here" variable'),
        ("split_clients $v { }", 'invalid number of arguments in "split_clients" directive'),
        ("split_clients $a $b;", 'directive "split_clients" has no opening "{"'),
        ("server { split_clients $a $v { } }", '"split_clients" directive is not allowed here'),
    ):
        machine.site("wrong", text + "\n")
        code, _, error = machine.front_says(maker, "-t")
        assert code == 1 and said in error, (text, error)
