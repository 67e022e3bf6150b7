"""The WSGI bridge without a socket: one request from variables to the response's parts.

Runs in the interpreter under test (any CPython from 3.9 on, standard library only).
"""

import contextlib
import importlib.machinery
import importlib.util
import io
import json
import os
import sys
import tempfile
import types
from wsgiref.validate import validator

CASES = []


def case(function):
    """A case is named by a sentence and fails by an exception."""
    CASES.append(function)
    return function


def extension():
    """The extension module whose path is in PROPYLON_EXTENSION."""
    if "_pyhost" not in sys.modules:
        path = os.environ["PROPYLON_EXTENSION"]
        loader = importlib.machinery.ExtensionFileLoader("_pyhost", path)
        spec = importlib.util.spec_from_file_location("_pyhost", path, loader=loader)
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
        sys.modules["_pyhost"] = module
    return sys.modules["_pyhost"]


def plan(*load, **more):
    """A plan in JSON; everything that is not named has its default."""
    return json.dumps({"load": [{"mount": mount, "source": source} for mount, source in load], **more})


def module(spec, mount=""):
    return (mount, {"Module": spec})


def file(path, mount="", name=None):
    return (mount, {"File": {"path": str(path), "callable": name}})


def coded(variables):
    out = b""
    for name, value in variables:
        name = name.encode("latin-1")
        value = value if isinstance(value, bytes) else value.encode("latin-1")
        out += len(name).to_bytes(2, "little") + name + len(value).to_bytes(2, "little") + value
    return out


USUAL = [
    ("REQUEST_METHOD", "GET"),
    ("PATH_INFO", "/"),
    ("QUERY_STRING", ""),
    ("REQUEST_URI", "/"),
    ("SERVER_PROTOCOL", "HTTP/1.1"),
    ("SERVER_NAME", "example.org"),
    ("SERVER_PORT", "80"),
    ("REMOTE_ADDR", "127.0.0.1"),
    ("HTTP_HOST", "example.org"),
]


class Answer:
    """What the transport was told, and what was written to standard error meanwhile."""

    def __init__(self, report, errors):
        self.__dict__.update(report)
        self.body = b"".join(self.pieces)
        self.errors = errors

    def header(self, name):
        values = [value for known, value in self.headers if known.lower() == name.lower()]
        return values[0] if values else None

    @property
    def whole(self):
        """The response came to its regular end."""
        return self.calls[-1] in ("start+end", "end")

    @property
    def cut(self):
        return self.calls[-1] == "abort"


@contextlib.contextmanager
def standard_error():
    """Everything written to descriptor 2 meanwhile, by Python or not."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as trap:
        os.dup2(trap.fileno(), 2)
        text = io.StringIO()
        try:
            yield text
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            trap.seek(0)
            text.write(trap.read().decode("utf-8", "replace"))


current = None


def application(environ, start_response):
    return current(environ, start_response)


def prepare():
    """The probe of the app `current`; made once."""
    holder = types.ModuleType("bridge_app")
    holder.application = application
    sys.modules["bridge_app"] = holder
    return extension().Probe(plan(module("bridge_app"), threads=2))


_probe = []


def probe():
    if not _probe:
        _probe.append(prepare())
    return _probe[0]


def ask(app, *changes, body=None, way="memory", gone_after=sys.maxsize, server=None, drop=()):
    """Serves one request; `changes` are (name, value) that replace or follow the usual ones."""
    global current
    current = app
    names = {name for name, _ in changes} | set(drop)
    variables = [pair for pair in USUAL if pair[0] not in names] + list(changes)
    if isinstance(body, bytes) and "CONTENT_LENGTH" not in names | set(drop):
        variables.append(("CONTENT_LENGTH", str(len(body))))
    with standard_error() as errors:
        report = (server or probe()).request(coded(variables), body, way, gone_after)
    return Answer(report, errors.getvalue())


def checked(app, *changes, **more):
    """Like ask, with wsgiref's validator between server and app."""
    answer = ask(validator(app), *changes, **more)
    assert not answer.raised, answer.errors
    return answer


def environ_of(*changes, **more):
    """The environ an app sees."""
    seen = {}

    def app(environ, start_response):
        seen.update(environ)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b""]

    more.setdefault("server", None)
    answer = ask(app, *changes, **more)
    assert answer.status == 200, answer.errors
    return seen


def plain(start_response, *headers, status="200 OK"):
    return start_response(status, [("Content-Type", "text/plain"), *headers])


def run():
    """Runs every case; one line per case on standard output."""
    failed = 0
    for function in CASES:
        try:
            function()
        except BaseException:
            import traceback

            failed += 1
            print("FAILED", function.__name__, traceback.format_exc().replace("\n", "\n    "))
        else:
            print("ok", function.__name__)
    print(len(CASES), "cases,", failed, "failed")
    return 1 if failed else 0
