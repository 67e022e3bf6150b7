"""Answers of quick views that leave together: none is lost or late when a view behind them is not quick."""

import os
import pathlib
import signal
import time

import pytest
from harness import client
from harness.processes import free_port, wait_until

APP = """\
import os, time
def application(environ, start_response):
    path = environ["PATH_INFO"]
    until = time.perf_counter() + 40e-6
    while time.perf_counter() < until:
        pass
    if path == "/kill":
        os.kill(os.getpid(), 9)
    if path == "/slow":
        time.sleep(2)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""
AHEAD = 5


@pytest.fixture(params=[1, 3], ids=["one thread", "threads"])
def connections(machine, request):
    """Connections to a worker that has shown itself to be quick."""
    machine.write("quick.py", APP)
    port = free_port()
    machine.app("ours", "--http-socket", f"127.0.0.1:{port}", "--wsgi-file", "quick.py", "-M", "--threads", str(request.param)).ready(port)
    opened = [client.Connection(port) for _ in range(AHEAD + 3)]
    for _ in range(20):
        for connection in opened:
            connection.send(client.build("GET", "/"))
        pids = {connection.answer().text() for connection in opened}
    assert len(pids) == 1
    yield opened, int(pids.pop())
    for connection in opened:
        connection.close()


def status(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def all_at_once(connections, worker, odd):
    """Requests that the worker finds together: quick ones, the odd one, quick ones."""
    # Asleep, it finds them in the order of their arrival.
    wait_until(lambda: status(worker) == "S", what="a worker that sleeps")
    os.kill(worker, signal.SIGSTOP)
    wait_until(lambda: status(worker) == "T", what="a worker that is stopped")
    targets = ["/"] * AHEAD + [odd] + ["/"] * 2
    for connection, target in zip(connections, targets):
        connection.send(client.build("GET", target))
    os.kill(worker, signal.SIGCONT)
    return time.monotonic()


def test_answers_before_one_that_kills_the_worker_arrive(connections):
    connections, worker = connections
    all_at_once(connections, worker, "/kill")
    for connection in connections[:AHEAD]:
        answer = connection.answer()
        assert answer.complete and answer.text() == str(worker)


def test_answers_before_a_slow_one_do_not_wait_for_it(connections):
    connections, worker = connections
    began = all_at_once(connections, worker, "/slow")
    for connection in connections[:AHEAD]:
        assert connection.answer().text() == str(worker)
    waited = time.monotonic() - began
    assert waited < 1
    assert [connection.answer().text() for connection in connections[AHEAD:]] == [str(worker)] * 3


def test_answers_that_left_together_are_right_each(connections):
    connections, worker = connections
    for _ in range(50):
        for connection in connections:
            connection.send(client.build("GET", "/"))
        assert {connection.answer().text() for connection in connections} == {str(worker)}
