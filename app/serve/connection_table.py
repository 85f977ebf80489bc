"""A listener's open connections: their number, their deadlines, and which one is closed when there are too many."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import NamedTuple, Protocol

from .responses import KEEP_ALIVE_SECONDS, STOPPING, TOO_MANY_WAITING, Response

SWEEP_SECONDS = 1.0
"""Seconds between two checks of all deadlines: cheaper than a timer per request. No check runs without connections."""

UNREAD_BYTES = 4_194_304
"""The most bytes of responses that clients leave unread, over all connections of a listener."""

KEPT_BYTES = 4_194_304
"""The most bytes of requests that wait for their turn, over all connections of a listener. Above this limit, a
connection ends if it sends a further request before its response has arrived; no SDK does that."""

UNREAD_SHARE = 16_384
"""Bytes that each connection with an unread response counts beside the response: the kernel's buffers."""

PROCESS_BYTES = 40 * 1_048_576
"""Bytes that the process needs without connections: its RSS after a day's use, alone in its container
(`make bench`)."""

CONNECTION_BYTES = 24_576
"""Bytes per connection of a client that never reads: 6 KiB in the process, 12 KiB of kernel buffers, and half of the
buffers again for clients in the kernel's queue. Measured with 2,000 such clients (`make bench`, part `attacks`)."""

FEWEST_CONNECTIONS = 64
"""The least number of connections over all listeners, even if the memory limit is too small for them: the sidecar
still serves."""

IDLE_SECONDS = KEEP_ALIVE_SECONDS + 1.5
"""Seconds after which an idle connection is closed: credentials-go leaves one idle for 90 s after every fetch.

The close is later than announced, so that a request sent at the last announced moment arrives before the close. A
sweep finds the connection up to SWEEP_SECONDS later.
"""

YOUNG_SECONDS = 1.0
"""Seconds for which a new connection without a request does not count as idle: its request may be on its way."""

TURNS_UNTIL_READ = 2
"""Turns of the event loop after which a connection has been read, if its request had arrived before it was accepted."""

CHECKED_CLOSINGS = 8
"""One of this many closing connections is checked for a client that does not read its last response."""

SUSPICION_SECONDS = 10.0
"""Seconds for which every closing connection is checked, after a check has found such a client."""


