"""One bound socket and the protocol that answers on it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from ..system.sockets import BACKLOG
from .connection import Context, Handle, Repeats
from .connection_table import ConnectionTable
from .peers.peer import Peer
from .protocol import BoundedProtocol
from .turns import Turns

DRAIN_SECONDS = 2.0
"""Seconds that `stop` waits for responses under way."""

FEWEST_QUEUED = 256
"""The least length of the kernel's queue of connections. The queue otherwise has half the length of the table of open
connections. Each queued connection holds memory, which `CONNECTION_BYTES` includes."""

ACCEPTED_SHARE = 4
"""A busy loop accepts one part in ACCEPTED_SHARE of all permitted connections in a turn: a quarter.

The queue is first come, first served: with 64 connections in a turn, a new client waited for up to 5 s behind 2,000
others. With more than a quarter, the connections accepted in two turns push each other out of a full table before they
are answered (`bench/attacks.py`).
"""


def queue_length(max_connections: int) -> int:
    """Return the number of connections that may wait in the kernel's queue of a listener."""
    return min(BACKLOG, max(FEWEST_QUEUED, max_connections // 2))


class Listener:
    """Answers on `sock` from `start` until `stop`. `turns` is shared by all listeners of the process."""

    def __init__(
        self,
        sock: socket.socket,
        handle: Handle,
        turns: Turns,
        *,
        peer_of: Callable[[asyncio.Transport], Peer],
        max_connections: int,
        repeats: Repeats | None = None,
    ) -> None:
        self._socket = sock
        self._handle = handle
        self._turns = turns
        self._peer_of = peer_of
        self._max_connections = max_connections
        self._repeats = repeats
        self._table: ConnectionTable | None = None
        self._context: Context | None = None
        self._server: asyncio.Server | None = None
        self._at_once = max_connections // ACCEPTED_SHARE
        self._accepting: set[asyncio.Task[object]] = set()

    async def start(self) -> None:
        """Accept connections."""
        loop = asyncio.get_running_loop()
        self._table = ConnectionTable(self._max_connections, loop)
        queue = self._turns.queue(self._accept)
        context = self._context = Context(loop, self._handle, self._peer_of, self._table, queue, self._repeats)
        queued = queue_length(self._max_connections)
        create = loop.create_unix_server if self._socket.family == socket.AF_UNIX else loop.create_server
        self._server = await create(lambda: BoundedProtocol(context), sock=self._socket, backlog=queued)

    async def stop(self) -> None:
        """Accept no more connections; let responses under way finish, for at most DRAIN_SECONDS."""
        if self._server is not None and self._table is not None:
            self._server.close()
            await self._table.drain(DRAIN_SECONDS)

    def _accept(self) -> None:
        """Accept connections that wait in the kernel's queue, because a busy loop takes them too slowly."""
        context = self._context
        assert context is not None  # noqa: S101 - the queue was made in `start`
        for _ in range(self._at_once):
            try:
                sock, _address = self._socket.accept()
            except OSError:  # none waits, the listener is closed, or no descriptor is free
                return
            task = context.loop.create_task(
                context.loop.connect_accepted_socket(lambda: BoundedProtocol(context), sock)
            )
            self._accepting.add(task)
            task.add_done_callback(self._accepting.discard)
