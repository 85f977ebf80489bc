"""Servers in a thread of the test's process. No other file starts a server of `socketserver`.

A thread that outlives its test raises its next error in a test of another file, and pytest reports it there. So the
thread ends before the socket is closed, also where the test fails, and the connections end with their server.
"""

from __future__ import annotations

import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseServer
from typing import Any, TypeVar

S = TypeVar("S", bound=BaseServer)


class Handler(BaseHTTPRequestHandler):
    """Logs nothing."""

    def log_message(self, *_: object) -> None:
        """Write nothing."""


class HttpServer(ThreadingHTTPServer):
    """A server on an unused port of loopback, with `tls` over TLS. `server_close` ends its connections."""

    daemon_threads = False  # so that `server_close` joins them

    def __init__(self, handler: type[BaseHTTPRequestHandler], tls: ssl.SSLContext | None = None) -> None:
        self._connections = set[socket.socket]()
        super().__init__(("127.0.0.1", 0), handler)
        if tls is not None:
            # Each handshake is made by the thread of its connection: a silent client would hold up all others.
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a connection in a thread of its own."""
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Close the socket, end the connections, and wait for their threads."""
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        super().server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print the error of a handler. A client that leaves, or does not trust the certificate, makes none."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


@contextmanager
def serving(server: S) -> Iterator[S]:
    """Run a server in a thread for the length of the block."""
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
