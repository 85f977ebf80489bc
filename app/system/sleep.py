"""Sleep that somebody else can end early."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

Sleep = Callable[[float], Awaitable[None]]


class Nap:
    """One sleeper's sleep: `wake` ends it, and does nothing while nobody sleeps."""

    def __init__(self, sleep: Sleep = asyncio.sleep) -> None:
        self._sleep = sleep
        self._sleeping: asyncio.Future[None] | None = None

    async def sleep(self, seconds: float) -> None:
        """Returns after `seconds`, or as soon as it is woken."""
        self._sleeping = asyncio.ensure_future(self._sleep(seconds))
        try:
            await asyncio.wait((self._sleeping,))  # unlike awaiting it: that it is woken is no cancellation of ours
        finally:
            self._sleeping.cancel()
            self._sleeping = None

    def wake(self) -> None:
        if self._sleeping is not None:
            self._sleeping.cancel()
