"""When the next attempt of one profile is due, and who waits for the one under way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum

from ..core.values import Now
from ..system.sleep import Sleep


class Phase(Enum):
    """Where a profile's loop is between two attempts."""

    ATTEMPTING = "an attempt is under way, or due now"
    REPEATING = "an attempt is under way, and another one was ordered after it began"
    WAITING = "the next attempt is due later"


class Attempts:
    """
    The turns of one profile's loop. `due` is an instant of the monotonic clock; `wake` ends a `sleep` early.

    Attempts are made one at a time: an order during an attempt leads to one more after it, however many orders come.
    """

    __slots__ = ("_ended", "_monotonic", "_sleep", "_wake", "due", "phase")

    def __init__(self, monotonic: Now, sleep: Sleep, wake: Callable[[], None]) -> None:
        self.phase = Phase.ATTEMPTING
        self.due = monotonic()
        self._monotonic = monotonic
        self._sleep = sleep
        self._wake = wake
        self._ended: asyncio.Event | None = None

    async def until_due(self) -> None:
        """Return when the next attempt is due."""
        while (delay := self.due - self._monotonic()) > 0:
            await self._sleep(delay)

    def begin(self) -> None:
        """An attempt begins."""
        self.phase = Phase.ATTEMPTING

    def schedule(self, delay: float) -> None:
        """The next attempt is due in `delay` seconds."""
        self.due = self._monotonic() + delay

    def end(self) -> None:
        """The attempt has ended: release those who wait for it, unless another one was ordered meanwhile."""
        if self.phase is Phase.REPEATING:
            self.due = self._monotonic()
            self.phase = Phase.ATTEMPTING
        else:
            self.release()

    def release(self) -> None:
        """Release those who wait for an attempt; the next one is due when `due` says."""
        self.phase = Phase.WAITING
        if self._ended is not None:
            self._ended.set()
            self._ended = None

    def order(self) -> None:
        """Make an attempt now, or one more after the one under way."""
        self.phase = Phase.ATTEMPTING if self.phase is Phase.WAITING else Phase.REPEATING
        self.due = self._monotonic()
        self._wake()

    def reschedule(self, delay: float) -> None:
        """Replace the time of the next attempt while the loop waits for it."""
        self.schedule(delay)
        self._wake()

    async def ended(self) -> None:
        """Return when the attempt under way, or the first one, has ended; at once between attempts."""
        if self.phase is not Phase.WAITING:
            self._ended = self._ended or asyncio.Event()
            await self._ended.wait()
