"""All profiles of a running sidecar: the refresher, the loop and the pipeline of each profile.

A changed configuration affects only the profiles that it changes. A changed profile is tried beside the active one, and
replaces it when it has its first session. So a new secret or role that does not work affects no reader while the old
one works.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from functools import partial
from typing import Any

from ..config import section_checks
from ..config.settings import Profile, Settings
from ..core.clocks import Clocks
from ..core.events import Event, Observe, Refreshed
from ..core.schedule import Schedule
from ..core.values import Credentials
from ..system.sleep import InterruptibleSleep, Sleep
from .lazy_pipeline import LazyPipeline, MakePipeline, alike
from .refresher import Policy, Refresher

STARTED_AT_ONCE, START_PAUSE = 10, 0.01
"""Loops that a reload starts in one step, and seconds until the next step. A thousand loops in one step take 100 ms."""


class SupervisedProfile:
    """One profile under supervision: its configuration, its refresher, and the task that runs the refresher."""

    __slots__ = ("loop", "pipeline", "profile", "refresher", "stopped")

    def __init__(self, profile: Profile, pipeline: LazyPipeline) -> None:
        self.profile = profile
        self.pipeline = pipeline
        self.refresher: Refresher
        self.loop: asyncio.Task[None] | None = None
        self.stopped = False

    def fetch(self) -> Awaitable[Credentials]:
        return self.pipeline.fetch(self.refresher.profile)

    def start(self) -> None:
        if self.loop is None and not self.stopped:
            self.loop = asyncio.create_task(self.refresher.run())
            # A task that is cancelled before its first step never enters `run`, which releases callers otherwise.
            self.loop.add_done_callback(lambda _loop: self.refresher.release())

    def stop(self) -> None:
        self.stopped = True
        if self.loop is not None:
            self.loop.cancel()
        else:
            self.refresher.release()


class Profiles:
    """
    The profiles by name, in the order of the file.

    `refreshers` is one list for the life of this object, changed in place, so that its holders see the active
    refreshers. `replaced` is called with the profile's name when another refresher begins to serve the profile.
    """

    def __init__(
        self,
        settings: Settings,
        make_pipeline: MakePipeline,
        *,
        clocks: Clocks,
        observe: Observe,
        replaced: Callable[[str], None],
        sleep: Sleep = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._make_pipeline = make_pipeline
        self._clocks = clocks
        self._observe = observe
        self._replaced = replaced
        self._sleep = sleep
        self._chance = chance
        self._settings = settings
        self._schedule = section_checks.schedule(settings.refresh)
        self._pipeline = LazyPipeline(settings, make_pipeline)
        self._serving = {name: self._supervise(name, profile) for name, profile in settings.profiles.items()}
        self._trials: dict[str, SupervisedProfile] = {}
        self._closing: set[asyncio.Future[Any]] = set()
        self.refreshers: list[Refresher] = []
        self._list()

    # --- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the loops of all profiles."""
        for supervised in self._serving.values():
            supervised.start()

    async def stop(self) -> None:
        """Stop refreshing, and close the pipelines."""
        supervised = [*self._serving.values(), *self._trials.values()]
        for item in supervised:
            item.stop()
        await asyncio.gather(*(item.loop for item in supervised if item.loop), return_exceptions=True)
        for pipeline in {item.pipeline for item in supervised} | {self._pipeline}:
            await pipeline.aclose()
        await asyncio.gather(*self._closing)

    def dead(self) -> list[str]:
        """Return the profiles whose loop has ended. The end of a loop is a bug."""
        return [name for name, item in self._serving.items() if item.loop is not None and item.loop.done()]

    # --- look-ups and orders ------------------------------------------------------------------------------------------

    def __contains__(self, name: str) -> bool:
        return name in self._serving

    def refresher(self, name: str) -> Refresher:
        """Return the refresher that serves the profile."""
        return self._serving[name].refresher

    def profile(self, name: str) -> Profile:
        """Return the profile's active configuration, without a change that is still on trial."""
        return self._serving[name].profile

    def trial(self, name: str) -> Refresher | None:
        """Return the profile's refresher on trial, or None. It becomes the active one when it has its first session."""
        found = self._trials.get(name)
        return found.refresher if found is not None else None

    def renew(self, name: str) -> Coroutine[Any, Any, None]:
        """
        Refresh the profile now, with a new token. The coroutine waits until the attempt has ended.

        If a change is on trial, refresh it, too, and wait for its attempt.
        """
        both = list(self._both(name))
        for item in both:
            item.pipeline.forget_token(name)
            item.refresher.refresh_now()
        return self._settled(both)

    @staticmethod
    async def _settled(items: Iterable[SupervisedProfile]) -> None:
        for item in items:
            await item.refresher.settled()

    def purge(self, name: str) -> None:
        """Drop the profile's session, and the result of an attempt under way."""
        for item in self._both(name):
            item.refresher.purge()

    def retry(self, name: str) -> None:
        """Refresh the profile now if its last attempt failed."""
        for item in self._both(name):
            if not item.refresher.healthy:
                item.refresher.refresh_now()

    def clock_jumped(self) -> None:
        """Schedule all refreshes again, because the wall clock was set or the machine slept."""
        for refresher in self.refreshers:
            refresher.clock_jumped()

    def _both(self, name: str) -> Iterator[SupervisedProfile]:
        yield self._serving[name]
        if name in self._trials:
            yield self._trials[name]

    # --- another configuration ----------------------------------------------------------------------------------------

    def change(self, settings: Settings) -> None:
        """
        Use these profiles from now on: new profiles start, removed ones stop, changed ones are tried first.

        Does not wait, so no other task sees some profiles of the old configuration and some of the new one.
        """
        self._settings = settings
        self._schedule = section_checks.schedule(settings.refresh)
        changed = {
            name
            for name in settings.profiles
            # Compared with the active profile: a profile of the previous file may never have passed its trial.
            if name not in self._serving or not alike(self._serving[name].pipeline.settings, settings, name)
        }
        self._end({*self._trials, *(self._serving.keys() - settings.profiles.keys())})
        old = self._pipeline
        if not old.serves(settings):
            self._pipeline = LazyPipeline(settings, self._make_pipeline)
        serving = {}
        new: list[SupervisedProfile] = []
        for name, profile in settings.profiles.items():
            serving[name] = self._adopt(name, profile, new, changed=name in changed)
        self._serving = serving
        self._start(new)
        self._list()
        self._close_unused(old)

    def _adopt(self, name: str, profile: Profile, new: list[SupervisedProfile], *, changed: bool) -> SupervisedProfile:
        """Return the profile's active entry. Append entries to start, such as a trial, to `new`."""
        item = self._serving.get(name)
        if item is None:
            item = self._supervise(name, profile)
            new.append(item)
        elif changed:
            self._trials[name] = self._supervise(name, profile)
            new.append(self._trials[name])
        else:
            item.profile, item.pipeline = profile, self._pipeline
        item.refresher.use(policy(profile, self._schedule, self._settings.startup.timeout_seconds))
        return item

    def _start(self, items: list[SupervisedProfile]) -> None:
        """Start the loops in groups, so that the event loop serves clients in between."""
        for item in items[:STARTED_AT_ONCE]:
            item.start()
        if len(items) > STARTED_AT_ONCE:
            self._wait_at_stop(asyncio.create_task(self._start_in_turn(items[STARTED_AT_ONCE:])))

    async def _start_in_turn(self, items: list[SupervisedProfile]) -> None:
        for index, item in enumerate(items):
            if index % STARTED_AT_ONCE == 0 and not item.stopped:
                await self._sleep(START_PAUSE)
            item.start()

    def _end(self, names: set[str]) -> None:
        """Stop the trials of these profiles, and the profiles that were removed from the configuration."""
        gone = [self._trials.pop(name) for name in names if name in self._trials]
        gone += [self._serving.pop(name) for name in names if name not in self._settings.profiles]
        for item in gone:
            item.stop()
            self._wait_at_stop(asyncio.gather(*filter(None, [item.loop]), return_exceptions=True))
        for pipeline in {item.pipeline for item in gone}:
            self._close_unused(pipeline)

    def _close_unused(self, pipeline: LazyPipeline) -> None:
        used = {item.pipeline for item in (*self._serving.values(), *self._trials.values())} | {self._pipeline}
        if pipeline not in used:
            self._wait_at_stop(asyncio.create_task(pipeline.aclose()))

    def _wait_at_stop(self, work: asyncio.Future[Any]) -> None:
        """Make `stop` wait for work that ends by itself."""
        self._closing.add(work)
        work.add_done_callback(self._closing.discard)

    # --- one profile --------------------------------------------------------------------------------------------------

    def _supervise(self, name: str, profile: Profile) -> SupervisedProfile:
        item = SupervisedProfile(profile, self._pipeline)
        sleep = InterruptibleSleep(self._sleep)
        item.refresher = Refresher(
            name,
            item.fetch,
            policy=policy(profile, self._schedule, self._settings.startup.timeout_seconds),
            observe=partial(self._heard, item),
            clocks=self._clocks,
            sleep=sleep.sleep,
            wake=sleep.wake,
            random=self._chance,
        )
        return item

    def _heard(self, item: SupervisedProfile, event: Event) -> None:
        name = item.refresher.profile
        if isinstance(event, Refreshed) and self._trials.get(name) is item:
            self._replace(name, item)
        self._observe(event)

    def _replace(self, name: str, item: SupervisedProfile) -> None:
        """Serve the profile from the trial, which has its first session."""
        before = self._serving[name]
        before.stop()
        self._serving[name] = item
        del self._trials[name]
        self._list()
        self._close_unused(before.pipeline)
        self._replaced(name)

    def _list(self) -> None:
        self.refreshers[:] = [item.refresher for item in self._serving.values()]


def policy(profile: Profile, schedule: Schedule, start_seconds: float) -> Policy:
    """Return the refresher's policy for a profile."""
    return Policy(
        schedule,
        required=profile.required,
        drop_when_withdrawn=profile.on_denied == "stop",
        start_seconds=start_seconds,
    )
