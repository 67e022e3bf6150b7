"""The part `growth`: what a request costs while connections, sites, cached objects and bodies become more."""

from __future__ import annotations

import contextlib
import pathlib
import shutil
import time

import stacks
from bodies import bodies
from idle import Idle, allow_files
from measure import Load, Stack, cpu_seconds, free_port, measure, pss_megabytes, until_answers, wrk
from run import Run
from series import Column, Series

KB = 1024
CPU = Column("cpu_us", "CPU us/request", 1)
MEMORY = Column("pss_mb", "PSS MB", 1)


def growth(run: Run) -> None:
    """All four; the largest sizes only in a full run."""
    for part in (connections, servers, objects):
        run.attempt(f"growth: {part.__name__}", lambda: run.growth.append(part(run)))
    run.attempt("growth: bodies", lambda: run.growth.extend(bodies(run)))


def sizes(run: Run, quick: list[int], full: list[int]) -> list[int]:
    """What is measured by default, and what else in a full run."""
    return quick + full if run.full else quick


def growth_conf(run: Run, folder: pathlib.Path, port: int, origin: int, servers: str = "") -> pathlib.Path:
    """Writes the fronts' configuration into a folder of its own."""
    folder.mkdir(exist_ok=True)
    run.write("growth.conf", into=folder, RUN=folder, FILES=allow_files(50_000), PORT=port, ORIGIN=origin, SERVERS=servers)
    return folder / "growth.conf"


def connections(run: Run) -> Series:
    """Idle keep-alive connections beside 64 busy ones; every stack is up, one is busy at a time."""
    allow_files(50_000)
    columns = [CPU, MEMORY, Column("kb_each", "KB per idle connection", 2)]
    series = Series("connections", "Idle connections beside 64 busy ones", "idle connections", columns, plots=["cpu_us"])
    with contextlib.ExitStack() as cleaning:
        clients, up, first = {}, {}, None
        for row, command, port in connection_rows(run):
            stack = run.started(f"growth: connections: {row}", [command], [("127.0.0.1", port)])
            if not stack:
                continue
            up[row] = stack
            cleaning.callback(up[row].stop)
            clients[row] = Idle(port)
            cleaning.callback(clients[row].close)
            wrk(Load(f"http://127.0.0.1:{port}/"), 1)
        for count in sizes(run, [1, 10, 100, 1000], [10_000]):
            memory = {}
            for row, idle in clients.items():
                idle.grow(count)
                memory[row] = pss_megabytes(up[row].pids())
            # All stacks are up by now: they share pages.
            first = first or memory
            for _ in range(run.rounds):
                for row, idle in clients.items():
                    cell = measure(up[row], Load(f"http://127.0.0.1:{idle.port}/"), run.seconds)
                    # What few connections cost is lost among the pages of a whole process.
                    each = (memory[row] - first[row]) * KB / (count - 1) if count >= 1000 else None
                    cell.update(pss_mb=memory[row], kb_each=each, failed=cell["failed"] + idle.closed())
                    series.add(row, count, cell)
    return series


def connection_rows(run: Run) -> list[tuple[str, list[str], int]]:
    """Name, command and port of each server."""
    rows = []
    for number, row in enumerate(("propylon front", "nginx")):
        port = free_port()
        conf = growth_conf(run, run.folder / f"front-{number}", port, free_port())
        rows.append((row, stacks.one_front(row, conf), port))
    for row in ("propylon http-socket", "bjoern"):
        port = free_port()
        command = stacks.direct("raw", port)[row]
        rows.append((row, [*command, "--http-keepalive=600"] if "propylon" in row else command, port))
    return rows


