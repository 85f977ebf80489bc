"""Three clocks: this machine's wall clock, which can jump; the monotonic one, which cannot; and the cloud's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from .model import Now

JUMP = 5.0
"""Seconds by which the wall clock may part from the monotonic one between two looks: above slewing, below harm."""

BETWEEN_LOOKS = 30.0
"""Seconds between two looks whether the clock was set or the machine slept; a reader who finds out earlier says so."""

EXACTNESS = 2.0
"""Seconds of difference to the cloud that are none: a Date header is whole seconds old, and travelled."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """Where the time comes from. `monotonic` stands still while the machine sleeps, and nobody can set it."""

    wall: Now = time.time
    monotonic: Now = time.monotonic

    @property
    def apart(self) -> float:
        """The wall clock minus the monotonic one: it changes when somebody sets the clock, or the machine sleeps."""
        return self.wall() - self.monotonic()


class JumpWatch:
    """Notices that the wall clock was set, or that the machine slept, since the last look."""

    def __init__(self, clocks: Clocks) -> None:
        self._clocks = clocks
        self._apart = clocks.apart

    def jumped(self) -> float | None:
        """Seconds by which the wall clock moved by itself since the last look; None if it did not."""
        before, self._apart = self._apart, self._clocks.apart
        moved = self._apart - before
        return moved if abs(moved) > JUMP else None


async def watch(clocks: Clocks, jumped: Callable[[float], None]) -> None:
    """Tells by how many seconds the wall clock moved by itself, for as long as nobody cancels it."""
    looks = JumpWatch(clocks)
    while True:
        await asyncio.sleep(BETWEEN_LOOKS)
        moved = looks.jumped()
        if moved is not None:
            jumped(moved)


class CloudClock:
    """
    The time as the cloud tells it in its `Date` headers, for what the cloud judges by its own clock.

    It is this machine's until the first answer, and again when the wall clock has jumped: what was learnt before is
    no longer true then.
    """

    def __init__(self, clocks: Clocks) -> None:
        self._clocks = clocks
        self._offset = 0.0
        self._apart = clocks.apart
        self._told = False

    def learn(self, offset: float) -> None:
        """Takes the cloud's clock minus the wall clock, as an answer told it just now."""
        self._offset = offset if abs(offset) >= EXACTNESS else 0.0
        self._apart = self._clocks.apart
        self._told = True

    def told(self) -> bool:
        """Whether `now` is the cloud's word, and not this machine's clock for want of it."""
        if abs(self._clocks.apart - self._apart) > JUMP:
            self._offset, self._told = 0.0, False
        return self._told

    def now(self) -> float:
        """The cloud's time, to about a second."""
        self.told()
        return self._clocks.wall() + self._offset
