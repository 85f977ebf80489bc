"""A listener's open connections: their number, their deadlines, and which one is closed when there are too many."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Protocol

from .responses import STOPPING, TOO_MANY_WAITING, Response

SWEEP_SECONDS = 1.0
"""How often deadlines are checked, and only while there are connections: cheaper than a timer per request."""


class OpenConnection(Protocol):
    """What the table needs of a connection. `deadline` is an instant of the event loop's clock."""

    deadline: float
    task: asyncio.Task[None] | None

    @property
    def busy(self) -> bool:
        """Whether a response is owed."""

    def close(self) -> None:
        """Close when what was written has been sent."""

    def expire(self) -> None:
        """The deadline has passed: answer 408 to half a request, close an idle connection."""

    def give_up(self, response: Response) -> None:
        """Close now; a client that waits for a response gets `response`."""


class ConnectionTable:
    """The open connections in the order of their last use; enforces their number and their deadlines."""

    def __init__(self, most: int, loop: asyncio.AbstractEventLoop) -> None:
        self._most = most
        self._loop = loop
        self._open: OrderedDict[OpenConnection, None] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: OpenConnection) -> None:
        """Admit a new connection; if there are too many now, close another one."""
        self._open[connection] = None
        if len(self._open) > self._most:
            self._evict(connection)
        if self._timer is None:
            self._timer = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    def discard(self, connection: OpenConnection) -> None:
        """Forget a connection that is closed."""
        self._open.pop(connection, None)

    def touch(self, connection: OpenConnection) -> None:
        """Note that the connection was used now."""
        self._open.move_to_end(connection)

    async def drain(self, patience: float) -> None:
        """Close idle connections at once, the others when they are answered or after `patience` seconds."""
        for connection in [item for item in self._open if not item.busy]:
            connection.close()
        tasks = [item.task for item in self._open if item.task]
        if tasks:
            await asyncio.wait(tasks, timeout=patience)
        for connection in list(self._open):
            connection.give_up(STOPPING)

    def _evict(self, newest: OpenConnection) -> None:
        # Starvation: a client that opens connections and sends nothing, or that waits for credentials that do not
        # exist yet, must not keep out a client with a request. Idle connections go first, then the one that has waited
        # longest; that one gets the reason.
        others = (item for item in self._open if item is not newest)
        first = next(others)
        victim = first if not first.busy else next((item for item in others if not item.busy), first)
        del self._open[victim]
        victim.give_up(TOO_MANY_WAITING)

    def _sweep(self) -> None:
        now = self._loop.time()
        for connection in [item for item in self._open if item.deadline <= now]:
            connection.expire()
        self._timer = self._loop.call_later(SWEEP_SECONDS, self._sweep) if self._open else None
