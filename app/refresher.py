"""One profile kept fresh: the loop, one attempt at a time, the last good answer served to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from .model import (
    Credentials,
    NoCredentials,
    Now,
    Observe,
    Random,
    Refreshed,
    RefreshFailed,
    SidecarError,
    Status,
    Unreachable,
)
from .schedule import Schedule, horizon, servable, slack

Fetch = Callable[[], Awaitable[Credentials]]
Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Held:
    """A session as it is served. `quiet_until`: below that a reader sees less life than promise 2 says."""

    credentials: Credentials
    quiet_until: float

    @property
    def expires_at(self) -> float:
        return self.credentials.expires_at


class Refresher:
    """
    One profile's credentials, kept fresh.

    `held` is a plain reference, replaced whole: reading it never blocks, and it may be expired, which the reader
    checks. Attempts are made by `run` alone, so a crowd of readers causes no upstream call; `settled` lets them share
    the attempt under way. The loop ends only by cancellation: a failure is a status, not a crash.
    """

    def __init__(
        self,
        profile: str,
        fetch: Fetch,
        *,
        schedule: Schedule,
        observe: Observe,
        now: Now,
        sleep: Sleep,
        random: Random,
        required: bool = True,
    ) -> None:
        self.profile = profile
        self.required = required
        self.held: Held | None = None
        self._fetch = fetch
        self._schedule = schedule
        self._observe = observe
        self._now = now
        self._sleep = sleep
        self._random = random
        self._failures = 0
        self._together = True
        self._error: Exception | None = None
        self._next_at: float | None = None
        self._attempting = True
        self._settled: asyncio.Event | None = None

    async def run(self) -> None:
        """Keeps the profile fresh until cancelled."""
        self._together = True
        while True:
            delay = await self._attempt()
            self._next_at = self._now() + delay
            self._settle()
            await self._sleep(delay)

    def purge(self) -> None:
        """Drops what is held: who reads now waits for the next attempt, or is told that there is nothing."""
        self.held = None

    def expect(self) -> None:
        """Says that an attempt is about to begin: `settled` waits for it."""
        self._attempting = True

    async def settled(self) -> None:
        """Returns when the attempt under way, or the first one, has ended; at once between attempts."""
        if self._attempting:
            self._settled = self._settled or asyncio.Event()
            await self._settled.wait()

    def _settle(self) -> None:
        self._attempting = False
        if self._settled is not None:
            self._settled.set()
            self._settled = None

    def credentials(self) -> Credentials:
        """What is held, if it is still valid. Raises NoCredentials with the seconds until the next attempt."""
        if self.held is not None and servable(self.held.credentials, self._now()):
            return self.held.credentials
        why = self._reason()
        raise NoCredentials(f"profile {self.profile}: {why}", retry_after=self.retry_after())

    def retry_after(self) -> float:
        """Seconds until the next attempt, at least 1."""
        return max(1.0, (self._next_at or 0.0) - self._now())

    @property
    def healthy(self) -> bool:
        """Whether the last attempt succeeded."""
        return self._failures == 0

    @property
    def last_error(self) -> Exception | None:
        """Why the last attempt failed, or None."""
        return self._error

    @property
    def status(self) -> Status:
        """A snapshot for probes, metrics and the status page."""
        return Status(
            profile=self.profile,
            required=self.required,
            state=self._state(),
            expires_at=self.held.expires_at if self.held else None,
            next_refresh_at=self._next_at,
            failures=self._failures,
            last_error=_words(self._error) if self._error else None,
            last_error_permanent=isinstance(self._error, SidecarError) and self._error.permanent,
        )

    def _state(self) -> str:
        if self.held is None:
            return "starting"
        if not servable(self.held.credentials, self._now()):
            return "expired"
        return "fresh" if self.healthy else "stale"

    def _reason(self) -> str:
        if self._error is not None:
            return _words(self._error)
        return "no answer from the cloud yet"

    async def _attempt(self) -> float:
        """One refresh; returns the seconds until the next."""
        self._attempting = True
        started = self._now()
        try:
            credentials = await self._fetch()
        except Exception as error:
            return self._failed(error, started)
        return self._succeeded(credentials, started)

    def _succeeded(self, credentials: Credentials, started: float) -> float:
        now = self._now()
        life = credentials.expires_at - credentials.issued_at
        self.held = Held(credentials, credentials.expires_at - horizon(life))
        # At a start, and when what had failed works again, a whole fleet may have got its sessions in one moment.
        together = self._together or self._failures > 0
        self._together = False
        self._failures = 0
        self._error = None
        next_at = self._schedule.refresh_at(credentials, self._random(), together=together)
        # A session that is born inside its own lead (an odd upstream) must not make a tight loop of us.
        delay = max(next_at - now, self._schedule.min_retry)
        self._observe(Refreshed(self.profile, credentials, now + delay, now - started))
        return delay

    def _failed(self, error: Exception, started: float) -> float:
        now = self._now()
        self._failures += 1
        self._error = error
        delay = self._schedule.retry_after(
            self._failures,
            self._random(),
            permanent=isinstance(error, SidecarError) and error.permanent,
            throttled=isinstance(error, Unreachable) and error.throttled,
            hint=error.retry_after if isinstance(error, SidecarError) else None,
            slack=slack(self.held.credentials if self.held else None, now),
        )
        self._observe(RefreshFailed(self.profile, error, self._failures, delay, now - started))
        return delay


def _words(error: Exception) -> str:
    """An error for people. Only our own errors speak: a foreign one's text may quote what must not be shown."""
    return str(error) if isinstance(error, SidecarError) else f"internal error ({type(error).__name__})"
