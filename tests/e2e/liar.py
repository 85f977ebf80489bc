"""A server between the sidecar and the emulated cloud: it passes bytes through until it is told what to say instead."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

Lie = Iterable[bytes]
"""What is sent in an answer's place, piece by piece; the connection ends behind it."""


class Liar:
    """`url` is where it listens. While `lie` is None it is a pipe to the server behind it."""

    def __init__(self, behind: str) -> None:
        self.lead_to(behind)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.lie: Lie | None = None
        self.certificate: ssl.SSLContext | None = None
        self.told = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def lead_to(self, behind: str) -> None:
        """From now on it is a pipe to this server, an http URL."""
        parts = urlsplit(behind)
        self._behind = (str(parts.hostname), int(parts.port or 80))

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            if self.certificate is not None:
                connection = self.certificate.wrap_socket(connection, server_side=True)
            request = whole_request(connection)
            if self.lie is None:
                self._pass_through(connection, request)
                return
            self.told += 1
            for piece in self.lie:
                connection.sendall(piece)

    def _pass_through(self, connection: socket.socket, request: bytes) -> None:
        with socket.create_connection(self._behind) as behind:
            behind.sendall(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
            back = threading.Thread(target=pump, args=(connection, behind), daemon=True)
            back.start()
            pump(behind, connection)

    def close(self) -> None:
        self._listening.close()


def whole_request(connection: socket.socket) -> bytes:
    """A request with its body: a connection that is closed with bytes unread is reset, and the lie with it."""
    raw = b""
    while piece := connection.recv(65_536):
        raw += piece
        head, end, body = raw.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: ([0-9]+)", head)
        if end and len(body) >= (int(length[1]) if length else 0):
            break
    return raw


def pump(source: socket.socket, to: socket.socket) -> None:
    """Passes bytes on until there are no more."""
    with contextlib.suppress(OSError):
        while piece := source.recv(65_536):
            to.sendall(piece)


@contextmanager
def liar(behind: str) -> Iterator[Liar]:
    """A liar in front of `behind`, an http URL."""
    server = Liar(behind)
    try:
        yield server
    finally:
        server.close()
