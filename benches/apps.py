"""The apps of the benchmarks: a raw WSGI callable, Flask's hello, and views that are slow or big."""

import time


def raw(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "11")])
    return [b"Hello World"]


def views(environ, start_response):
    """As `raw`, but /slow sleeps."""
    if environ["PATH_INFO"] == "/slow":
        time.sleep(0.05)
    return raw(environ, start_response)


PIECE = bytes(64 * 1024)


def bodies(environ, start_response):
    """Reads the whole body in pieces, then sends as many bytes as the query says; for 0, eleven."""
    body = environ["wsgi.input"]
    while body.read(len(PIECE)):
        pass
    size = int(environ["QUERY_STRING"] or 0)
    if not size:
        return raw(environ, start_response)
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(size))])
    return pieces(size)


def pieces(size):
    """So many bytes, 64 KB at a time."""
    for _ in range(size // len(PIECE)):
        yield PIECE
    yield PIECE[: size % len(PIECE)]


def make_flask():
    from flask import Flask

    app = Flask(__name__)

    @app.route("/")
    def hello():
        return "Hello World"

    return app


try:
    flask = make_flask()
except ImportError:
    flask = None
