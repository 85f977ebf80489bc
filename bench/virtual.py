"""A virtual clock for the program's own coroutines: no event loop, no waiting, a day in seconds."""

from __future__ import annotations

import heapq
import types
from collections.abc import Coroutine, Generator
from itertools import count
from typing import Any

Errand = Coroutine[float, None, Any]


@types.coroutine
def pause(seconds: float) -> Generator[float, None, None]:
    """What a coroutine awaits to let `seconds` pass; the `sleep` that is handed to the real code."""
    yield seconds


class VirtualTime:
    """
    Runs coroutines that await nothing but `pause`, in the order of their wake-ups.

    Time stands still while one of them runs. The same coroutines give the same run, to the last call.
    """

    def __init__(self) -> None:
        self._now = 0.0
        self._order = count()
        self._waiting: list[tuple[float, int, Errand]] = []
        self._ended: set[Errand] = set()

    def now(self) -> float:
        """Seconds since the beginning."""
        return self._now

    def begin(self, at: float, errand: Errand) -> None:
        """Starts `errand` at the instant `at`."""
        heapq.heappush(self._waiting, (at, next(self._order), errand))

    def end(self, errand: Errand) -> None:
        """Ends an errand that waits, as if its process had left."""
        errand.close()
        self._ended.add(errand)

    def run(self, until: float) -> None:
        """Moves on to `until`, through everybody's wake-ups, and leaves what would come later undone."""
        while self._waiting and self._waiting[0][0] < until:
            self._now, _, errand = heapq.heappop(self._waiting)
            if errand in self._ended:
                continue
            try:
                seconds = errand.send(None)
            except StopIteration:
                continue
            self.begin(self._now + seconds, errand)
        self._now = until
        for _, _, errand in self._waiting:
            errand.close()
        self._waiting.clear()
