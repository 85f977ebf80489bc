"""A small HTTP client for measurements: sockets, complete responses, no sleep longer than a millisecond."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

REQUEST = "GET {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n"
TIMEOUT = 20.0
"""Seconds after which a server that does not respond fails the run."""


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def get(port: int, path: str, sock: socket.socket | None = None) -> tuple[int, bytes, bytes]:
    """Send a GET and return status, head and body. A given `sock` is used and stays open."""
    if sock is not None:
        return _exchange(sock, port, path)
    with socket.create_connection(("127.0.0.1", port), TIMEOUT) as fresh:
        return _exchange(fresh, port, path)


def connection(port: int) -> socket.socket:
    """Return a connection for requests one after the other."""
    return socket.create_connection(("127.0.0.1", port), TIMEOUT)


def until_200(port: int, path: str, *, since: float, timeout: float = TIMEOUT) -> float:
    """Poll until the first 200 and return the seconds from `since` to its end."""
    while time.perf_counter() - since < timeout:
        with contextlib.suppress(OSError):
            if get(port, path)[0] == 200:
                return time.perf_counter() - since
        time.sleep(0.0005)
    raise TimeoutError(f"127.0.0.1:{port}{path}: no 200 within {timeout:g} s")


@contextlib.contextmanager
def idle_connections(port: int, path: str, count: int) -> Iterator[list[socket.socket]]:
    """Open `count` keep-alive connections that have sent one request each."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_connection(("127.0.0.1", port), TIMEOUT)) for _ in range(count)]
        for sock in sockets:
            get(port, path, sock)
        yield sockets


def _exchange(sock: socket.socket, port: int, path: str) -> tuple[int, bytes, bytes]:
    sock.sendall(REQUEST.format(path, port).encode())
    data = b""
    while b"\r\n\r\n" not in data:
        data += _receive(sock)
    head, _, body = data.partition(b"\r\n\r\n")
    length = _content_length(head)
    while len(body) < length:
        body += _receive(sock)
    return int(head.split(b" ", 2)[1]), head, body


def _receive(sock: socket.socket) -> bytes:
    data = sock.recv(65536)
    if not data:
        raise ConnectionError("the connection was closed before the response was complete")
    return data


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0
