"""A clock that stands still until a test moves it."""

from __future__ import annotations

import asyncio
import heapq
from itertools import count

from app.core.clocks import Clocks


class Clock:
    """
    Wall clock, monotonic clock and sleep that a test passes to the program.

    `advance` wakes the sleepers in order and waits until the same number of tasks sleeps again. So a test is
    synchronous: when `advance` returns, everything that was due has happened.
    """

    def __init__(self, start: float = 1_767_323_045.0) -> None:
        self._mono = 1_000.0
        self._wall_offset = start - self._mono
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()
        self._changed = asyncio.Event()

    def time(self) -> float:
        """Return the wall clock, in seconds since the epoch."""
        return self._mono + self._wall_offset

    def monotonic(self) -> float:
        """Return the monotonic clock, in seconds."""
        return self._mono

    @property
    def clocks(self) -> Clocks:
        """Both clocks in the form that the program takes."""
        return Clocks(self.time, self.monotonic)

    async def sleep(self, seconds: float) -> None:
        """Sleep until the test has moved the clock by `seconds`."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._mono + max(0.0, seconds), next(self._order), future))
        self._changed.set()
        await future

    async def asleep(self, sleepers: int = 1) -> float:
        """Wait until `sleepers` tasks sleep. Return the seconds until the first of them wakes."""
        while self._count() < sleepers:
            self._changed.clear()
            await self._changed.wait()
        return self._sleepers[0][0] - self._mono

    def _count(self) -> int:
        """Return the number of sleepers. A sleeper that was cancelled does not count."""
        self._sleepers = [item for item in self._sleepers if not item[2].cancelled()]
        heapq.heapify(self._sleepers)
        return len(self._sleepers)

    async def wake(self) -> None:
        """Move to the end of the first sleep and wait until that task sleeps again."""
        await self.advance(await self.asleep())

    async def advance(self, seconds: float) -> None:
        """Move on by `seconds` and wake every task whose sleep ends on the way."""
        target = self._mono + seconds
        sleepers = self._count()
        while self._sleepers and self._sleepers[0][0] <= target:
            self._mono, _, future = heapq.heappop(self._sleepers)
            if not future.cancelled():
                future.set_result(None)
                await self.asleep(sleepers)
        self._mono = target

    def skip(self, seconds: float) -> None:
        """Move both clocks without waking any task, as if all tasks were busy."""
        self._mono += seconds

    def jump(self, seconds: float) -> None:
        """Move the wall clock alone, as if it was set or the machine was suspended. No task wakes."""
        self._wall_offset += seconds
