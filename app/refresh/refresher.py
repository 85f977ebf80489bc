"""Keeps one profile fresh: makes one attempt at a time, and serves the last good session to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ..core.clocks import Clocks
from ..core.errors import ConfigError, NoCredentials, Refused, SidecarError, Unreachable, code_of
from ..core.events import Dropped, Event, Observe, Refreshed, RefreshFailed
from ..core.record import Record
from ..core.schedule import Schedule, slack, soonest
from ..core.values import Credentials, Random, State, Status
from ..system.sleep import Sleep
from .attempts import Attempts, Phase
from .held_session import HeldSession, hold, hold_restored
from .last_error import kept, public_words

Fetch = Callable[[], Awaitable[Credentials]]


class FetchCancelled(Exception):
    """A fetch that ended with a cancellation, although this program did not cancel it."""


class Policy(Record, frozen=True):
    """
    The settings for keeping a profile fresh; a reload replaces them.

    `drop_when_withdrawn`: whether a session is dropped when STS says that the role or its trust is gone. Otherwise the
    session is served to its end. `start_seconds`: the time after a start in which a refusal is retried soon, until the
    first session.
    """

    schedule: Schedule
    required: bool = True
    drop_when_withdrawn: bool = False
    start_seconds: float = 0.0


class Refresher:
    """
    One profile's credentials, kept fresh.

    `held` is a plain reference, replaced as a whole, so that reading never blocks. The held session may have expired;
    readers check that. Only `run` makes attempts, so many readers cause no upstream call: `settled` lets them share the
    attempt under way. The loop ends only by cancellation; a failure changes the status. `wake` ends a `sleep` early.
    """

    __slots__ = (
        "_attempts",
        "_began",
        "_clocks",
        "_dropped",
        "_error",
        "_ever_held",
        "_failures",
        "_fetch",
        "_fleet_in_step",
        "_observe",
        "_policy",
        "_purges",
        "_random",
        "held",
        "profile",
    )

    def __init__(
        self,
        profile: str,
        fetch: Fetch,
        *,
        policy: Policy,
        observe: Observe,
        clocks: Clocks,
        sleep: Sleep,
        random: Random,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self.profile = profile
        self._policy = policy
        self.held: HeldSession | None = None
        self._fetch = fetch
        self._observe = observe
        self._clocks = clocks
        self._random = random
        self._attempts = Attempts(clocks.monotonic, sleep, wake)
        self._failures = 0
        self._error: Exception | None = None
        self._dropped = False
        self._purges = 0
        self._began = clocks.monotonic()
        self._ever_held = False
        self._fleet_in_step = True  # a start, or an order: other sidecars may refresh at the same moment

    # --- the loop -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep the profile fresh until cancelled. On exit, release the callers that wait in `settled`."""
        try:
            while True:
                await self._attempts.until_due()
                await self._attempt()
                self._attempts.end()
        finally:
            self._attempts.release()

    def release(self) -> None:
        """Release the callers that wait in `settled`, because `run` has ended or is not going to be called."""
        self._attempts.release()

    async def _attempt(self) -> None:
        """Refresh once, and schedule the next attempt."""
        self._attempts.begin()
        started, purges = self._clocks.monotonic(), self._purges
        try:
            credentials = await self._fetch()
            if self._purges == purges:
                self._accept(credentials, started)
            else:
                self._attempts.schedule(0.0)  # the session was requested before the purge, so it is dropped
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            self._fail(FetchCancelled(), started)
        except Exception as error:
            self._fail(error, started)

    # --- orders and clock jumps ---------------------------------------------------------------------------------------

    def refresh_now(self) -> None:
        """Start an attempt, or a further one after the attempt under way. `settled` waits for it."""
        # Other sidecars may get the same order at this moment, for example when a whole fleet's secret is replaced.
        self._fleet_in_step = True
        self._attempts.order()

    def purge(self) -> None:
        """
        Drop the held session, and the result of an attempt under way.

        Readers wait for the next attempt, or receive an error.
        """
        self.held = None
        self._dropped = True
        self._purges += 1

    def restore(self, credentials: Credentials) -> bool:
        """
        Serve a session from before a restart until an attempt brings a newer one. Return whether it is served.

        Callers that wait for the first attempt get the session at once. After a purge, it is not served. Call this
        method before `run`.
        """
        if self._dropped:
            return False
        self.held = hold_restored(credentials, self._clocks)
        self._ever_held = True
        self._attempts.release()
        return True

    def clock_jumped(self) -> None:
        """
        Schedule the next attempt again, because the wall clock was set or the machine slept.

        The held session may end earlier than planned. If the last attempt failed, start a new one now: the cause may
        have been the clock, or a network that the machine has left.
        """
        if self._attempting:
            return
        if not self.healthy:
            self.refresh_now()
        elif self.held is not None:
            self._attempts.reschedule(max(0.0, self._due_in(self.held, chance=0.0)))

    def overdue(self) -> bool:
        """
        Start an attempt if the held session has expired although the last attempt succeeded.

        Return whether an attempt was started.
        """
        if self._attempting or not self.healthy or self.held is None:
            return False
        self.refresh_now()
        return True

    async def settled(self) -> None:
        """Wait until the attempt under way, or the first attempt, has ended; return at once between attempts."""
        await self._attempts.ended()

    def use(self, policy: Policy) -> None:
        """Use another policy from now on. The time of the next attempt stays."""
        self._policy = policy

    # --- what is known ------------------------------------------------------------------------------------------------

    @property
    def policy(self) -> Policy:
        """The policy in use."""
        return self._policy

    @property
    def required(self) -> bool:
        """Whether start-up and readiness wait for this profile."""
        return self._policy.required

    @property
    def healthy(self) -> bool:
        """Whether the last attempt succeeded."""
        return self._failures == 0

    @property
    def last_error(self) -> Exception | None:
        """The error of the last attempt, or None."""
        return self._error

    def left(self) -> float:
        """Return the seconds for which the held session may be served; 0 without one."""
        held = self.held
        return max(0.0, held.left(self._clocks)) if held is not None else 0.0

    def credentials(self) -> Credentials:
        """Return the held credentials while they are valid. Raises NoCredentials with the seconds to wait."""
        if self.held is not None and self.left() > 0:
            return self.held.credentials
        place, retry_after = f"profile {self.profile}", self.retry_after()
        if self._error is None:
            raise NoCredentials(f"{place}: no answer from the cloud yet", retry_after=retry_after)
        raise NoCredentials(
            f"{place}: {public_words(self._error)}", retry_after=retry_after, error_code=code_of(self._error)
        )

    def retry_after(self) -> float:
        """Return the seconds until the next attempt, at least 1."""
        return max(1.0, self._attempts.due - self._clocks.monotonic())

    @property
    def status(self) -> Status:
        """Return a snapshot for probes, metrics and the status page."""
        planned = self._clocks.wall() + max(0.0, self._attempts.due - self._clocks.monotonic())
        held = self.held  # a scrape runs in a thread, so a purge may come in between
        return Status(
            profile=self.profile,
            required=self.required,
            state=self._state(),
            expires_at=held.expires_at if held is not None else None,
            left=self.left(),
            next_refresh_at=None if self._attempting else planned,
            failures=self._failures,
            last_error=str(self._error) if self._error else None,
            last_error_permanent=isinstance(self._error, SidecarError) and self._error.permanent,
            life=held.expires_at - held.credentials.issued_at if held is not None else 0.0,
            last_error_code=code_of(self._error) if self._error else None,
        )

    @property
    def _attempting(self) -> bool:
        return self._attempts.phase is not Phase.WAITING

    def _state(self) -> State:
        if self.left() > 0:
            return "fresh" if self.healthy else "stale"
        if self._dropped:
            return "dropped"
        if isinstance(self._error, Refused):
            return "denied"
        if isinstance(self._error, ConfigError):
            return "misconfigured"
        return "starting" if self.held is None else "expired"

    # --- outcomes -----------------------------------------------------------------------------------------------------

    def _accept(self, credentials: Credentials, started: float) -> None:
        held = hold(credentials, self._clocks)
        life, left = credentials.expires_at - credentials.issued_at, held.left(self._clocks)
        if left < soonest(life, 0.0):
            ahead = self._clocks.wall() - credentials.issued_at
            raise Unreachable(
                f"the new session has expired already by this machine's clock, which is {ahead:.0f} s ahead of the "
                "cloud's",
                cure="set the clock",
                error_code="IDS-214",
            )
        # At a start, and at the end of an outage, a whole fleet may have received its sessions at one moment.
        spread = self._fleet_in_step or self._failures > 0
        self.held = held
        self._ever_held = True
        self._fleet_in_step = self._dropped = False
        self._failures = 0
        self._error = None
        schedule = self._policy.schedule
        earliest = schedule.min_retry if spread else max(schedule.min_retry, soonest(life, left))
        delay = max(self._due_in(held, self._random(), spread=spread), earliest)
        self._attempts.schedule(delay)
        now = self._clocks.monotonic()
        self._emit(Refreshed(self.profile, credentials, self._clocks.wall() + delay, now - started))

    def _fail(self, error: Exception, started: float) -> None:
        self._failures += 1
        self._error = kept(error)
        gone = isinstance(error, Refused) and error.withdrawn
        if gone and self._policy.drop_when_withdrawn and self.held is not None:
            self.purge()
            self._emit(Dropped(self.profile, error))
        delay = self._policy.schedule.retry_after(
            self._failures,
            self._random(),
            permanent=isinstance(error, SidecarError) and error.permanent,
            throttled=isinstance(error, Unreachable) and error.throttled,
            hint=error.retry_after if isinstance(error, SidecarError) else None,
            slack=slack(self.held.credentials, self.held.expires_at - self.left()) if self.held else 0.0,
            left=self.left(),
            at_start=not self._ever_held and self._clocks.monotonic() < self._began + self._policy.start_seconds,
        )
        self._attempts.schedule(delay)
        took = self._clocks.monotonic() - started
        self._emit(RefreshFailed(self.profile, error, self._failures, delay, took))

    def _due_in(self, held: HeldSession, chance: float, *, spread: bool = False) -> float:
        """Return the seconds until the next refresh of the held session, by the clock with the earlier end."""
        at = held.expires_at - held.left(self._clocks)
        return self._policy.schedule.refresh_at(held.credentials, chance, spread=spread) - at

    def _emit(self, event: Event) -> None:
        try:
            self._observe(event)
        except Exception as error:  # a failing observer must not end the loop or lose the session
            trouble = {"message": "an observer failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(trouble)
