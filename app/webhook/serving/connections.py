"""
The connections of a listener, bounded in number from the first packet on.

Any pod of the cluster can connect. uvicorn counts a connection only after its TLS handshake, for which asyncio waits a
minute. Until then, each connection takes some 50 KiB, so 2,500 silent connections would get the process killed.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Protocol

HANDSHAKE_SECONDS = 5.0
"""Seconds for a TLS handshake. The API server waits 5 s for its whole request."""


class Abortable(Protocol):
    """An object that can be ended: a transport, or a connection that has no transport yet."""

    def abort(self) -> None:
        """End the connection at once."""


MakeProtocol = Callable[[], asyncio.Protocol]


class Connections:
    """
    At most `most` open connections.

    Above this number, a new connection ends the connection that has waited longest for its handshake or a request. So a
    flood ends its own connections, because the API server sends its request within milliseconds.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: dict[Abortable, None] = {}
        self._answering: set[Abortable] = set()

    def opened(self, transport: Abortable) -> bool:
        """Count a new connection, which waits. If the limit is reached and no other one waits, end it; return False."""
        if len(self._waiting) + len(self._answering) >= self._most:
            longest = next(iter(self._waiting), transport)
            self.closed(longest)
            longest.abort()
            if longest is transport:
                return False
        self._waiting[transport] = None
        return True

    def answering(self, transport: Abortable) -> None:
        """Record that the request of a connection is being answered, so that the connection is not ended."""
        if transport in self._waiting:
            del self._waiting[transport]
            self._answering.add(transport)

    def waiting(self, transport: Abortable) -> None:
        """Record that a connection waits for the next request. It becomes the last of the waiting connections."""
        if transport in self._answering:
            self._answering.discard(transport)
            self._waiting[transport] = None

    def replaced(self, transport: Abortable, by: Abortable) -> None:
        """Count `by`, the transport after the handshake, in place of `transport`, at the end of the waiting ones."""
        if transport in self._waiting:
            del self._waiting[transport]
            self._waiting[by] = None

    def closed(self, transport: Abortable) -> None:
        """Forget a connection that ended."""
        self._waiting.pop(transport, None)
        self._answering.discard(transport)


class Arrival:
    """A connection during its TLS handshake."""

    def __init__(self, accepted: socket.socket) -> None:
        self._accepted = accepted
        self._task: asyncio.Task[None] | None = None

    def begin(self, make: MakeProtocol, context: ssl.SSLContext | None, connections: Connections) -> None:
        """Give the connection to the protocol of `make`. With a `context`, do the TLS handshake first."""
        self._task = asyncio.get_running_loop().create_task(self._connect(make, context, connections))

    def abort(self) -> None:
        """End the connection."""
        if self._task is None or not self._task.cancel():
            self._accepted.close()

    async def _connect(self, make: MakeProtocol, context: ssl.SSLContext | None, connections: Connections) -> None:
        loop, seconds = asyncio.get_running_loop(), HANDSHAKE_SECONDS if context is not None else None
        try:
            transport, _ = await loop.connect_accepted_socket(
                make, self._accepted, ssl=context, ssl_handshake_timeout=seconds
            )
        except (OSError, asyncio.CancelledError):  # no TLS, too slow, or too many connections
            connections.closed(self)
            self._accepted.close()
        else:
            if transport.is_closing():  # the connection ended before this task went on
                connections.closed(self)
            else:
                connections.replaced(self, transport)


async def accept(
    listening: socket.socket, make: MakeProtocol, context: ssl.SSLContext | None, connections: Connections
) -> None:
    """Accept connections without end."""
    loop = asyncio.get_running_loop()
    listening.setblocking(False)
    while True:
        try:
            accepted, _ = await loop.sock_accept(listening)
        except OSError:  # no descriptor is free, or the client has disconnected
            await asyncio.sleep(0.05)
            continue
        accepted.setblocking(False)
        arrival = Arrival(accepted)
        if connections.opened(arrival):
            arrival.begin(make, context, connections)
