"""The parts `direct`, `stack` and `front`: CPU per request of every stack, in turns."""

from __future__ import annotations

import stacks
from measure import Load, Stack, answer, free_port, measure, pipelines
from report import FLOOR
from run import Run

CALLABLES = {"raw WSGI": "raw", "Flask hello": "flask"}
FRONT_PATHS = {"cache hit, 11 bytes": "/cached", "static file, 14 KB": "/static/page.html",
               "reverse proxy, keep-alive": "/proxy", "return 200": "/return"}  # fmt: skip
# What the floor asks for, and how it comes by the answer; the origin knows no other path.
FLOOR_PATHS = {"static file, 14 KB": ("answer", "/static/page.html"), "reverse proxy, keep-alive": ("proxy", "/return"),
               "return 200": ("answer", "/return")}  # fmt: skip
PIPELINED = 16


def direct(run: Run) -> None:
    """App servers, direct HTTP; each connection with one request at a time, and with 16."""
    for _ in range(run.rounds):
        for column, callable in CALLABLES.items():
            address = ("127.0.0.1", free_port())
            url = f"http://127.0.0.1:{address[1]}/"
            deep = Load(url, script="pipeline.lua", arguments=(PIPELINED,))
            for row, command in stacks.direct(callable, address[1]).items():
                run.measured(("direct", column, row), [command], [address], Load(url))
                place = ("direct", f"{column}, {PIPELINED} pipelined", row)
                run.watched(place, [command], [address], lambda stack: pipelined(stack, address, deep, run.seconds))


def pipelined(stack: Stack, address, load: Load, seconds: int) -> dict:
    """A cell, or a note that this server does not pipeline."""
    if not pipelines(address):
        return {"note": "does not pipeline"}
    return measure(stack, load, seconds)


def stack(run: Run) -> None:
    """The whole stack, and the mixed pairs; then once more with the logs on."""
    for _ in range(run.rounds):
        for column, callable in CALLABLES.items():
            port = free_port()
            run.prepare(callable, port)
            for row, commands in stacks.pairs(run.folder).items():
                run.measured(("stack", column, row), commands, run_addresses(run, port), Load(f"http://127.0.0.1:{port}/"))
        port = free_port()
        run.prepare("raw", port, logs=True)
        rows = stacks.pairs(run.folder)
        for row in ("propylon serve", "nginx + uWSGI"):
            place = ("stack", "raw WSGI, access log and request log on", row)
            load = Load(f"http://127.0.0.1:{port}/")
            run.watched(place, rows[row], run_addresses(run, port), lambda stack: logged(run, stack, load, 2))


def run_addresses(run: Run, port: int) -> list:
    """Where a whole stack listens."""
    return [str(run.folder / "app.sock"), ("127.0.0.1", port)]


def front(run: Run) -> None:
    """The web server alone; what it fetches from is not counted."""
    port, origin_port = free_port(), free_port()
    address = [("127.0.0.1", port)]
    run.prepare("raw", port, origin_port)
    origin = Stack([stacks.origin(run.folder)], [("127.0.0.1", origin_port)], stacks.HERE)
    try:
        for _ in range(run.rounds):
            run.prepare("raw", port, origin_port)
            for column in FRONT_PATHS:
                for row, command in stacks.fronts(run.folder).items():
                    run.watched(("front", column, row), [command], address, lambda stack: kept(run, stack, port, column))
                if column in FLOOR_PATHS:
                    floor(run, port, origin_port, column)
            run.prepare("raw", port, origin_port, logs=True)
            for row, command in stacks.fronts(run.folder).items():
                place = ("front", "return 200, access log on", row)
                load = Load(f"http://127.0.0.1:{port}/return")
                run.watched(place, [command], address, lambda stack: logged(run, stack, load, 1))
    finally:
        origin.stop()


def kept(run: Run, stack: Stack, port: int, column: str) -> dict:
    """A cell of a front, whose answer is put aside for the floor."""
    path = FRONT_PATHS[column]
    (run.folder / f"{column}.answer").write_bytes(answer(("127.0.0.1", port), path))
    return measure(stack, Load(f"http://127.0.0.1:{port}{path}"), run.seconds)


def floor(run: Run, port: int, origin_port: int, column: str) -> None:
    """The same requests and answers with the system calls alone."""
    what, path = FLOOR_PATHS[column]
    given = f"127.0.0.1:{origin_port}" if what == "proxy" else run.folder / f"{column}.answer"
    command = stacks.floor(what, port, given)
    run.measured(("front", column, FLOOR), [command], [("127.0.0.1", port)], Load(f"http://127.0.0.1:{port}{path}"))


def logged(run: Run, stack: Stack, load: Load, count: int) -> dict:
    """A cell with logs on, if both of them (the front's alone if there is but one) have grown by its requests."""
    logs = [run.folder / name for name in ("access.log", "requests.log")][:count]
    before = [log.stat().st_size for log in logs]
    cell = measure(stack, load, run.seconds)
    # The shortest line of either format is longer than this.
    if any(log.stat().st_size - size < 60 * cell["requests"] for log, size in zip(logs, before)):
        return {"note": "did not log every request"}
    return cell
