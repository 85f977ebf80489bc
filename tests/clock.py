"""A clock that stands still until a test moves it."""

from __future__ import annotations

import asyncio
import heapq
from itertools import count

from app.core.clocks import Clocks


class Clock:
    """
    Wall time and sleep, handed in where the program takes them.

    `advance` wakes sleepers in their order and waits until as many as before are asleep again, so a test is
    synchronous: when it returns, everything that had to happen has happened.
    """

    def __init__(self, start: float = 1_767_323_045.0) -> None:
        self._mono = 1_000.0
        self._apart = start - self._mono
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()
        self._changed = asyncio.Event()

    def time(self) -> float:
        return self._mono + self._apart

    def monotonic(self) -> float:
        return self._mono

    @property
    def clocks(self) -> Clocks:
        return Clocks(self.time, self.monotonic)

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._mono + max(0.0, seconds), next(self._order), future))
        self._changed.set()
        await future

    async def asleep(self, sleepers: int = 1) -> float:
        """Waits until so many sleep; returns how long the first of them means to."""
        while self._count() < sleepers:
            self._changed.clear()
            await self._changed.wait()
        return self._sleepers[0][0] - self._mono

    def _count(self) -> int:
        """How many sleep; who was woken by somebody else does not any more."""
        self._sleepers = [item for item in self._sleepers if not item[2].cancelled()]
        heapq.heapify(self._sleepers)
        return len(self._sleepers)

    async def wake(self) -> None:
        """Moves to the first sleeper's end, and waits until it sleeps again."""
        await self.advance(await self.asleep())

    async def advance(self, seconds: float) -> None:
        """Moves on by `seconds`, through everybody's wake-ups on the way."""
        target = self._mono + seconds
        sleepers = self._count()
        while self._sleepers and self._sleepers[0][0] <= target:
            self._mono, _, future = heapq.heappop(self._sleepers)
            if not future.cancelled():
                future.set_result(None)
                await self.asleep(sleepers)
        self._mono = target

    def skip(self, seconds: float) -> None:
        """Moves on without waking anybody, as if all were busy."""
        self._mono += seconds

    def jump(self, seconds: float) -> None:
        """Moves the wall clock alone: somebody set it, or the machine slept. Nobody wakes."""
        self._apart += seconds
