"""An HTTP client without an HTTP library: a test writes the exact bytes of a request and reads a parsed response."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from .processes import DEADLINE


@dataclass(frozen=True, slots=True)
class Response:
    """A response. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connection:
    """A TCP connection to a base URL. Responses are read one by one, by their Content-Length."""

    def __init__(self, base: str, seconds: float = DEADLINE) -> None:
        parts = urlsplit(base)
        self.socket = socket.create_connection((str(parts.hostname), int(parts.port or 80)), seconds)
        self._buffer = b""

    def send(self, raw: bytes) -> None:
        """Send these bytes."""
        self.socket.sendall(raw)

    def read_response(self, *, head_only: bool = False) -> Response:
        """Return the next response. Fails if it is truncated, chunked or without a length."""
        head = self._until(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
        assert "transfer-encoding" not in headers
        length = 0 if head_only else int(headers["content-length"])
        while len(self._buffer) < length:
            self.receive()
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return Response(int(lines[0].split(" ")[1]), headers, body)

    def is_closed(self) -> bool:
        """Wait for the next event; return True if it is the end of the connection, False if it is more data."""
        try:
            return self._buffer == b"" and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def receive(self) -> None:
        """Wait for more data and buffer it. Fails if the connection is closed."""
        data = self.socket.recv(65536)
        assert data, f"closed after {self._buffer[:200]!r}"
        self._buffer += data

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            self.receive()
        head, _, self._buffer = self._buffer.partition(mark)
        return head

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def request_head(method: str, target: str, *lines: str, host: str | None = "127.0.0.1") -> bytes:
    """Return the head of a request as bytes. `host=None`: no Host header."""
    hosts = [f"Host: {host}"] if host is not None else []
    return "\r\n".join((f"{method} {target} HTTP/1.1", *hosts, *lines, "", "")).encode("latin-1")


def fetch(base: str, target: str, *lines: str, method: str = "GET", host: str | None = "127.0.0.1") -> Response:
    """Send one request on a new connection and return the response. `lines`: further header lines."""
    with Connection(base) as connection:
        connection.send(request_head(method, target, *lines, host=host))
        return connection.read_response(head_only=method == "HEAD")


def admin_request(name: str, method: str, target: str) -> int:
    """Send a request to a unix socket and return the status. A name that begins with @ is an abstract one."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(DEADLINE)
        client.connect("\0" + name[1:] if name.startswith("@") else name)
        client.sendall(request_head(method, target))
        return int(client.recv(4096).split(b" ")[1])
