"""wsgi.input: a body from memory, from a file, and while it arrives."""

import io

from probe import ask, case, checked, plain

TEXT = b"one\ntwo two\n\nlast without end"


def every_way(body, act, expected):
    """The same reading gives the same, wherever the body is and however it is cut."""
    ways = [("memory", body), ("file", body)]
    for size in (1, 2, 3, 7, 1000):
        ways.append(("live", [body[at : at + size] for at in range(0, len(body), size)]))
    for way, given in ways:
        seen = []

        def app(environ, start_response):
            seen.append(act(environ["wsgi.input"]))
            plain(start_response)
            return [b""]

        answer = ask(app, ("REQUEST_METHOD", "POST"), ("CONTENT_LENGTH", str(len(body))), body=given, way=way)
        assert answer.status == 200, answer.errors
        assert seen == [expected], (way, seen, expected)


@case
def read_without_a_size_gives_all():
    every_way(TEXT, lambda i: (i.read(), i.read(), i.read(5)), (TEXT, b"", b""))
    every_way(TEXT, lambda i: i.read(-1), TEXT)
    every_way(TEXT, lambda i: i.read(None), TEXT)


@case
def read_with_a_size_gives_exactly_that_until_the_end():
    every_way(TEXT, lambda i: [i.read(4), i.read(0), i.read(10), i.read(100)], [TEXT[:4], b"", TEXT[4:14], TEXT[14:]])


@case
def lines_are_cut_after_each_line_feed():
    lines = TEXT.splitlines(keepends=True)
    every_way(TEXT, lambda i: [i.readline() for _ in range(6)], lines + [b"", b""])
    every_way(TEXT, lambda i: list(i), lines)
    every_way(TEXT, lambda i: i.readlines(), lines)


@case
def readline_honours_its_limit():
    every_way(TEXT, lambda i: [i.readline(2), i.readline(2), i.readline(0), i.readline(100)], [b"on", b"e\n", b"", b"two two\n"])
    every_way(TEXT, lambda i: i.readline(-1), b"one\n")


@case
def readlines_stops_after_its_hint():
    every_way(TEXT, lambda i: (i.readlines(5), i.read()), ([b"one\n", b"two two\n"], b"\nlast without end"))
    every_way(TEXT, lambda i: len(i.readlines(0)), 4)


@case
def kinds_of_reading_can_be_mixed():
    every_way(TEXT, lambda i: [i.read(1), i.readline(), next(i), i.read()], [b"o", b"ne\n", b"two two\n", b"\nlast without end"])


@case
def a_large_body_is_read_whole():
    big = bytes(range(256)) * 4000
    for way, given in (("memory", big), ("file", big), ("live", [big[:100000], big[100000:]])):
        seen = []

        def app(environ, start_response):
            stream = environ["wsgi.input"]
            seen.append(b"".join(iter(lambda: stream.read(10007), b"")))
            plain(start_response)
            return [b""]

        ask(app, body=given, way=way, drop=["CONTENT_LENGTH"])
        assert seen == [big], way


@case
def one_very_long_line_is_one_line():
    line = b"x" * 300000 + b"\n"
    every_way(line, lambda i: len(i.readline()), len(line))


@case
def no_body_reads_as_nothing():
    def app(environ, start_response):
        stream = environ["wsgi.input"]
        assert (stream.read(), stream.read(1), stream.readline(), stream.readlines(), list(stream)) == (b"", b"", b"", [], [])
        plain(start_response)
        return [b""]

    assert ask(app).status == 200


@case
def io_wrappers_can_read_it():
    def app(environ, start_response):
        text = io.TextIOWrapper(io.BufferedReader(environ["wsgi.input"]), "utf-8")
        lines = text.readlines()
        text.detach()
        plain(start_response)
        return [repr(lines).encode()]

    for way, body in (("memory", b"a\nb"), ("live", [b"a", b"\nb"])):
        assert ask(app, body=body, way=way).body == b"['a\\n', 'b']"


@case
def a_client_that_goes_mid_body_is_an_os_error():
    def app(environ, start_response):
        stream = environ["wsgi.input"]
        try:
            stream.read()
        except OSError as error:
            plain(start_response)
            return [type(error).__name__.encode()]

    answer = ask(app, body=[b"half", None], way="live")
    assert answer.status == 200 and answer.body


@case
def an_unhandled_early_end_is_a_500():
    def app(environ, start_response):
        environ["wsgi.input"].read()

    answer = ask(app, body=[b"half", None], way="live")
    assert answer.status == 500 and answer.raised and "Traceback" in answer.errors


@case
def a_whole_body_without_length_gets_one():
    def app(environ, start_response):
        plain(start_response)
        return [environ["CONTENT_LENGTH"].encode(), b" ", environ["wsgi.input"].read()]

    for way in ("memory", "file"):
        assert ask(app, body=b"12345", way=way, drop=["CONTENT_LENGTH"]).body == b"5 12345"


@case
def the_input_says_that_it_ends():
    def app(environ, start_response):
        plain(start_response)
        return [repr(environ["wsgi.input_terminated"]).encode()]

    assert ask(app, body=[b"x"], way="live").body == b"True"


@case
def a_kept_input_is_dead_after_its_request():
    for way, body in (("memory", b"abc"), ("file", b"abc"), ("live", [b"abc"])):
        kept = []

        def app(environ, start_response):
            kept.append(environ["wsgi.input"])
            plain(start_response)
            return [b""]

        ask(app, body=body, way=way)
        try:
            kept[0].read()
        except ValueError:
            pass
        else:
            raise AssertionError(way)


@case
def the_validator_accepts_the_input():
    def app(environ, start_response):
        stream = environ["wsgi.input"]
        got = stream.read(2) + stream.readline() + stream.read(-1)
        plain(start_response)
        return [got]

    for way, body in (("memory", TEXT), ("file", TEXT), ("live", [TEXT[:5], TEXT[5:]])):
        answer = checked(app, ("REQUEST_METHOD", "POST"), body=body, way=way)
        assert answer.body == TEXT