def servers(run: Run) -> Series:
    """Server blocks with two names each, requests spread over all of them."""
    columns = [CPU, Column("startup_ms", "first answer after ms", 0), MEMORY]
    series = Series("servers", "Server blocks", "server blocks", columns, plots=["cpu_us", "startup_ms"])
    for _ in range(run.rounds):
        for count in sizes(run, [1, 10, 100, 1000], []):
            for row in ("propylon front", "nginx"):
                port = free_port()
                blocks = "\n".join(server_block(port, number) for number in range(1, count + 1))
                conf = growth_conf(run, run.folder / "servers", port, free_port(), blocks)
                started = time.monotonic()
                stack = Stack([stacks.one_front(row, conf)], [], stacks.HERE)
                with contextlib.closing(stack):
                    until_answers(stack, port, host=f"site{count}.example")
                    startup_ms = (time.monotonic() - started) * 1000
                    cell = measure(stack, Load(f"http://127.0.0.1:{port}/", script="hosts.lua", arguments=(count,)), run.seconds)
                series.add(row, count, {**cell, "startup_ms": startup_ms})
    return series


def server_block(port: int, number: int) -> str:
    """One site."""
    return (
        f"    server {{ listen 127.0.0.1:{port}; server_name site{number}.example www.site{number}.example;"
        ' location / { return 200 "Hello World"; } location /static/ { root /srv; expires 1h; } }'
    )


def objects(run: Run) -> Series:
    """Cached objects of 11 bytes, filled by requests, asked for at random after a restart."""
    columns = [CPU, Column("first_us", "CPU us, first hit of each after a start", 1), Column("startup_ms", "first answer after ms", 0),
               Column("indexed_s", "index read after s", 2), MEMORY, Column("bytes_each", "bytes of memory per object", 0)]  # fmt: skip
    series = Series("objects", "Cached objects", "cached objects", columns, plots=["cpu_us", "indexed_s"])
    origin_port = free_port()
    run.prepare("raw", free_port(), origin_port)
    origin = Stack([stacks.origin(run.folder)], [("127.0.0.1", origin_port)], stacks.HERE)
    with contextlib.closing(origin):
        for count in sizes(run, [10, 1000, 10_000], [100_000, 1_000_000]):
            # A million files of nginx's would double the time; its curve is told by then.
            for row in ("propylon front", "nginx")[: 1 if count > 100_000 else 2]:
                cached(run, series, row, count, origin_port)
    return series


def cached(run: Run, series: Series, row: str, count: int, origin: int) -> None:
    """One server with so many objects: filled, started again, read once, then measured."""
    port, folder = free_port(), run.folder / "objects"
    command = stacks.one_front(row, growth_conf(run, folder, port, origin))
    load = Load(f"http://127.0.0.1:{port}/o/1", script="objects.lua", arguments=(count,))
    each = Load(load.url, script="each.lua", arguments=(count,))
    with contextlib.closing(Stack([command], [("127.0.0.1", port)], stacks.HERE)):
        filled = wrk(each, 600)
    found = sum(1 for path in (folder / "cache").rglob("*") if path.is_file())
    started = time.monotonic()
    with contextlib.closing(Stack([command], [], stacks.HERE)) as stack:
        until_answers(stack, port, path="/o/1")
        startup_ms = (time.monotonic() - started) * 1000
        indexed_s = until_quiet(stack) - started if "propylon" in row else None
        used = cpu_seconds(stack.pids())
        once = wrk(each, 600)
        first_us = (cpu_seconds(stack.pids()) - used) * 1e6 / once["requests"]
        base = series.value(row, 10, "pss_mb")
        for _ in range(run.rounds):
            cell = measure(stack, load, run.seconds)
            cell["failed"] += filled["failed"] + once["failed"] + abs(found - count)
            bytes_each = (cell["pss_mb"] - base) * KB * KB / count if base and count >= 1000 else None
            series.add(row, count, {**cell, "first_us": first_us, "startup_ms": startup_ms, "indexed_s": indexed_s, "bytes_each": bytes_each})
    shutil.rmtree(folder)


def until_quiet(stack: Stack) -> float:
    """The moment after which a stack's processes did nothing for half a second."""
    before, moment = cpu_seconds(stack.pids()), time.monotonic()
    while time.monotonic() - moment < 0.5:
        time.sleep(0.02)
        used = cpu_seconds(stack.pids())
        if used - before > 0.002:
            before, moment = used, time.monotonic()
    return moment
