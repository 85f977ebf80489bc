"""One profile kept fresh: the loop, one attempt at a time, the last good answer served to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ..core.clocks import Clocks
from ..core.model import (
    Credentials,
    Dropped,
    Event,
    NoCredentials,
    Observe,
    Random,
    Refreshed,
    RefreshFailed,
    Refused,
    SidecarError,
    Status,
    Unreachable,
)
from ..core.schedule import Schedule, horizon, slack, soonest
from ..system.sleep import Sleep

Fetch = Callable[[], Awaitable[Credentials]]


@dataclass(frozen=True, slots=True)
class Held:
    """
    A session as it is served.

    `ends`: when its life, as the cloud counts it, is over by the monotonic clock. `promised`: with less left than that
    a reader sees less life than promise 2 says.
    """

    credentials: Credentials
    ends: float
    promised: float

    @property
    def expires_at(self) -> float:
        return self.credentials.expires_at

    def left(self, clocks: Clocks) -> float:
        """
        Seconds for which it may still be served; none or fewer where it may not.

        The earlier of two ends counts: a wall clock that is set back, or stands wrong, would prolong a session, and a
        monotonic one that stood still while the machine slept would, too.
        """
        return min(self.expires_at - clocks.wall(), self.ends - clocks.monotonic())


def hold(credentials: Credentials, clocks: Clocks) -> Held:
    """`credentials` that were issued just now, as their `issued_at` says by the cloud's clock."""
    life = credentials.expires_at - credentials.issued_at
    return Held(credentials, clocks.monotonic() + life, horizon(life))


class Cancelled(Exception):
    """A fetch ended as if it had been cancelled, and nobody of ours did that."""


