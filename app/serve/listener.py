"""One bound socket and the protocol that answers on it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from .connection_table import ConnectionTable
from .peers.peer import Peer
from .protocol import Application, BoundedProtocol, Context, Handle, Repeats

BACKLOG = 2_048

DRAIN_SECONDS = 2.0
"""How long `stop` waits for responses under way."""


class Listener:
    """Answers on `sock` from `start` until `stop`."""

    def __init__(
        self,
        sock: socket.socket,
        handle: Handle,
        *,
        peer_of: Callable[[asyncio.Transport], Peer],
        max_connections: int,
        repeats: Repeats | None = None,
        application: Application | None = None,
    ) -> None:
        self._socket = sock
        self._handle = handle
        self._peer_of = peer_of
        self._max_connections = max_connections
        self._repeats = repeats
        self._application = application
        self._table: ConnectionTable | None = None
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Accept connections."""
        loop = asyncio.get_running_loop()
        self._table = ConnectionTable(self._max_connections, loop)
        context = Context(loop, self._handle, self._peer_of, self._table, self._repeats, self._application)
        create = loop.create_unix_server if self._socket.family == socket.AF_UNIX else loop.create_server
        self._server = await create(lambda: BoundedProtocol(context), sock=self._socket, backlog=BACKLOG)

    async def stop(self) -> None:
        """Accept no more connections; let responses under way finish, for at most DRAIN_SECONDS."""
        if self._server is not None and self._table is not None:
            self._server.close()
            await self._table.drain(DRAIN_SECONDS)
