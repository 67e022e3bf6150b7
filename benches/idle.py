"""Clients that keep a connection open and say nothing: a process for each server, since open files are limited."""

from __future__ import annotations

import pathlib
import resource
import select
import socket
import subprocess
import sys

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
# So many connections from one address of the loopback; then the next one, lest its ports run out.
FROM_ONE_ADDRESS = 5000


def allow_files(wanted: int) -> int:
    """Raises this process's limit of open files, which those it starts inherit; returns what it is then."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


class Idle:
    """The process that holds the connections to one server, from the outside."""

    def __init__(self, port: int):
        self.port = port
        command = [sys.executable, str(pathlib.Path(__file__)), str(port)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def grow(self, count: int) -> None:
        """Opens more, up to so many."""
        self.ask(count)

    def closed(self) -> int:
        """How many the server has closed: none of them should be."""
        return self.ask(0)

    def ask(self, number: int) -> int:
        """One order, one answer."""
        self.process.stdin.write(f"{number}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the idle clients of port {self.port} have ended")
        return int(answer)

    def close(self) -> None:
        """Closes all."""
        self.process.communicate(timeout=30)


def hold(port: int) -> None:
    """The process: each line asks for so many connections in all, and is answered with how many are closed."""
    sockets: list[socket.socket] = []
    poll = select.poll()
    for line in sys.stdin:
        while len(sockets) < int(line):
            client = connected(port, f"127.0.0.{2 + len(sockets) // FROM_ONE_ADDRESS}")
            sockets.append(client)
            poll.register(client, select.POLLIN)
        print(len(poll.poll(0)), flush=True)


def connected(port: int, source: str) -> socket.socket:
    """A connection that has had one answer and is kept alive."""
    client = socket.create_connection(("127.0.0.1", port), 10, (source, 0))
    client.sendall(REQUEST)
    answer = b""
    while not answer.endswith(b"Hello World"):
        data = client.recv(4096)
        if not data:
            raise RuntimeError("a connection was closed at its first request")
        answer += data
    return client


if __name__ == "__main__":
    hold(int(sys.argv[1]))
