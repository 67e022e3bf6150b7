"""The part of `growth` about bodies: from 1 KB to 100 MB, up and down, to an app that streams them."""

from __future__ import annotations

import contextlib
import socket
import threading

import stacks
from measure import Stack, cpu_seconds, free_port, pss_megabytes
from parts import run_addresses
from run import Run
from series import Column, Series

CLIENTS = 4
BYTES_A_ROUND = 256 << 20
REQUESTS_MAX = 4000
COLUMNS = [Column("cpu_us", "CPU us/request", 0), Column("us_per_mb", "CPU us per MB", 0), Column("peak_mb", "highest PSS MB", 1)]


def bodies(run: Run) -> list[Series]:
    """One series each way; a stack is fresh for every size, so that its highest memory is this size's."""
    both = [Series(f"{way}s", f"{way.capitalize()}s", "bytes", COLUMNS, plots=["us_per_mb", "peak_mb"]) for way in ("download", "upload")]
    quick = [10**3, 10**4, 10**5, 10**6, 10**7]
    for series in both:
        for size in quick + [10**8] * run.full:
            for _ in range(run.rounds):
                one_size(run, series, size)
    return both


def one_size(run: Run, series: Series, size: int) -> None:
    """One round of every stack."""
    port = free_port()
    run.prepare("bodies", port)
    rows = {row: (commands, run_addresses(run, port)) for row, commands in stacks.pairs(run.folder).items()}
    address = [("127.0.0.1", port)]
    rows["propylon http-socket"] = ([stacks.direct("bodies", port)["propylon http-socket"]], address)
    for row in ("propylon serve", "nginx + uWSGI", "propylon http-socket"):
        stack = run.started(f"growth: {series.name}: {row}", *rows[row])
        if not stack:
            continue
        with contextlib.closing(stack):
            series.add(row, size, transferred(stack, port, series.name == "uploads", size))


def transferred(stack: Stack, port: int, is_upload: bool, size: int) -> dict:
    """CPU and highest memory while so many bodies of one size pass."""
    each = max(1, min(REQUESTS_MAX, BYTES_A_ROUND // size) // CLIENTS)
    clients = [Client(port, is_upload, size) for _ in range(CLIENTS)]
    for client in clients:
        client.exchange()
    before, peak = cpu_seconds(stack.pids()), 0.0
    threads = [threading.Thread(target=client.run, args=(each,)) for client in clients]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        peak = max(peak, pss_megabytes(stack.pids()))
        threads[0].join(0.02)
    used, done = cpu_seconds(stack.pids()) - before, each * CLIENTS
    failed = sum(client.failed for client in clients)
    return {"cpu_us": used * 1e6 / done, "us_per_mb": used * 1e12 / done / size, "peak_mb": peak, "failed": failed}


class Client:
    """One kept-alive connection that sends or takes bodies of one size."""

    def __init__(self, port: int, is_upload: bool, size: int):
        self.socket = socket.create_connection(("127.0.0.1", port), 60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        length = size if is_upload else 0
        self.request = f"POST /?{0 if is_upload else size} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n".encode()
        self.body = memoryview(bytes(length))
        self.expected = 11 if is_upload else size
        self.buffer = memoryview(bytearray(1 << 18))
        self.failed = 0

    def run(self, count: int) -> None:
        """So many exchanges; one that goes wrong is counted and ends it."""
        try:
            for _ in range(count):
                self.exchange()
        except OSError as error:
            print(f"growth: bodies: {error}")
            self.failed += 1
        finally:
            self.socket.close()

    def exchange(self) -> None:
        """One request, and its answer to the last byte."""
        self.socket.sendall(self.request)
        self.socket.sendall(self.body)
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.received()
        head, _, start = head.partition(b"\r\n\r\n")
        left = self.expected - len(start)
        while left > 0:
            left -= len(self.received())
        if left or not head.startswith(b"HTTP/1.1 200"):
            raise OSError(f"wrong answer: {head!r}")

    def received(self) -> memoryview:
        """The next bytes."""
        count = self.socket.recv_into(self.buffer)
        if not count:
            raise OSError("closed in the middle of an answer")
        return self.buffer[:count]
