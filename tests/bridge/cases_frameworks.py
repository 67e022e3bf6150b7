"""Flask and Django through the bridge, where they are installed."""

import io
import sys
import tempfile

from probe import ask, case, checked


def flask_app():
    import flask

    app = flask.Flask("bridge")

    @app.route("/")
    def hello():
        return "hello"

    @app.route("/echo", methods=["POST"])
    def echo():
        return flask.request.get_data()

    @app.route("/form", methods=["POST"])
    def form():
        return flask.request.form["a"] + flask.request.files["f"].read().decode()

    @app.route("/stream")
    def stream():
        return flask.Response((f"{n}\n" for n in range(3)), mimetype="text/plain")

    @app.route("/file")
    def file():
        return flask.send_file(__file__)

    @app.route("/memory")
    def memory():
        return flask.send_file(io.BytesIO(b"from memory"), mimetype="text/plain")

    @app.route("/fails")
    def fails():
        raise ValueError("in a view")

    @app.route("/exits")
    def exits():
        sys.exit(1)

    @app.route("/where")
    def where():
        return flask.request.url

    return app


@case
def flask_serves_its_views():
    app = flask_app()
    answer = checked(app)
    assert (answer.status, answer.body) == (200, b"hello")
    assert ask(app).calls == ["start+end"]
    assert ask(app, ("PATH_INFO", "/nothing")).status == 404
    assert ask(app, ("PATH_INFO", "/stream")).pieces == [b"0\n", b"1\n", b"2\n"]
    assert ask(app, ("PATH_INFO", "/memory")).body == b"from memory"
    assert ask(app, ("REQUEST_METHOD", "HEAD")).header(b"Content-Length") == b"5"
    assert ask(app, ("PATH_INFO", "/where"), ("QUERY_STRING", "a=%20b"), ("HTTPS", "on")).body == b"https://example.org/where?a=%20b"


@case
def flask_reads_bodies():
    app = flask_app()
    body = b"x" * 100000
    for way, given in (("memory", body), ("file", body), ("live", [body[:1], body[1:]])):
        answer = ask(app, ("REQUEST_METHOD", "POST"), ("PATH_INFO", "/echo"), body=given, way=way)
        assert answer.body == body, way
    form = (
        b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
        b'--B\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\ncontent\r\n--B--\r\n'
    )
    answer = ask(
        app, ("REQUEST_METHOD", "POST"), ("PATH_INFO", "/form"), ("CONTENT_TYPE", "multipart/form-data; boundary=B"), body=form
    )
    assert answer.body == b"1content"


@case
def flask_sends_files_by_the_transport():
    answer = ask(flask_app(), ("PATH_INFO", "/file"))
    assert answer.via_sendfile and answer.body == open(__file__, "rb").read()


@case
def flask_errors_are_500s():
    app = flask_app()
    assert ask(app, ("PATH_INFO", "/fails")).status == 500
    answer = ask(app, ("PATH_INFO", "/exits"))
    assert answer.status == 500 and "SystemExit" in answer.errors


def django_app():
    import django
    from django.conf import settings

    if not settings.configured:
        settings.configure(SECRET_KEY="x" * 50, ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], DEBUG=False)
        django.setup()
    from django.core.wsgi import get_wsgi_application

    return get_wsgi_application()


def __getattr__(name):
    if name != "urlpatterns":
        raise AttributeError(name)
    from django.http import FileResponse, HttpResponse, StreamingHttpResponse
    from django.urls import path
    from django.views.decorators.csrf import csrf_exempt

    return [
        path("", lambda request: HttpResponse("hello")),
        path("echo", csrf_exempt(lambda request: HttpResponse(request.body))),
        path("stream", lambda request: StreamingHttpResponse([b"a", b"b"])),
        path("file", lambda request: FileResponse(open(__file__, "rb"))),
        path("temporary", lambda request: FileResponse(filled())),
    ]


def filled():
    file = tempfile.TemporaryFile()
    file.write(b"abc")
    file.seek(0)
    return file


@case
def django_serves_its_views():
    app = django_app()
    answer = checked(app)
    assert (answer.status, answer.body) == (200, b"hello")
    assert ask(app, ("PATH_INFO", "/nothing")).status == 404
    assert ask(app, ("PATH_INFO", "/stream")).pieces == [b"a", b"b"]
    answer = ask(app, ("PATH_INFO", "/file"))
    assert answer.via_sendfile and answer.body == open(__file__, "rb").read()
    assert ask(app, ("PATH_INFO", "/temporary")).body == b"abc"


@case
def django_reads_bodies_without_a_length_too():
    app = django_app()
    for way in ("memory", "file"):
        for drop in ([], ["CONTENT_LENGTH"]):
            answer = ask(app, ("REQUEST_METHOD", "POST"), ("PATH_INFO", "/echo"), body=b"x" * 70000, way=way, drop=drop)
            assert answer.body == b"x" * 70000, (way, drop)
