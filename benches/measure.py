"""Measuring: CPU time and memory of whole process trees around one bounded run of wrk."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import shutil
import socket
import subprocess
import time
from typing import Tuple, Union

# A TCP address or the path of a Unix socket.
Address = Union[Tuple[str, int], str]


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def tree(pid: int) -> list[int]:
    """A process and everything below it."""
    found = [pid]
    try:
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += tree(int(child))
    except OSError:
        pass
    return found


def cpu_seconds(pids: list[int]) -> float:
    """CPU time of processes, all threads, in the scheduler's own nanoseconds."""
    total = 0
    for pid in pids:
        try:
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                total += int((task / "schedstat").read_text().split()[0])
        except OSError:
            pass
    return total / 1e9


def pss_megabytes(pids: list[int]) -> float:
    """Proportional set size: shared pages are shared out."""
    total = 0
    for pid in pids:
        try:
            found = re.search(r"^Pss:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
            total += int(found[1]) if found else 0
        except OSError:
            pass
    return total / 1024


class Stack:
    """The processes of one stack, started, and stopped at the end."""

    def __init__(self, commands: list[list[str]], addresses: list[Address], cwd):
        self.popen: list[subprocess.Popen] = []
        nowhere = subprocess.DEVNULL
        for command in commands:
            try:
                self.popen.append(subprocess.Popen(command, cwd=cwd, stdin=nowhere, stdout=nowhere, stderr=nowhere))
            except OSError as missing:
                self.stop()
                raise RuntimeError(f"cannot be run: {missing}") from missing
        deadline = time.monotonic() + 20
        for address in addresses:
            while not accepts(address):
                if time.monotonic() > deadline or any(process.poll() is not None for process in self.popen):
                    self.stop()
                    raise RuntimeError(f"did not start: {commands}")
                time.sleep(0.05)

    def close(self) -> None:
        """As `stop`, for `contextlib.closing`."""
        self.stop()

    def pids(self) -> list[int]:
        """Every process of the stack as it is now."""
        return [pid for process in self.popen for pid in tree(process.pid)]

    def stop(self) -> None:
        """Ends all of them, by force after ten seconds."""
        for process in self.popen:
            below = tree(process.pid)
            process.send_signal(2)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                for pid in below:
                    subprocess.run(["kill", "-9", str(pid)], check=False)
                process.wait()


def accepts(address: Address) -> bool:
    """Whether somebody listens there."""
    family = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
    with socket.socket(family) as probe:
        probe.settimeout(1)
        try:
            probe.connect(address)
            return True
        except OSError:
            return False


@dataclasses.dataclass(frozen=True)
class Load:
    """What wrk asks for, and how: a script of lua/ gets the arguments."""

    url: str
    connections: int = 64
    script: str | None = None
    arguments: tuple = ()


def start_wrk(load: Load, seconds: int) -> subprocess.Popen:
    """Begins a run of wrk; `wrk_report` waits for it."""
    command = [shutil.which("wrk") or "wrk", "-t1", f"-c{load.connections}", f"-d{seconds}s", "--latency", "--timeout", "10s"]
    if load.script:
        command += ["-s", str(pathlib.Path(__file__).parent / "lua" / load.script)]
    command += [load.url, "--", *map(str, load.arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def wrk_report(process: subprocess.Popen) -> dict:
    """What a run of wrk found: requests, failures, p50 and p99 in milliseconds."""
    report, _ = process.communicate(timeout=900)
    return read_report(report)


def read_report(report: str) -> dict:
    """wrk's words as figures."""

    def number(pattern: str) -> int:
        return sum(int(found) for found in re.findall(pattern, report))

    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", report)
    return {
        "requests": number(r"(\d+) requests in"),
        "failed": number(r"Non-2xx or 3xx responses: (\d+)") + (sum(map(int, errors.groups())) if errors else 0),
        "p50": milliseconds(report, "50%"),
        "p99": milliseconds(report, "99%"),
    }


def wrk(load: Load, seconds: int) -> dict:
    """One run."""
    return wrk_report(start_wrk(load, seconds))


def milliseconds(report: str, row: str) -> float | None:
    """One line of wrk's latency distribution."""
    found = re.search(rf"{row}\s+([\d.]+)(us|ms|s)", report)
    # Zero is wrk's word for "not one answer was timed", which pipelining brings about.
    return float(found[1]) * {"us": 0.001, "ms": 1, "s": 1000}[found[2]] or None if found else None


def measure(stack: Stack, load: Load, seconds: int, warm_seconds: int = 1) -> dict:
    """One measured run: CPU microseconds per request over all processes, and wrk's figures."""
    wrk(load, warm_seconds)
    before, started = cpu_seconds(stack.pids()), time.monotonic()
    counted = wrk(load, seconds)
    elapsed = time.monotonic() - started
    used = cpu_seconds(stack.pids()) - before
    requests = counted["requests"]
    return {
        **counted,
        "cpu_us": used * 1e6 / requests if requests else None,
        "per_second": requests / elapsed,
        "pss_mb": pss_megabytes(stack.pids()),
    }


def pipelines(address: Address) -> bool:
    """Whether a server answers two requests that came in one write."""
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection(address, 2) as client:
        client.sendall(request * 2)
        answers = b""
        try:
            while answers.count(b"HTTP/1.") < 2 and (data := client.recv(65536)):
                answers += data
        except OSError:
            pass
    return answers.count(b"HTTP/1.") == 2


def answer(address: Address, path: str) -> bytes:
    """What a server answers on a connection that it keeps: head and body as they come."""
    with socket.create_connection(address, 10) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        got, length = b"", None
        while length is None or len(got) < length:
            if not (data := client.recv(65536)):
                raise RuntimeError(f"an answer that ends early: {path}")
            got += data
            head, end, _ = got.partition(b"\r\n\r\n")
            if end:
                length = len(head + end) + int(re.search(rb"\r\nContent-Length: (\d+)", head, re.I)[1])
    return got


def until_answers(stack: Stack, port: int, path: str = "/", host: str = "localhost") -> None:
    """Waits for the first answer 200 of a stack that has just been started, looking every two milliseconds."""
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and all(process.poll() is None for process in stack.popen):
        try:
            with socket.create_connection(("127.0.0.1", port), 60) as client:
                client.sendall(request)
                if client.recv(4096).startswith(b"HTTP/1.1 200"):
                    return
        except OSError:
            pass
        time.sleep(0.002)
    raise RuntimeError(f"no answer: {[process.args for process in stack.popen]}")
