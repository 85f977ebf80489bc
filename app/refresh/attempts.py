"""The time of the next attempt of one profile, and the callers that wait for the attempt under way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum

from ..core.values import Now
from ..system.sleep import Sleep


class Phase(Enum):
    """The state of a profile's loop."""

    ATTEMPTING = "an attempt is under way, or due now"
    REPEATING = "an attempt is under way, and another one was ordered after it began"
    WAITING = "the next attempt is due later"


class Attempts:
    """
    The attempts of one profile's loop. `due` is an instant of the monotonic clock; `wake` ends a `sleep` early.

    Attempts are made one at a time. Any number of orders during an attempt leads to one further attempt after it.
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
        """Wait until the next attempt is due."""
        while (delay := self.due - self._monotonic()) > 0:
            await self._sleep(delay)

    def begin(self) -> None:
        """Record that an attempt begins."""
        self.phase = Phase.ATTEMPTING

    def schedule(self, delay: float) -> None:
        """Make the next attempt due in `delay` seconds."""
        self.due = self._monotonic() + delay

    def end(self) -> None:
        """End the attempt: release the callers that wait for it, unless another attempt was ordered meanwhile."""
        if self.phase is Phase.REPEATING:
            self.due = self._monotonic()
            self.phase = Phase.ATTEMPTING
        else:
            self.release()

    def release(self) -> None:
        """Release the callers that wait for an attempt. The next attempt is made at `due`."""
        self.phase = Phase.WAITING
        if self._ended is not None:
            self._ended.set()
            self._ended = None

    def order(self) -> None:
        """Order an attempt now, or a further attempt after the one under way."""
        self.phase = Phase.ATTEMPTING if self.phase is Phase.WAITING else Phase.REPEATING
        self.due = self._monotonic()
        self._wake()

    def reschedule(self, delay: float) -> None:
        """Replace the time of the next attempt while the loop waits for it."""
        self.schedule(delay)
        self._wake()

    async def ended(self) -> None:
        """Wait until the attempt under way, or the first attempt, has ended; return at once between attempts."""
        if self.phase is not Phase.WAITING:
            self._ended = self._ended or asyncio.Event()
            await self._ended.wait()