def connections_within(memory: int | None) -> int | None:
    """Return the number of connections, over all listeners, that fit into `memory` bytes; None without a limit."""
    return None if memory is None else max(FEWEST_CONNECTIONS, (memory - PROCESS_BYTES) // CONNECTION_BYTES)


class OpenConnection(Protocol):
    """
    The part of a connection that the table uses.

    `deadline`: an instant of the event loop's clock. `added`: the table's turn in which it was admitted.
    """

    added: int
    answered: bool
    deadline: float
    task: asyncio.Task[Response] | None

    @property
    def owes(self) -> bool:
        """Whether a response is owed."""

    def unread_bytes(self) -> int:
        """Return the number of response bytes that the kernel has not taken yet."""

    def drop(self) -> None:
        """Close now."""

    def close(self) -> None:
        """Close after the written responses have been sent."""

    def expire(self) -> None:
        """End a connection whose deadline has passed: answer an incomplete request with 408, close an idle one."""

    def give_up(self, response: Response) -> None:
        """Close now; a client that waits for a response gets `response`."""


class Passed(NamedTuple):
    """
    Connections that an earlier choice left open when it had to close one, in three groups.

    `answered`: had a response and wait for the next one. `unread`: were accepted just now and are not read yet.
    `waiting`: wait for their first response.
    """

    answered: OrderedDict[OpenConnection, None]
    unread: OrderedDict[OpenConnection, None]
    waiting: OrderedDict[OpenConnection, None]

    def of(self, connection: OpenConnection) -> OrderedDict[OpenConnection, None]:
        """Return the group of a connection."""
        if not connection.owes:
            return self.unread
        return self.answered if connection.answered else self.waiting


class ConnectionTable:
    """
    The open connections in the order of their last use.

    Enforces their number, their deadlines and the memory for unread responses. `kept_bytes`: the received bytes that
    are not parsed yet, over all connections.

    A full table closes one connection for each new one. `_passed` holds the connections that an earlier choice left
    open, until their next response, so that the next choice does not examine them again.
    """

    def __init__(self, most: int, loop: asyncio.AbstractEventLoop) -> None:
        self._most = most
        self._loop = loop
        self._open: OrderedDict[OpenConnection, None] = OrderedDict()
        self._passed = Passed(OrderedDict(), OrderedDict(), OrderedDict())
        self._stalled: OrderedDict[OpenConnection, int] = OrderedDict()
        self._stalled_bytes = 0
        self.kept_bytes = 0
        self._closings = 0
        self._suspicious_until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._turn = 0
        self._turns_left = 0

    def __len__(self) -> int:
        return len(self._open) + sum(map(len, self._passed))

    def add(self, connection: OpenConnection) -> None:
        """Admit a new connection; if the table is then too full, close another connection."""
        connection.added = self._turn
        if not self._turns_left:
            self._loop.call_soon(self._count_turn)
        self._turns_left = TURNS_UNTIL_READ
        self._open[connection] = None
        if len(self) > self._most:
            self._evict(connection)
        if self._timer is None:
            self._timer = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    def discard(self, connection: OpenConnection) -> None:
        """Forget a connection that is closed."""
        self._open.pop(connection, None)
        for passed in self._passed:
            passed.pop(connection, None)
        self.unstall(connection)

    def touch(self, connection: OpenConnection) -> None:
        """Record that the connection was used now."""
        try:
            self._open.move_to_end(connection)
        except KeyError:  # an earlier choice left it open, or it is closed
            for passed in self._passed:
                if connection in passed:
                    del passed[connection]
                    self._open[connection] = None

    def stall(self, connection: OpenConnection) -> None:
        """Count an unread response. Above UNREAD_BYTES in sum, close the connections that are unread for longest."""
        self.unstall(connection)
        self._stalled[connection] = unread = connection.unread_bytes() + UNREAD_SHARE
        self._stalled_bytes += unread
        while self._stalled_bytes > UNREAD_BYTES and len(self._stalled) > 1:
            longest = next(iter(self._stalled))
            self.unstall(longest)
            longest.drop()

    def unstall(self, connection: OpenConnection) -> None:
        """Record that the client has read its responses, or is gone."""
        self._stalled_bytes -= self._stalled.pop(connection, 0)

    def checks_closing(self) -> bool:
        """
        Return whether to check that the client reads the last response. The check is a system call.

        Memory: the kernel keeps an unread response for UNREAD_MILLISECONDS after the close, outside this table.
        """
        self._closings += 1
        return self._closings % CHECKED_CLOSINGS == 0 or self._loop.time() < self._suspicious_until

    def suspect(self) -> None:
        """Check every closing connection for SUSPICION_SECONDS: a client has not read its last response."""
        self._suspicious_until = self._loop.time() + SUSPICION_SECONDS

    async def drain(self, patience: float) -> None:
        """Close idle connections at once, and the others after their response, or after `patience` seconds."""
        for connection in [item for item in self._all() if not item.owes]:
            connection.close()
        tasks = [item.task for item in self._all() if item.task]
        if tasks:
            await asyncio.wait(tasks, timeout=patience)
        for connection in self._all():
            connection.give_up(STOPPING)

    def _count_turn(self) -> None:
        """Count the turns of the loop until the last connection has been read."""
        self._turn += 1
        self._turns_left -= 1
        if self._turns_left:
            self._loop.call_soon(self._count_turn)

    def _evict(self, newest: OpenConnection) -> None:
        # Starvation: a client that opens connections and sends nothing, or that waits for credentials that do not
        # exist yet, must not keep out a client with a request. Order of closing: idle connections, then one that has
        # had a response already, then one without a request, then the one that has waited longest. A connection that
        # the loop has not had time to read is the last choice: one turn of a busy loop takes up to 1.6 s on a machine
        # with other work. A client that waits for a response receives the reason of the close.
        victim = self._victim(newest)
        self.discard(victim)
        victim.give_up(TOO_MANY_WAITING)

    def _victim(self, newest: OpenConnection) -> OpenConnection:
        passed = self._passed
        while (item := next(iter(self._open))) is not newest:
            if not item.owes and (item.answered or self._idle(item)):
                return item
            del self._open[item]
            passed.of(item)[item] = None
        while passed.unread and ((item := next(iter(passed.unread))).owes or self._idle(item)):
            if not item.owes:
                return item
            del passed.unread[item]
            passed.of(item)[item] = None
        if passed.answered:
            return next(iter(passed.answered))
        unread = next(iter(passed.unread), newest)
        return unread if self._had_time(unread) else next(iter(passed.waiting), unread)

    def _idle(self, connection: OpenConnection) -> bool:
        """Return whether a connection that owes nothing has had time for a request."""
        return connection.deadline < self._loop.time() + IDLE_SECONDS - YOUNG_SECONDS and self._had_time(connection)

    def _had_time(self, connection: OpenConnection) -> bool:
        """Return whether the loop would have read a request that came with the connection."""
        return self._turn - connection.added >= TURNS_UNTIL_READ

    def _all(self) -> list[OpenConnection]:
        return [item for items in (*self._passed, self._open) for item in items]

    def _sweep(self) -> None:
        now = self._loop.time()
        for connection in [item for item in self._all() if item.deadline <= now]:
            connection.expire()
        self._timer = self._loop.call_later(SWEEP_SECONDS, self._sweep) if len(self) else None
