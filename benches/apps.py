"""The two apps of every benchmark: a raw WSGI callable, and Flask's hello."""


def raw(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "11")])
    return [b"Hello World"]


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
