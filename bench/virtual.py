"""A virtual clock for coroutines of the program: no event loop, no waiting, a day in seconds."""

from __future__ import annotations

import heapq
import types
from collections.abc import Coroutine, Generator
from itertools import count
from typing import Any

Task = Coroutine[float, None, Any]


@types.coroutine
def pause(seconds: float) -> Generator[float, None, None]:
    """Let `seconds` pass. This is the `sleep` that is passed to the real code."""
    yield seconds


class VirtualTime:
    """
    Runs coroutines that await only `pause`, in the order of their wake-ups.

    Time stands still while a coroutine runs. The same coroutines give the same run.
    """

    def __init__(self) -> None:
        self._now = 0.0
        self._order = count()
        self._waiting: list[tuple[float, int, Task]] = []
        self._ended: set[Task] = set()

    def now(self) -> float:
        """Return the seconds since the beginning."""
        return self._now

    def begin(self, at: float, task: Task) -> None:
        """Start `task` at the instant `at`."""
        heapq.heappush(self._waiting, (at, next(self._order), task))

    def end(self, task: Task) -> None:
        """End a waiting task, as if its process had exited."""
        task.close()
        self._ended.add(task)

    def run(self, until: float) -> None:
        """Advance to `until` through all wake-ups, and close the tasks that would wake later."""
        while self._waiting and self._waiting[0][0] < until:
            self._now, _, task = heapq.heappop(self._waiting)
            if task in self._ended:
                continue
            try:
                seconds = task.send(None)
            except StopIteration:
                continue
            self.begin(self._now + seconds, task)
        self._now = until
        for _, _, task in self._waiting:
            task.close()
        self._waiting.clear()
