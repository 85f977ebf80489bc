"""Shares the event loop between connections: a bounded number of requests in one turn, the others in fair order.

Without this, a turn lasts as long as all connections that have sent something need: with 2 000 connections that
pipeline without pause, over a second. The loop accepts one connection per listener and turn, so that a new client
waited for more than ten seconds behind others, and the kubelet's probe with it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

MOST_PER_TURN = 128
"""Requests after which a turn should end: some 5 ms of work. A turn ends at twice as many at the latest."""


class Waiting(Protocol):
    """A connection that has sent a request and waits for its turn."""

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
        self._scheduled = False

    def lane(self, accept: Callable[[], None] | None = None) -> Lane:
        """Return the lane of another listener. `accept` takes connections from its backlog, up to a bound."""
        lane = Lane(self)
        self._lanes.append(lane)
        if accept is not None:
            self._accept.append(accept)
        return lane

    def over(self) -> bool:
        """Return whether this turn has answered as much as it may; see that the next turn begins."""
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._next)
        return self.count > 2 * MOST_PER_TURN

    def _next(self) -> None:
        self._scheduled = False
        self.count = 0
        for accept in self._accept:
            accept()
        waiting = True
        while waiting and self.count < MOST_PER_TURN:
            waiting = False
            for lane in self._lanes:
                if lane.waiting:
                    waiting = True
                    self.count += 1
                    lane.waiting.popleft().proceed()
        if any(lane.waiting for lane in self._lanes):
            self.count = 2 * MOST_PER_TURN  # what arrives in this turn waits behind the others
            self.over()


class Lane:
    """The requests of one listener."""

    __slots__ = ("_turns", "waiting")

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self.waiting: deque[Waiting] = deque()

    def admits(self) -> bool:
        """Count one request; return False if it has to wait for a later turn."""
        turns = self._turns
        turns.count += 1
        return turns.count <= MOST_PER_TURN or not turns.over()

    def wait(self, connection: Waiting) -> None:
        """Let the connection proceed in a later turn, after those that wait already."""
        self.waiting.append(connection)
        self._turns.over()
