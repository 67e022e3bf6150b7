"""Clients that keep a connection open and say nothing."""

from __future__ import annotations

import resource
import select
import socket

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
# So many connections from one address of the loopback; then the next one, lest its ports run out.
FROM_ONE_ADDRESS = 5000


def allow_files(wanted: int) -> int:
    """Raises this process's limit of open files, which those it starts inherit; returns what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limits in ((wanted, max(hard, wanted)), (min(wanted, hard), hard)):
        if soft >= wanted:
            break
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            break
        except (ValueError, OSError):
            continue
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


class Idle:
    """Connections to one server, each with one request answered and kept alive since."""

    def __init__(self, port: int):
        self.port = port
        self.sockets: list[socket.socket] = []

    def grow(self, count: int) -> None:
        """Opens more, up to so many."""
        while len(self.sockets) < count:
            source = f"127.0.0.{2 + len(self.sockets) // FROM_ONE_ADDRESS}"
            client = socket.create_connection(("127.0.0.1", self.port), 10, (source, 0))
            self.sockets.append(client)
            client.sendall(REQUEST)
            answer = b""
            while not answer.endswith(b"Hello World"):
                data = client.recv(4096)
                if not data:
                    raise RuntimeError("an idle connection was closed at its first request")
                answer += data

    def closed(self) -> int:
        """How many the server has closed: none of them should be."""
        poll = select.poll()
        for client in self.sockets:
            poll.register(client, select.POLLIN)
        return len(poll.poll(0))

    def close(self) -> None:
        """Closes all."""
        for client in self.sockets:
            client.close()
