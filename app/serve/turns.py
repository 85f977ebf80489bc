"""Shares the event loop between connections: each turn answers a bounded number of requests, in fair order.

Without this bound, one turn answers every connection that has sent something: over a second with 2,000 connections that
pipeline without pause. The loop's own way of accepting is too slow beside them: a new client waited for 6.7 and 13.8 s
behind others, and so did the kubelet's probe.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

MOST_PER_TURN = 128
"""Requests after which a turn should end: some 5 ms of work. After twice this number, a new request waits for a later
turn."""

LEAST_FURTHER = MOST_PER_TURN // 4
"""The least number of further requests that a turn answers, however many first requests there are."""

LONG_TURN = 0.01
"""Seconds: after a longer turn, the connections in the kernel's queue are accepted at once. After a shorter turn, the
loop's own way of accepting is fast enough and takes less CPU time."""


class Waiting(Protocol):
    """A connection with a request that waits for its turn. `answered`: the connection has had a response before."""

    answered: bool

    @property
    def closed(self) -> bool:
        """Whether the connection is closed and needs no turn."""

    def proceed(self) -> None:
        """Answer one request, unless the connection has been closed or paused meanwhile."""


Queue = OrderedDict[Waiting, None]


class Turns:
    """
    Counts the requests of all listeners, and lets the loop do its other work after MOST_PER_TURN of them.

    The first request of a connection is answered before the further requests of other connections. So a client that
    opens a connection per request, as most SDKs do, is not delayed by clients that send without pause. A turn answers
    all first requests that wait when it begins. A client then waits for two or three turns, even if other clients open
    connections without end. When some first requests waited for a later turn, a client behind 2,000 others waited for
    9 s. A turn also answers at least LEAST_FURTHER further requests, so that new connections without end do not starve
    the open ones.

    Each listener has a queue of its own, and the queues take turns. So further requests at one listener do not delay
    further requests at another.
    """

    def __init__(self) -> None:
        self.count = 0
        self._queues: list[RequestQueue] = []
        self._accept: list[Callable[[], None]] = []
        self._scheduled: float | None = None

    def queue(self, accept: Callable[[], None] | None = None) -> RequestQueue:
        """Return the queue of another listener. `accept` takes the connections of its backlog."""
        queue = RequestQueue(self)
        self._queues.append(queue)
        if accept is not None:
            self._accept.append(accept)
        return queue

    def over(self) -> bool:
        """Return whether this turn has answered its share of requests. Schedules the next turn."""
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
        # Counted before the first requests are answered: a connection has one request in a turn.
        further = [(queue.further, len(queue.further)) for queue in self._queues]
        self._proceed([(queue.first, len(queue.first)) for queue in self._queues], math.inf)
        self._proceed(further, max(MOST_PER_TURN, self.count + LEAST_FURTHER))
        if self._occupied():
            self.count = 2 * MOST_PER_TURN  # new requests in this turn wait behind those that are left
            self.over()

    def _proceed(self, queues: list[tuple[Queue, int]], most: float) -> None:
        """Answer the given number of requests of each queue, one of each in turn, until `count` reaches `most`."""
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
        return any(len(queue) for queue in self._queues)


class RequestQueue:
    """The waiting connections of one listener: for their first response, and for a further one, in order of arrival."""

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
        """Let the connection proceed in a later turn, after the connections that wait already."""
        (self.further if connection.answered else self.first)[connection] = None
        self._turns.over()

    def leave(self, connection: Waiting) -> None:
        """Forget a closed connection, so that it is not kept in memory until its turn."""
        self.first.pop(connection, None)
        self.further.pop(connection, None)
