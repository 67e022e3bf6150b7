"""One WSGI app, one behaviour a path: PEP 3333's rules and what apps do with them."""

import io
import os
import sys

HERE = os.path.abspath(__file__)
CLOSED = []


class Iterable:
    """A response iterable that remembers being closed."""

    def __init__(self, name, items, error_after=None):
        self.name, self.items, self.error_after = name, items, error_after

    def __iter__(self):
        for number, item in enumerate(self.items):
            if number == self.error_after:
                raise RuntimeError("on purpose, while iterating")
            yield item
        if self.error_after == len(self.items):
            raise RuntimeError("on purpose, at the end")

    def close(self):
        CLOSED.append(self.name)


def plain(start_response, *headers, status="200 OK"):
    return start_response(status, [("Content-Type", "text/plain"), *headers])


def one_item(environ, start):
    plain(start)
    return [b"one"]


def several_items(environ, start):
    plain(start)
    return [b"a", b"", b"b", b"c"]


def with_length(environ, start):
    plain(start, ("Content-Length", "6"))
    return [b"abc", b"def"]


def generator(environ, start):
    plain(start)
    yield b"first"
    yield b"second"


def late_start(environ, start):
    yield_first = [b"late"]
    plain(start)
    yield from yield_first


def write(environ, start):
    send = plain(start)
    send(b"written ")
    send(b"")
    return [b"returned"]


def write_only(environ, start):
    plain(start)(b"only written")
    return []


def empty(environ, start):
    plain(start)
    return []


def tuple_of_items(environ, start):
    plain(start)
    return (b"x", b"y")


def no_start(environ, start):
    return [b"never started"]


def raise_before(environ, start):
    raise RuntimeError("on purpose, before the head")


def raise_after_start(environ, start):
    plain(start)
    raise RuntimeError("on purpose, after start_response")


def raise_first_item(environ, start):
    plain(start)
    return Iterable("raise_first_item", [b"x"], error_after=0)


def raise_mid_body(environ, start):
    plain(start)
    return Iterable("raise_mid_body", [b"x" * 10, b"y" * 10], error_after=1)


def raise_mid_body_with_length(environ, start):
    plain(start, ("Content-Length", "20"))
    return Iterable("raise_mid_body_with_length", [b"x" * 10, b"y" * 10], error_after=1)


def exit_in_view(environ, start):
    sys.exit(3)


def exc_info_before(environ, start):
    plain(start)
    try:
        raise ValueError("replaced")
    except ValueError:
        start("503 Replaced", [("Content-Type", "text/plain")], sys.exc_info())
    return [b"error page"]


def start_twice(environ, start):
    plain(start)
    plain(start)
    return [b"never"]


def exc_info_after(environ, start):
    plain(start)
    yield b"sent"
    try:
        raise ValueError("too late")
    except ValueError:
        start("500 Too Late", [], sys.exc_info())
    yield b"never"


def str_item(environ, start):
    plain(start)
    return ["text"]


def str_item_later(environ, start):
    plain(start)
    return [b"bytes", "text"]


def too_long(environ, start):
    plain(start, ("Content-Length", "3"))
    return [b"abcdef"]


def too_short(environ, start):
    plain(start, ("Content-Length", "10"))
    return [b"abc"]


def header_split(environ, start):
    plain(start, ("X-Bad", "a\r\nX-Injected: 1"))
    return [b"never"]


def header_newline(environ, start):
    plain(start, ("X-Bad", "a\nb"))
    return [b"never"]


def header_nul(environ, start):
    plain(start, ("X-Bad", "a\0b"))
    return [b"never"]


def header_bad_name(environ, start):
    plain(start, ("X Bad", "a"))
    return [b"never"]


def header_not_latin1(environ, start):
    plain(start, ("X-Bad", "\u20ac"))
    return [b"never"]


def header_bytes(environ, start):
    start("200 OK", [(b"X-Bytes", b"1")])
    return [b"never"]


def header_hop_by_hop(environ, start):
    plain(start, ("Connection", "close"), ("Transfer-Encoding", "chunked"))
    return [b"never"]


def header_length_nonsense(environ, start):
    plain(start, ("Content-Length", "ten"))
    return [b"never"]


def status_bad(environ, start):
    start("nonsense", [])
    return [b"never"]


def status_split(environ, start):
    start("200 OK\r\nX-Injected: 1", [])
    return [b"never"]


def status_without_reason(environ, start):
    start("299 ", [("Content-Type", "text/plain")])
    return [b"no reason"]


def headers_twice(environ, start):
    plain(start, ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Latin", "gr\xfcn"))
    return [b"cookies"]


def no_content(environ, start):
    start("204 No Content", [])
    return []


def not_modified(environ, start):
    start("304 Not Modified", [("ETag", '"x"')])
    return []


def read_all(environ, start):
    body = environ["wsgi.input"].read()
    plain(start)
    return [b"%d %s" % (len(body), body[:20])]


def read_pieces(environ, start):
    pieces = []
    while piece := environ["wsgi.input"].read(1000):
        pieces.append(len(piece))
    plain(start)
    return [str(sum(pieces)).encode()]


def read_lines(environ, start):
    plain(start)
    return [repr(environ["wsgi.input"].readlines()).encode()]


def read_line(environ, start):
    stream = environ["wsgi.input"]
    plain(start)
    return [repr([stream.readline(), stream.readline(3), stream.readline(), stream.read()]).encode()]


def iterate_input(environ, start):
    plain(start)
    return [repr(list(environ["wsgi.input"])).encode()]


def read_nothing(environ, start):
    plain(start)
    return [b"unread"]


def environ_dump(environ, start):
    names = environ.get("QUERY_STRING", "").split("&")
    plain(start)
    return ["\n".join(f"{name}={environ.get(name)!r}" for name in names).encode("latin-1", "replace")]


def types(environ, start):
    plain(start)
    assert type(environ) is dict
    assert all(type(name) is str for name in environ)
    values = [value for name, value in environ.items() if name.isupper()]
    assert all(type(value) is str for value in values)
    environ["wsgi.errors"].write("a message for the log\n")
    environ["wsgi.errors"].writelines(["two ", "pieces\n"])
    environ["wsgi.errors"].flush()
    environ["changed.by.app"] = 1
    return [b"fine"]


def fresh_environ(environ, start):
    plain(start)
    return [repr("changed.by.app" in environ).encode()]


def file_wrapper(environ, start):
    plain(start, ("Content-Length", str(os.path.getsize(HERE))))
    return environ["wsgi.file_wrapper"](open(HERE, "rb"), 1000)


def file_wrapper_without_length(environ, start):
    plain(start)
    return environ["wsgi.file_wrapper"](open(HERE, "rb"))


def file_wrapper_offset(environ, start):
    file = open(HERE, "rb")
    file.seek(3)
    plain(start, ("Content-Length", "10"))
    return environ["wsgi.file_wrapper"](file)


def file_wrapper_of_memory(environ, start):
    plain(start)
    return environ["wsgi.file_wrapper"](io.BytesIO(b"memory" * 100), 7)


def large(environ, start):
    plain(start)
    return [b"L" * 3_000_000]


def close_normal(environ, start):
    plain(start)
    return Iterable("close_normal", [b"body"])


def closed(environ, start):
    plain(start)
    return [",".join(CLOSED).encode()]


def application(environ, start_response):
    name = environ["PATH_INFO"].strip("/").split("/")[0]
    view = globals().get(name)
    if view is None:
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"no such behaviour"]
    return view(environ, start_response)
