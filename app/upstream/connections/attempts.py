"""The attempts to connect that are under way at the same time, for all names together.

A name may have thousands of addresses. An attempt that is not answered holds a file descriptor until its time limit,
so a few such names would use up the limit of open files, also for clients and for other profiles.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

MOST_AT_ONCE = 128
"""The most attempts at once. Above this number, each race has two: one that is slow, and the next."""


class Race:
    """The attempts under way for one name, the oldest first."""

    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[None]] = []


class Attempts:
    """The races of one event loop."""

    def __init__(self, most: int = MOST_AT_ONCE) -> None:
        self._most = most
        self._races: list[Race] = []

    @contextmanager
    def race(self) -> Iterator[Race]:
        """Count the attempts of a race during the block."""
        race = Race()
        self._races.append(race)
        try:
            yield race
        finally:
            self._races.remove(race)

    def add(self, race: Race, task: asyncio.Task[None]) -> None:
        """
        Count a new attempt of `race`. Above the limit, cancel the oldest attempt of the race that has the most.

        So a name with few addresses loses no attempt to a name with many.
        """
        race.tasks.append(task)
        task.add_done_callback(lambda ended: race.tasks.remove(ended) if ended in race.tasks else None)
        if sum(len(each.tasks) for each in self._races) > self._most:
            largest = max(self._races, key=lambda each: (len(each.tasks), each is race))
            if len(largest.tasks) > 2:
                largest.tasks.pop(0).cancel()
