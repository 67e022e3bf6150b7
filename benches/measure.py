"""Measuring: CPU time and memory of whole process trees around one bounded run of wrk."""

import pathlib
import re
import shutil
import socket
import subprocess
import time


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def tree(pid):
    """A process and everything below it."""
    found = [pid]
    try:
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += tree(int(child))
    except OSError:
        pass
    return found


def cpu_seconds(pids):
    """CPU time of processes, all threads, in the scheduler's own nanoseconds."""
    total = 0
    for pid in pids:
        try:
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                total += int((task / "schedstat").read_text().split()[0])
        except OSError:
            pass
    return total / 1e9


def pss_megabytes(pids):
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

    def __init__(self, commands, addresses, cwd):
        self.popen = [
            subprocess.Popen(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for command in commands
        ]
        deadline = time.monotonic() + 20
        for address in addresses:
            while not accepts(address):
                if time.monotonic() > deadline or any(process.poll() is not None for process in self.popen):
                    self.stop()
                    raise RuntimeError(f"did not start: {commands}")
                time.sleep(0.05)

    def pids(self):
        return [pid for process in self.popen for pid in tree(process.pid)]

    def stop(self):
        for process in self.popen:
            below = tree(process.pid)
            process.send_signal(2)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                for pid in below:
                    subprocess.run(["kill", "-9", str(pid)], check=False)
                process.wait()


def accepts(address):
    family = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
    with socket.socket(family) as probe:
        probe.settimeout(1)
        try:
            probe.connect(address)
            return True
        except OSError:
            return False


def wrk(url, seconds, connections=64):
    """One run: requests, failures, req/s, p50 and p99 in milliseconds."""
    command = [shutil.which("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "10s", url]
    report = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60).stdout
    number = lambda pattern: sum(int(found) for found in re.findall(pattern, report))  # noqa: E731
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", report)
    return {
        "requests": number(r"(\d+) requests in"),
        "failed": number(r"Non-2xx or 3xx responses: (\d+)") + (sum(map(int, errors.groups())) if errors else 0),
        "p50": milliseconds(report, "50%"),
        "p99": milliseconds(report, "99%"),
    }


def milliseconds(report, row):
    found = re.search(rf"{row}\s+([\d.]+)(us|ms|s)", report)
    return float(found[1]) * {"us": 0.001, "ms": 1, "s": 1000}[found[2]] if found else None


def measure(stack, url, seconds):
    """One measured run: CPU microseconds per request over all processes, and wrk's figures."""
    wrk(url, 1)
    pids = stack.pids()
    before, started = cpu_seconds(pids), time.monotonic()
    counted = wrk(url, seconds)
    elapsed = time.monotonic() - started
    used = cpu_seconds(stack.pids()) - before
    requests = counted["requests"]
    return {
        **counted,
        "cpu_us": used * 1e6 / requests if requests else None,
        "per_second": requests / elapsed,
        "pss_mb": pss_megabytes(stack.pids()),
    }
