"""A cloud that returns sessions, or the errors that a test queues."""

from __future__ import annotations

import asyncio

from app.core.values import Credentials
from app.refresh.refresher import Refresher

from ..clock import Clock


class FakeCloud:
    """
    Return sessions of one hour, or raise the errors that are queued in `errors`.

    All in seconds: `life` of a session, `behind` is how far the cloud's clock is behind, one fetch `takes` its time.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.calls = 0
        self.life = 3600.0
        self.behind = 0.0
        self.takes = 0.0
        self.errors: list[Exception] = []
        self.open = asyncio.Event()
        self.open.set()
        self.asked = asyncio.Event()

    async def fetch(self) -> Credentials:
        """Return a session, or raise the next queued error, as soon as `open` is set."""
        self.calls += 1
        self.asked.set()
        await self.open.wait()
        self.clock.skip(self.takes)
        if self.errors:
            raise self.errors.pop(0)
        now = self.clock.time() - self.behind
        return Credentials(f"STS.{self.calls}", "secret", "token", issued_at=now, expires_at=now + self.life)


async def refreshed_now(refresher: Refresher, clock: Clock) -> float:
    """Order a refresh and wait for it. Return the seconds until the next one."""
    refresher.refresh_now()
    await refresher.settled()
    return await clock.asleep()
