"""A client that hides nothing: raw bytes out, status, headers and body back."""

import socket
import time
from dataclasses import dataclass, field

TIMEOUT_SECONDS = 20


@dataclass
class Answer:
    """One response, headers as (name, value) pairs in order."""

    status: int
    reason: str
    headers: list
    body: bytes
    complete: bool = True
    version: str = "HTTP/1.1"
    arrivals: list = field(default_factory=list)

    def header(self, name):
        """First value of a header, or None."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def text(self):
        return self.body.decode("utf-8", "replace")


class Connection:
    """One connection to a port of 127.0.0.1, kept open between requests."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def request(self, method="GET", target="/", headers=(), body=None, version="HTTP/1.1"):
        """Sends a request; Host is added unless it is given."""
        self.send(build(method, target, headers, body, version))
        return self.answer(method)

    def answer(self, method="GET"):
        """Reads one response. One that is cut has `complete` false."""
        while b"\r\n\r\n" not in self.buffer:
            if not self._more():
                raise ConnectionError(f"closed before a response head: {self.buffer!r}")
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        version, _, rest = lines[0].partition(" ")
        status, _, reason = rest.partition(" ")
        headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines[1:])]
        answer = Answer(int(status), reason, headers, b"", version=version)
        if answer.status == 100:
            return self.answer(method)
        self._body(answer, method)
        return answer

    def _body(self, answer, method):
        if method == "HEAD" or answer.status in (204, 304):
            return
        if (answer.header("Transfer-Encoding") or "").lower() == "chunked":
            self._chunks(answer)
        elif answer.header("Content-Length") is not None:
            length = int(answer.header("Content-Length"))
            answer.body = self._exactly(length)
            answer.complete = len(answer.body) == length
        else:
            while self._more():
                pass
            answer.body, self.buffer = self.buffer, b""

    def _chunks(self, answer):
        while True:
            line = self._line()
            if line is None:
                answer.complete = False
                return
            size = int(line.split(b";")[0], 16)
            if size == 0:
                while self._line():
                    pass
                return
            chunk = self._exactly(size)
            answer.arrivals.append(time.monotonic())
            answer.body += chunk
            if len(chunk) < size or self._line() is None:
                answer.complete = False
                return

    def _line(self):
        while b"\r\n" not in self.buffer:
            if not self._more():
                return None
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def _exactly(self, length):
        while len(self.buffer) < length and self._more():
            pass
        data, self.buffer = self.buffer[:length], self.buffer[length:]
        return data

    def _more(self):
        try:
            data = self.socket.recv(262144)
        except ConnectionResetError:
            return False
        self.buffer += data
        return bool(data)

    def read_for(self, seconds):
        """Whatever arrives during this time, for responses that never end."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                if not self._more():
                    break
            except TimeoutError:
                break
        self.socket.settimeout(TIMEOUT_SECONDS)
        data, self.buffer = self.buffer, b""
        return data


def build(method="GET", target="/", headers=(), body=None, version="HTTP/1.1"):
    """The bytes of a request."""
    names = {name.lower() for name, _ in headers}
    lines = [f"{method} {target} {version}"]
    if "host" not in names:
        lines.append("Host: localhost")
    lines += [f"{name}: {value}" for name, value in headers]
    if body is not None and not names & {"content-length", "transfer-encoding"}:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")


def request(port, method="GET", target="/", headers=(), body=None, version="HTTP/1.1"):
    """One request on a connection of its own."""
    with Connection(port) as connection:
        return connection.request(method, target, headers, body, version)


def get(port, target="/", host="localhost"):
    """A plain GET on a connection of its own."""
    return request(port, "GET", target, [("Host", host)])
