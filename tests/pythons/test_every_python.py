"""Flask, Django and a bare callable on every CPython found, alone and behind the front."""

import pathlib

import pytest
from harness import client, peers
from harness.processes import free_port

APPS = {
    "flask": """\
from flask import Flask
application = Flask(__name__)

@application.route("/")
def hello():
    return "hello"
""",
    "django": """\
import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

settings.configure(SECRET_KEY="x" * 50, ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"])
urlpatterns = [path("", lambda request: HttpResponse("hello"))]
application = get_wsgi_application()
""",
    "bare": """\
from wsgiref.validate import validator

@validator
def application(environ, start_response):
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]
""",
}


@pytest.fixture(params=peers.virtualenvs(), ids=lambda path: pathlib.Path(path).name)
def venv(request):
    return request.param


@pytest.fixture(params=APPS)
def project(request, machine):
    # The other interpreters may be in a private home directory: everything runs as one account.
    machine.uid = machine.gid = None
    machine.write("wsgi.py", APPS[request.param])
    return machine


def test_the_app_is_served_directly(project, venv):
    port = free_port()
    process = project.app(
        "ours", "--http-socket", f"127.0.0.1:{port}", "-w", "wsgi", "--virtualenv", venv, "-M"
    ).ready(port)
    for _ in range(3):
        answer = client.get(port)
        assert (answer.status, answer.text()) == (200, "hello"), process.log()


def test_the_app_is_served_behind_the_front(project, venv):
    port = free_port()
    project.write("wsgi.ini", f"[uwsgi]\nmodule = wsgi\nvirtualenv = {venv}\nhttp = 127.0.0.1:{port}\nthreads = 2\n")
    process = project.app("ours", "wsgi.ini").ready(port)
    for method, body in (("GET", None), ("HEAD", None), ("POST", b"x" * 100000)):
        answer = client.request(port, method, "/", body=body)
        assert answer.status in (200, 403, 405), process.log()
    assert client.get(port).text() == "hello"
