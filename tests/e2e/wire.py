"""HTTP by hand: the bytes that are sent are the test's, the answer is taken apart and nothing else."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connection:
    """A TCP connection to a base URL; reads answers one by one, by their Content-Length."""

    def __init__(self, base: str, seconds: float = SECONDS) -> None:
        parts = urlsplit(base)
        self.socket = socket.create_connection((str(parts.hostname), int(parts.port or 80)), seconds)
        self._buffer = b""

    def send(self, raw: bytes) -> None:
        self.socket.sendall(raw)

    def answer(self, *, head_only: bool = False) -> Answer:
        """The next answer. Fails where it is cut short, chunked or without a length."""
        head = self._until(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
        assert "transfer-encoding" not in headers
        length = 0 if head_only else int(headers["content-length"])
        while len(self._buffer) < length:
            self._more()
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return Answer(int(lines[0].split(" ")[1]), headers, body)

    def closed(self) -> bool:
        """Whether the other side closes without sending more; waits for it."""
        try:
            return self._buffer == b"" and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            self._more()
        head, _, self._buffer = self._buffer.partition(mark)
        return head

    def _more(self) -> None:
        data = self.socket.recv(65536)
        assert data, f"closed after {self._buffer[:200]!r}"
        self._buffer += data

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def head(method: str, target: str, *lines: str, host: str | None = "127.0.0.1") -> bytes:
    """A request's head as bytes; `host=None` sends none."""
    hosts = [f"Host: {host}"] if host is not None else []
    return "\r\n".join((f"{method} {target} HTTP/1.1", *hosts, *lines, "", "")).encode("latin-1")


def ask(base: str, target: str, *lines: str, method: str = "GET", host: str | None = "127.0.0.1") -> Answer:
    """One request on a connection of its own."""
    with Connection(base) as connection:
        connection.send(head(method, target, *lines, host=host))
        return connection.answer(head_only=method == "HEAD")
