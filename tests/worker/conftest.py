"""A nursery with workers, driven as the master would."""

import os
import pathlib
import sys

import pytest

from worker.driver import Master, plan

ROOT = pathlib.Path(__file__).parents[2]
BUILT = ROOT / "build" / "lib" / "propylon" / "_pyhost.abi3.so"

APP = '''
import os, sys, time

def application(environ, start_response):
    path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
    text = [("Content-Type", "text/plain")]
    if path == "/pid":
        body = str(os.getpid()).encode()
    elif path == "/sleep":
        time.sleep(float(query))
        body = b"slept"
    elif path == "/stuck":
        while True:
            pass
    elif path == "/big":
        body = b"x" * int(query)
    elif path == "/pieces":
        length, _, announced = query.partition(",")
        start_response("200 OK", text + [("Content-Length", announced or length)])
        return (b"x" * 65536 for _ in range(int(length) // 65536))
    elif path == "/items":
        start_response("200 OK", text)
        return (b"item %d\\n" % number for number in range(3))
    elif path == "/broken":
        start_response("200 OK", text)
        return broken()
    elif path == "/endless":
        start_response("200 OK", text)
        return endless()
    elif path == "/echo":
        body = environ["wsgi.input"].read()
    elif path == "/vars":
        body = "\\n".join(f"{k}={v}" for k, v in sorted(environ.items())).encode()
    else:
        body = b"hello"
    start_response("200 OK", text + [("Content-Length", str(len(body)))])
    return [body]

def endless():
    try:
        while True:
            yield b"more"
    finally:
        print("nobody listens", file=sys.stderr, flush=True)

def broken():
    yield b"begun"
    raise RuntimeError("cut on purpose")
'''


@pytest.fixture
def start(tmp_path):
    """start(workers=1, http=1, uwsgi=0, front_threads=0, **plan) runs an app."""
    (tmp_path / "app.py").write_text(APP)
    source = {"File": {"path": str(tmp_path / "app.py"), "callable": None}}
    extension = os.environ.get("PROPYLON_EXTENSION", str(BUILT))
    masters = []

    def begin(workers=1, http=1, uwsgi=0, front_threads=0, interpreter=sys.executable, **changes):
        changes.setdefault("load", [{"mount": "", "source": source}])
        changes.setdefault("processes", workers)
        whole = plan(**changes)
        master = Master(interpreter, extension, whole, tmp_path, http, uwsgi, front_threads)
        masters.append(master)
        master.first_word = master.loaded()
        for _ in range(workers):
            master.fork()
        return master

    yield begin
    for master in masters:
        master.stop()
        assert "panicked" not in master.log_text()
