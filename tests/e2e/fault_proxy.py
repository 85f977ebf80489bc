"""A TCP proxy between the sidecar and the emulated cloud. It can send a canned reply instead of forwarding."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

Reply = Iterable[bytes]
"""The pieces of a canned reply. The connection is closed after the last one."""


class FaultProxy:
    """Listens at `url`. While `reply` is None it forwards to the upstream; otherwise it sends the reply."""

    def __init__(self, upstream: str) -> None:
        self.set_upstream(upstream)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.reply: Reply | None = None
        self.certificate: ssl.SSLContext | None = None
        self.replies_sent = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def set_upstream(self, upstream: str) -> None:
        """Forward to this server from now on. `upstream` is an http URL."""
        parts = urlsplit(upstream)
        self._upstream = (str(parts.hostname), int(parts.port or 80))

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
                with self.certificate.wrap_socket(connection, server_side=True) as encrypted:
                    self._answer(encrypted)
            else:
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        request = read_request(connection)
        reply = self.reply
        if reply is None:
            self._forward(connection, request)
            return
        self.replies_sent += 1
        for piece in reply:
            connection.sendall(piece)

    def _forward(self, connection: socket.socket, request: bytes) -> None:
        with socket.create_connection(self._upstream) as upstream:
            upstream.sendall(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
            back = threading.Thread(target=copy_bytes, args=(connection, upstream), daemon=True)
            back.start()
            copy_bytes(upstream, connection)

    def close(self) -> None:
        """Stop listening."""
        self._listening.shutdown(socket.SHUT_RDWR)  # ends the thread's `accept`; a close would not
        self._listening.close()


def read_request(connection: socket.socket) -> bytes:
    """
    Read a request with its body.

    The body must be read: closing a connection with unread bytes resets it, and the client would lose the reply.
    """
    raw = b""
    while piece := connection.recv(65_536):
        raw += piece
        head, end, body = raw.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: ([0-9]+)", head)
        if end and len(body) >= (int(length[1]) if length else 0):
            break
    return raw


def copy_bytes(source: socket.socket, to: socket.socket) -> None:
    """Copy bytes from one socket to the other until the source ends."""
    with contextlib.suppress(OSError):
        while piece := source.recv(65_536):
            to.sendall(piece)


@contextmanager
def fault_proxy(upstream: str) -> Iterator[FaultProxy]:
    """Run a proxy in front of `upstream`, an http URL."""
    proxy = FaultProxy(upstream)
    try:
        yield proxy
    finally:
        proxy.close()
