"""Shares the event loop between connections: a bounded number of requests in one turn, the others in fair order.

Without this, a turn lasts as long as all connections that have sent something need: with 2 000 connections that
pipeline without pause, over a second. uvloop accepts one connection per listener and turn (libuv, since 1.45), so that
a new client waited for more than ten seconds behind others, and the kubelet's probe with it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

MOST_PER_TURN = 128
"""Requests after which a turn should end: some 5 ms of work. A turn ends at twice as many at the latest."""

LONG_TURN = 0.01
"""Seconds of a turn after which connections that wait in the kernel's queue are accepted in batches. Below it, the
loop's own way of accepting them is fast enough, and takes less CPU time."""

FIRST_BEFORE_FURTHER = 3
"""First requests of connections that are answered in a row while further requests of others wait."""


class Waiting(Protocol):
    """A connection that has sent a request and waits for its turn. `answered`: it has had a response before."""

    answered: bool

    @property
    def closed(self) -> bool:
        """Whether the connection is closed and needs no turn."""

    def proceed(self) -> None:
        """Answer one request, unless the connection is closed or paused meanwhile."""


class Turns:
    """
    Counts the requests of all listeners, and lets the loop do its other work after MOST_PER_TURN of them.

    Each listener has a lane of its own. The lanes take turns, so that a flood at one listener does not delay the
    requests of another: probes are answered beside any number of requests for credentials.
    """

    def __init__(self) -> None:
        self.count = 0
        self._lanes: list[Lane] = []
        self._accept: list[Callable[[], None]] = []
        self._scheduled: float | None = None

    def lane(self, accept: Callable[[], None] | None = None) -> Lane:
        """Return the lane of another listener. `accept` takes connections from its backlog, up to a bound."""
        lane = Lane(self)
        self._lanes.append(lane)
        if accept is not None:
            self._accept.append(accept)
        return lane

    def over(self) -> bool:
        """Return whether this turn has answered as much as it may; see that the next turn begins."""
        if self._scheduled is None:
            self._scheduled = asyncio.get_running_loop().time()
            asyncio.get_running_loop().call_soon(self._next)
        return self.count > 2 * MOST_PER_TURN

    def _next(self) -> None:
        assert self._scheduled is not None  # noqa: S101 - `over` has set it
        took = asyncio.get_running_loop().time() - self._scheduled
        self._scheduled = None
        self.count = 0
        if took > LONG_TURN or self._occupied():
            for accept in self._accept:
                accept()
        waiting = {lane: len(lane) for lane in self._lanes}  # who queues again meanwhile waits for the next turn
        while self.count < MOST_PER_TURN and any(waiting.values()):
            for lane, left in waiting.items():
                if left:
                    waiting[lane] = left - 1
                    connection = lane.next()
                    if connection is not None and not connection.closed:
                        self.count += 1
                        connection.proceed()
        if self._occupied():
            self.count = 2 * MOST_PER_TURN  # what arrives in this turn waits behind the others
            self.over()

    def _occupied(self) -> bool:
        return any(len(lane) for lane in self._lanes)


class Lane:
    """
    The connections of one listener that wait, in the order of their arrival.

    The first request of a connection goes before the further ones of others: a client that opens a connection per
    request, as most SDKs do, is not delayed by those that send without pause. One of four goes to a further request
    all the same, or connections that come without end would starve the kept ones. Where more first requests wait than
    a turn answers, the newest and the oldest alternate: a client behind a crowd of new connections is next, and none
    waits for longer than twice the crowd.
    """

    __slots__ = ("_first", "_first_in_a_row", "_further", "_turns")

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._first: OrderedDict[Waiting, None] = OrderedDict()
        self._further: OrderedDict[Waiting, None] = OrderedDict()
        self._first_in_a_row = 0

    def __len__(self) -> int:
        return len(self._first) + len(self._further)

    def admits(self) -> bool:
        """Count one request; return False if it has to wait for a later turn."""
        turns = self._turns
        turns.count += 1
        return turns.count <= MOST_PER_TURN or not turns.over()

    def wait(self, connection: Waiting) -> None:
        """Let the connection proceed in a later turn, after those that wait already."""
        (self._further if connection.answered else self._first)[connection] = None
        self._turns.over()

    def leave(self, connection: Waiting) -> None:
        """Forget a connection that is closed: it must not be held until its turn comes, which may be long."""
        self._first.pop(connection, None)
        self._further.pop(connection, None)

    def next(self) -> Waiting | None:
        """Remove and return the connection whose turn it is, or None where none waits."""
        if not self:
            return None
        if self._first and (self._first_in_a_row < FIRST_BEFORE_FURTHER or not self._further):
            self._first_in_a_row += 1
            crowd = len(self._first) > MOST_PER_TURN
            return self._first.popitem(last=crowd and self._first_in_a_row % 2 == 1)[0]
        self._first_in_a_row = 0
        return self._further.popitem(last=False)[0]
