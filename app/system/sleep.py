"""A sleep that can be ended early."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

Sleep = Callable[[float], Awaitable[None]]


class InterruptibleSleep:
    """The sleep of one task: `wake` ends it, and does nothing while the task is awake."""

    def __init__(self, sleep: Sleep = asyncio.sleep) -> None:
        self._sleep = sleep
        self._sleeping: asyncio.Future[None] | None = None

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`, or at `wake`."""
        self._sleeping = asyncio.ensure_future(self._sleep(seconds))
        try:
            await asyncio.wait((self._sleeping,))  # unlike awaiting it: `wake` does not cancel this task
        finally:
            self._sleeping.cancel()
            self._sleeping = None

    def wake(self) -> None:
        """End the sleep under way."""
        if self._sleeping is not None:
            self._sleeping.cancel()
