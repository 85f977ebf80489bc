"""Shares the event loop between connections: a bounded number of requests in one turn, the others in fair order.

Without this, a turn lasts as long as all connections that have sent something need: with 2 000 connections that
pipeline without pause, over a second. The loop's own way of accepting is too slow beside them: a new client waited for
6.7 and 13.8 s behind others, and the kubelet's probe with it.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

MOST_PER_TURN = 128
"""Requests after which a turn should end: some 5 ms of work. A request that arrives after twice as many waits."""

LEAST_FURTHER = MOST_PER_TURN // 4
"""Further requests that a turn answers beside any number of first ones."""

LONG_TURN = 0.01
"""Seconds of a turn after which all connections that wait in the kernel's queue are accepted at once. Below it, the
loop's own way of accepting them is fast enough, and takes less CPU time."""


class Waiting(Protocol):
    """A connection that has sent a request and waits for its turn. `answered`: it has had a response before."""

    answered: bool

    @property
    def closed(self) -> bool:
        """Whether the connection is closed and needs no turn."""

    def proceed(self) -> None:
        """Answer one request, unless the connection is closed or paused meanwhile."""


Queue = OrderedDict[Waiting, None]


class Turns:
    """
    Counts the requests of all listeners, and lets the loop do its other work after MOST_PER_TURN of them.

    The first request of a connection goes before the further ones of others: a client that opens a connection per
    request, as most SDKs do, is not delayed by those that send without pause. A turn answers all first requests that
    wait when it begins. A client's time is then that of two or three turns, also where others open connections without
    end; if some waited for a later turn, a client behind 2,000 of them waited for 9 s. At least LEAST_FURTHER further
    requests are answered beside them, or connections that come without end would starve the kept ones.

    Each listener has a lane of its own, and the lanes take turns, so that further requests at one listener do not delay
    those at another.
    """

    def __init__(self) -> None:
        self.count = 0
        self._lanes: list[Lane] = []
        self._accept: list[Callable[[], None]] = []
        self._scheduled: float | None = None

    def lane(self, accept: Callable[[], None] | None = None) -> Lane:
        """Return the lane of another listener. `accept` takes the connections of its backlog."""
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
        further = [(lane.further, len(lane.further)) for lane in self._lanes]  # one request of a connection in a turn
        self._answer([(lane.first, len(lane.first)) for lane in self._lanes], math.inf)
        self._answer(further, max(MOST_PER_TURN, self.count + LEAST_FURTHER))
        if self._occupied():
            self.count = 2 * MOST_PER_TURN  # what arrives in this turn waits behind the others
            self.over()

    def _answer(self, queues: list[tuple[Queue, int]], most: float) -> None:
        """Answer so many requests of each queue, one of each in turn, until `count` is `most`."""
        for done in range(max(waiting for _, waiting in queues)):
            for queue, waiting in queues:
                if self.count >= most:
                    return
                if done < waiting and queue:
                    connection, _ = queue.popitem(last=False)
                    if not connection.closed:
                        self.count += 1
                        connection.proceed()

    def _occupied(self) -> bool:
        return any(len(lane) for lane in self._lanes)


class Lane:
    """The connections of one listener that wait for their first response and for a further one, as they arrived."""

    __slots__ = ("_turns", "first", "further")

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self.first: Queue = OrderedDict()
        self.further: Queue = OrderedDict()

    def __len__(self) -> int:
        return len(self.first) + len(self.further)

    def admits(self) -> bool:
        """Count one request; return False if it has to wait for a later turn."""
        turns = self._turns
        turns.count += 1
        return turns.count <= MOST_PER_TURN or not turns.over()

    def wait(self, connection: Waiting) -> None:
        """Let the connection proceed in a later turn, after those that wait already."""
        (self.further if connection.answered else self.first)[connection] = None
        self._turns.over()

    def leave(self, connection: Waiting) -> None:
        """Forget a connection that is closed: it must not be held until its turn comes, which may be long."""
        self.first.pop(connection, None)
        self.further.pop(connection, None)
