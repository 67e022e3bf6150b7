"""Bounded load by wrk, and what it counted."""

import re
import subprocess
from dataclasses import dataclass

from . import peers


@dataclass
class Counted:
    """What one wrk run says."""

    requests: int
    failed_status: int
    socket_errors: int
    report: str

    def clean(self):
        return self.requests > 0 and self.failed_status == 0 and self.socket_errors == 0


class Load:
    """wrk in the background for a number of seconds; it stops by itself."""

    def __init__(self, url, seconds, connections=16, close=False):
        command = [peers.WRK, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s"]
        if close:
            command += ["-H", "Connection: close"]
        self.seconds = seconds
        self.popen = subprocess.Popen([*command, url], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def finish(self):
        report, _ = self.popen.communicate(timeout=self.seconds + 30)
        number = lambda pattern: sum(int(found) for found in re.findall(pattern, report))  # noqa: E731
        errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", report)
        return Counted(
            requests=number(r"(\d+) requests in"),
            failed_status=number(r"Non-2xx or 3xx responses: (\d+)"),
            socket_errors=sum(map(int, errors.groups())) if errors else 0,
            report=report,
        )
