"""Processes that a test starts: each is stopped by pid, and its log is shown when a test fails."""

import os
import random
import signal
import socket
import subprocess
import time

START_SECONDS = 20
STOP_SECONDS = 20


# Below those that Linux gives to outgoing connections: one of these could take a port between its choice and
# the server's start.
PORTS = range(15000, 32000)
_given = set()


def free_port():
    """A port on 127.0.0.1 that nobody uses now, and that no one else in this run was given."""
    for port in random.sample(PORTS, len(PORTS)):
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise OSError("no port is free")


def wait_until(condition, seconds=START_SECONDS, what="condition"):
    """Polls until the condition holds; its last false value is shown if it never does."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what} did not come within {seconds} s: {value!r}"
        time.sleep(0.02)


def answers(address):
    """Whether somebody accepts on a port of 127.0.0.1 or on a Unix socket's path."""
    try:
        if isinstance(address, int):
            socket.create_connection(("127.0.0.1", address), timeout=1).close()
        else:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(1)
                probe.connect(str(address))
        return True
    except OSError:
        return False


def children(pid):
    """Pids of a process's children."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as listing:
            return [int(child) for child in listing.read().split()]
    except FileNotFoundError:
        return []


def descendants(pid):
    """Pids of everything below a process."""
    found = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return found


class Process:
    """A program in the foreground, with its output in a file."""

    def __init__(self, command, log, cwd=None, env=None, account=None):
        self.command = command
        # What ends it for sure: uWSGI without `die-on-term` reloads on SIGTERM.
        self.end_signal = signal.SIGTERM
        self.log_path = log
        account = account or {}
        with open(log, "ab") as output:
            self.popen = subprocess.Popen(
                command,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                **account,
            )

    @property
    def pid(self):
        return self.popen.pid

    def log(self):
        with open(self.log_path, errors="replace") as text:
            return text.read()

    def running(self):
        return self.popen.poll() is None

    def send(self, number):
        self.popen.send_signal(number)

    def wait(self, seconds=STOP_SECONDS):
        """Waits for the exit code."""
        return self.popen.wait(seconds)

    def ready(self, *addresses):
        """Waits until every address accepts."""
        for address in addresses:
            wait_until(
                lambda address=address: answers(address) or self._gone(),
                what=f"{address} of {self.command}",
            )
        assert self.running(), f"{self.command} ended with {self.popen.returncode}:\n{self.log()}"
        return self

    def _gone(self):
        assert self.running(), f"{self.command} ended with {self.popen.returncode}:\n{self.log()}"
        return False

    def stop(self, number=None):
        """Stops it, by force if it must be, with everything below it."""
        if not self.running():
            return self.popen.returncode
        below = descendants(self.pid)
        self.send(number or self.end_signal)
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            for pid in [self.pid, *below]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.popen.wait()
            raise AssertionError(f"{self.command} did not stop within {STOP_SECONDS} s:\n{self.log()}")
