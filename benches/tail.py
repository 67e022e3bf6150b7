"""The part `tail`: how long a fast view takes beside one that sleeps 50 ms."""

from __future__ import annotations

import stacks
from measure import Load, Stack, free_port, measure, start_wrk, wrk_report
from parts import run_addresses
from run import Run

SLOW_CLIENTS = 2
THREADS = 4
# With few workers both stacks are ruled by the sleep, so more rounds than elsewhere.
ROUNDS_MORE = 2


def tail(run: Run) -> None:
    """Threads of one app server, then workers behind a front; every stack in every round."""
    for _ in range(run.rounds + ROUNDS_MORE):
        threads(run)
        for workers in (1, 2, 4):
            port = free_port()
            run.prepare("views", port, processes=workers)
            rows = stacks.pairs(run.folder)
            column = f"whole stack, {workers} worker{'s' * (workers > 1)}, 4 fast clients beside {SLOW_CLIENTS} slow"
            for row in ("propylon serve", "nginx + uWSGI"):
                run.watched(("tail", column, row), rows[row], run_addresses(run, port), lambda stack: beside(run, stack, port, 4))


def threads(run: Run) -> None:
    """One worker with four threads, 16 fast clients."""
    port = free_port()
    column = f"direct, 1 worker, {THREADS} threads, 16 fast clients beside {SLOW_CLIENTS} slow"
    for row, command in stacks.threaded("views", port, THREADS).items():
        run.watched(("tail", column, row), [command], [("127.0.0.1", port)], lambda stack: beside(run, stack, port, 16))


def beside(run: Run, stack: Stack, port: int, fast_clients: int) -> dict:
    """The fast view's cell while the slow clients hammer theirs; their failures count, too."""
    # The warming second and the measured ones.
    slow = start_wrk(Load(f"http://127.0.0.1:{port}/slow", SLOW_CLIENTS), run.seconds + 2)
    cell = measure(stack, Load(f"http://127.0.0.1:{port}/", fast_clients), run.seconds)
    cell["failed"] += wrk_report(slow)["failed"]
    return cell
