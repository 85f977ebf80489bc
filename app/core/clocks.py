"""Three clocks: this machine's wall clock, which can jump; the monotonic one, which cannot; and the cloud's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from .values import Now

JUMP = 5.0
"""Seconds by which the wall clock may part from the monotonic one between two checks: above slewing, below harm."""

CHECK_SECONDS = 30.0
"""Seconds between two checks for a clock that was set or a machine that slept. A reader may notice earlier."""

EXACTNESS = 2.0
"""Seconds of difference to the cloud that count as none: a Date header is cut to whole seconds, and travelled."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """The sources of time. `monotonic` stands still while the machine sleeps, and cannot be set."""

    wall: Now = time.time
    monotonic: Now = time.monotonic

    @property
    def apart(self) -> float:
        """The wall clock minus the monotonic one: it changes when the clock is set, or the machine sleeps."""
        return self.wall() - self.monotonic()


class JumpDetector:
    """Detects that the wall clock was set, or that the machine slept, since the last check."""

    def __init__(self, clocks: Clocks) -> None:
        self._clocks = clocks
        self._apart = clocks.apart

    def jumped(self) -> float | None:
        """Return the seconds by which the wall clock moved by itself since the last check; None if it did not."""
        before, self._apart = self._apart, self._clocks.apart
        moved = self._apart - before
        return moved if abs(moved) > JUMP else None


async def watch_jumps(clocks: Clocks, jumped: Callable[[float], None]) -> None:
    """Call `jumped` with the seconds by which the wall clock moved by itself, until cancelled."""
    detector = JumpDetector(clocks)
    while True:
        await asyncio.sleep(CHECK_SECONDS)
        moved = detector.jumped()
        if moved is not None:
            jumped(moved)


class CloudClock:
    """
    The cloud's time by its `Date` headers, for everything that the cloud judges by its own clock.

    It equals this machine's clock until the first answer, and again after a jump of the wall clock: the offset that was
    learnt before no longer holds then.
    """

    def __init__(self, clocks: Clocks) -> None:
        self._clocks = clocks
        self._offset = 0.0
        self._apart = clocks.apart
        self._learnt = False

    def learn(self, offset: float) -> None:
        """Use the cloud's clock minus the wall clock, as an answer showed it just now."""
        self._offset = offset if abs(offset) >= EXACTNESS else 0.0
        self._apart = self._clocks.apart
        self._learnt = True

    def is_synchronised(self) -> bool:
        """Return whether `now` is synchronised with the cloud's clock."""
        if abs(self._clocks.apart - self._apart) > JUMP:
            self._offset, self._learnt = 0.0, False
        return self._learnt

    def now(self) -> float:
        """Return the cloud's time, exact to about a second if it is synchronised."""
        self.is_synchronised()
        return self._clocks.wall() + self._offset
