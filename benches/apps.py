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