class Refresher:
    """
    One profile's credentials, kept fresh.

    `held` is a plain reference, replaced whole: reading it never blocks, and it may be expired, which the reader
    checks. Attempts are made by `run` alone, so a crowd of readers causes no upstream call; `settled` lets them share
    the attempt under way. The loop ends only by cancellation: a failure is a status, not a crash.

    `wake` ends a `sleep` of ours early. With `stops` a session is dropped when STS says that the role or its trust is
    gone; otherwise it is served to its end.
    """

    def __init__(
        self,
        profile: str,
        fetch: Fetch,
        *,
        schedule: Schedule,
        observe: Observe,
        clocks: Clocks,
        sleep: Sleep,
        random: Random,
        wake: Callable[[], None] = lambda: None,
        required: bool = True,
        stops: bool = False,
    ) -> None:
        self.profile = profile
        self.required = required
        self.stops = stops
        self.schedule = schedule
        self.held: Held | None = None
        self._fetch = fetch
        self._observe = observe
        self._clocks = clocks
        self._sleep = sleep
        self._wake = wake
        self._random = random
        self._failures = 0
        self._together = True
        self._error: Exception | None = None
        self._due = clocks.monotonic()
        self._attempting = True
        self._again = False
        self._settled: asyncio.Event | None = None

    # --- the loop -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keeps the profile fresh until cancelled; who waits for an attempt then does not wait any longer."""
        try:
            while True:
                while (delay := self._due - self._clocks.monotonic()) > 0:
                    await self._sleep(delay)
                await self._attempt()
                self._settle()
        finally:
            self._again = False
            self._settle()

    async def _attempt(self) -> None:
        """One refresh, and when the next is due."""
        self._attempting = True
        self._again = False
        started = self._clocks.monotonic()
        try:
            self._take(await self._fetch(), started)
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            self._failed(Cancelled(), started)
        except Exception as error:
            self._failed(error, started)

    def _settle(self) -> None:
        if self._again:  # somebody wants one that began after he said so
            self._due = self._clocks.monotonic()
            return
        self._attempting = False
        if self._settled is not None:
            self._settled.set()
            self._settled = None

    # --- orders and news from outside ---------------------------------------------------------------------------------

    def refresh_now(self) -> None:
        """Begins a new attempt, or another one if one is under way; `settled` waits for it."""
        self._again = self._attempting
        self._attempting = True
        # Others may have been told at the same moment: a secret that was replaced in a whole fleet.
        self._together = True
        self._due = self._clocks.monotonic()
        self._wake()

    def purge(self) -> None:
        """Drops what is held: who reads now waits for the next attempt, or is told that there is nothing."""
        self.held = None

    def restore(self, credentials: Credentials) -> None:
        """
        Serves a session of before a restart, as long as it is good, until an attempt of ours brings a newer one.

        Who waits for the first attempt already has it at once. To be called before `run`.
        """
        left = credentials.expires_at - self._clocks.wall()
        life = credentials.expires_at - credentials.issued_at
        self.held = Held(credentials, self._clocks.monotonic() + min(left, life), horizon(life))
        self._settle()

    def clock_jumped(self) -> None:
        """
        Plans anew: the wall clock was set, or the machine slept.

        What is held may have less life left; and what failed may have failed for the clock, or for a network of
        yesterday, so it is tried now.
        """
        if self._attempting:
            return
        if not self.healthy:
            self.refresh_now()
        elif self.held is not None:
            self._due = self._clocks.monotonic() + max(0.0, self._due_in(self.held, chance=0.0))
            self._wake()

    def overdue(self) -> bool:
        """Whether what is held has ended although the cloud answered when it was last asked; if so, it is asked now."""
        if self._attempting or not self.healthy or self.held is None:
            return False
        self.refresh_now()
        return True

    async def settled(self) -> None:
        """Returns when the attempt under way, or the first one, has ended; at once between attempts."""
        if self._attempting:
            self._settled = self._settled or asyncio.Event()
            await self._settled.wait()

    # --- what is known ------------------------------------------------------------------------------------------------

    def left(self) -> float:
        """Seconds for which what is held may be served; 0 where there is nothing to serve."""
        held = self.held
        return max(0.0, held.left(self._clocks)) if held is not None else 0.0

    def credentials(self) -> Credentials:
        """What is held, if it is still valid. Raises NoCredentials with the seconds until the next attempt."""
        if self.held is not None and self.left() > 0:
            return self.held.credentials
        why = _words(self._error) if self._error is not None else "no answer from the cloud yet"
        raise NoCredentials(f"profile {self.profile}: {why}", retry_after=self.retry_after())

    def retry_after(self) -> float:
        """Seconds until the next attempt, at least 1."""
        return max(1.0, self._due - self._clocks.monotonic())

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
        planned = self._clocks.wall() + max(0.0, self._due - self._clocks.monotonic())
        held = self.held  # a scrape asks in a thread, and a purge may come in between
        return Status(
            profile=self.profile,
            required=self.required,
            state=self._state(),
            expires_at=held.expires_at if held is not None else None,
            left=self.left(),
            next_refresh_at=None if self._attempting else planned,
            failures=self._failures,
            last_error=_words(self._error) if self._error else None,
            last_error_permanent=isinstance(self._error, SidecarError) and self._error.permanent,
        )

    def _state(self) -> str:
        if self.held is None:
            return "starting"
        if self.left() <= 0:
            return "expired"
        return "fresh" if self.healthy else "stale"

    # --- outcomes -----------------------------------------------------------------------------------------------------

    def _take(self, credentials: Credentials, started: float) -> None:
        held = hold(credentials, self._clocks)
        life, left = credentials.expires_at - credentials.issued_at, held.left(self._clocks)
        if left < soonest(life, 0.0):
            ahead = self._clocks.wall() - credentials.issued_at
            raise Unreachable(
                f"a session that is already over by this machine's clock, which is {ahead:.0f} s ahead of the "
                "cloud's; set the clock"
            )
        # At a start, and when what had failed works again, a whole fleet may have got its sessions in one moment.
        together = self._together or self._failures > 0
        self.held = held
        self._together = False
        self._failures = 0
        self._error = None
        earliest = self.schedule.min_retry if together else max(self.schedule.min_retry, soonest(life, left))
        delay = max(self._due_in(held, self._random(), together=together), earliest)
        now = self._clocks.monotonic()
        self._due = now + delay
        self._tell(Refreshed(self.profile, credentials, self._clocks.wall() + delay, now - started))

    def _tell(self, event: Event) -> None:
        try:
            self._observe(event)
        except Exception as error:  # who listens ends no loop, and costs no session
            trouble = {"message": "an event was not heard", "exception": error}
            asyncio.get_running_loop().call_exception_handler(trouble)

    def _due_in(self, held: Held, chance: float, *, together: bool = False) -> float:
        """Seconds until what is held is to be replaced, by the clock that says the earlier."""
        at = held.expires_at - held.left(self._clocks)
        return self.schedule.refresh_at(held.credentials, chance, together=together) - at

    def _failed(self, error: Exception, started: float) -> None:
        self._failures += 1
        self._error = error
        if self.stops and isinstance(error, Refused) and error.withdrawn and self.held is not None:
            self.purge()
            self._tell(Dropped(self.profile, error))
        delay = self.schedule.retry_after(
            self._failures,
            self._random(),
            permanent=isinstance(error, SidecarError) and error.permanent,
            throttled=isinstance(error, Unreachable) and error.throttled,
            hint=error.retry_after if isinstance(error, SidecarError) else None,
            slack=slack(self.held.credentials, self.held.expires_at - self.left()) if self.held else 0.0,
        )
        now = self._clocks.monotonic()
        self._due = now + delay
        self._tell(RefreshFailed(self.profile, error, self._failures, delay, now - started))
        _forget_the_way(error)


def _forget_the_way(error: Exception) -> None:
    """
    Lets go of the frames that the error came through, and of the errors on its way.

    It is kept until the next attempt, and they would keep what was in them: an answer's body, a token. Without their
    cycles they are freed at once, and not at some collection of garbage that an idle process hardly ever comes to.
    """
    error.__traceback__ = error.__context__ = error.__cause__ = None


def _words(error: Exception) -> str:
    """An error for people. Only our own errors speak: a foreign one's text may quote what must not be shown."""
    return str(error) if isinstance(error, SidecarError) else f"internal error ({type(error).__name__})"
