"""All profiles of a running sidecar: each one's refresher, its loop, and what it fetches with.

A changed configuration touches the profiles that it changes and no others. What replaces one that serves is tried
beside it first, and takes its place with its first session: a new secret or role that does not work costs nobody
anything, for as long as the old one does.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ..config import validate
from ..config.settings import Profile, Settings
from ..core.clocks import Clocks
from ..core.model import Credentials, Event, Observe, Refreshed
from ..system.sleep import Nap, Sleep
from .refresher import Refresher

if TYPE_CHECKING:
    from .pipeline import Cloud

MakeCloud = Callable[[Settings], "Cloud"]
"""The outbound half for these settings. Slow: it imports an HTTP client, and is called in a thread."""


class Outbound:
    """The outbound half of one configuration, made when it is first used."""

    def __init__(self, settings: Settings, make: MakeCloud) -> None:
        self.settings = settings
        self._make = make
        self._cloud: asyncio.Task[Cloud] | None = None
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def fetch(self, name: str) -> Credentials:
        """New credentials for the profile."""
        if self._cloud is None or (self._cloud.done() and self._made() is None):  # it could not be made before
            self._cloud = asyncio.create_task(asyncio.to_thread(self._make, self.settings))
        self._under_way += 1
        self._idle.clear()
        try:
            return await (await asyncio.shield(self._cloud)).fetch(name)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    def fits(self, settings: Settings) -> bool:
        """Whether it is the outbound half of these settings, too: of their profiles, no more, no fewer, no other."""
        names = settings.profiles.keys()
        return names == self.settings.profiles.keys() and all(alike(self.settings, settings, name) for name in names)

    def forget(self, name: str) -> None:
        """Has the profile's identity proved anew at the next fetch."""
        cloud = self._made()
        if cloud is not None:
            cloud.forget(name)

    async def aclose(self) -> None:
        """Closes it when what is under way has ended."""
        await self._idle.wait()
        cloud = self._made()
        if cloud is not None:
            await cloud.aclose()

    def _made(self) -> Cloud | None:
        done = self._cloud is not None and self._cloud.done() and not self._cloud.cancelled()
        return self._cloud.result() if done and self._cloud and self._cloud.exception() is None else None


class Kept:
    """One profile that is kept fresh: what is configured, the refresher, its loop."""

    __slots__ = ("loop", "outbound", "profile", "refresher")

    def __init__(self, profile: Profile, outbound: Outbound) -> None:
        self.profile = profile
        self.outbound = outbound
        self.refresher: Refresher
        self.loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self.loop is None:
            self.loop = asyncio.create_task(self.refresher.run())

    def stop(self) -> None:
        if self.loop is not None:
            self.loop.cancel()


class Profiles:
    """
    The profiles by name, in the order of the file.

    `refreshers` is one list for as long as this lives, changed in place: who holds it sees what serves now. `replaced`
    is called when another refresher serves a profile than before.
    """

    def __init__(
        self,
        settings: Settings,
        make_cloud: MakeCloud,
        *,
        clocks: Clocks,
        observe: Observe,
        replaced: Callable[[], None],
        sleep: Sleep = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._make_cloud = make_cloud
        self._clocks = clocks
        self._observe = observe
        self._replaced = replaced
        self._sleep = sleep
        self._chance = chance
        self._settings = settings
        self._schedule = validate.schedule(settings.refresh)
        self._outbound = Outbound(settings, make_cloud)
        self._serving = {name: self._kept(name, profile) for name, profile in settings.profiles.items()}
        self._trials: dict[str, Kept] = {}
        self._closing: set[asyncio.Future[Any]] = set()
        self.refreshers: list[Refresher] = []
        self._list()

    # --- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begins to refresh."""
        for kept in self._serving.values():
            kept.start()

    async def stop(self) -> None:
        everybody = [*self._serving.values(), *self._trials.values()]
        for kept in everybody:
            kept.stop()
        await asyncio.gather(*(kept.loop for kept in everybody if kept.loop), return_exceptions=True)
        for outbound in {kept.outbound for kept in everybody} | {self._outbound}:
            await outbound.aclose()
        await asyncio.gather(*self._closing)

    def dead(self) -> list[str]:
        """The profiles whose loop has ended, which is a bug."""
        return [name for name, kept in self._serving.items() if kept.loop is not None and kept.loop.done()]

    # --- what is asked of them ----------------------------------------------------------------------------------------

    def __contains__(self, name: str) -> bool:
        return name in self._serving

    def refresher(self, name: str) -> Refresher:
        return self._serving[name].refresher

    def profile(self, name: str) -> Profile:
        """What is configured for what serves now, which a change that is on trial is not yet."""
        return self._serving[name].profile

    def trial(self, name: str) -> Refresher | None:
        """What is tried beside the profile's refresher, to take its place."""
        kept = self._trials.get(name)
        return kept.refresher if kept is not None else None

    async def renew(self, name: str) -> None:
        """Proves the profile's identity anew now, and returns when the attempt has ended."""
        for kept in self._both(name):
            kept.outbound.forget(name)
            kept.refresher.refresh_now()
        await self._serving[name].refresher.settled()

    def try_again(self, name: str) -> None:
        """Has the profile try now what failed before; nothing if it did not fail."""
        for kept in self._both(name):
            if not kept.refresher.healthy:
                kept.refresher.refresh_now()

    def clock_jumped(self) -> None:
        """Plans anew, because the wall clock was set or the machine slept."""
        for refresher in self.refreshers:
            refresher.clock_jumped()

    def _both(self, name: str) -> Iterator[Kept]:
        yield self._serving[name]
        if name in self._trials:
            yield self._trials[name]

    # --- another configuration ----------------------------------------------------------------------------------------

    def change(self, settings: Settings) -> None:
        """
        Keeps these profiles from now on: new ones begin, gone ones end, changed ones are tried first.

        Waits for nobody: there is no moment in which some are of the old configuration and some of the new.
        """
        self._settings = settings
        self._schedule = validate.schedule(settings.refresh)
        touched = {
            name
            for name in settings.profiles
            # Held against what serves, not against the configuration of before: that may never have got beyond a trial.
            if name not in self._serving or not alike(self._serving[name].outbound.settings, settings, name)
        }
        self._end({*self._trials, *(self._serving.keys() - settings.profiles.keys())})
        old = self._outbound
        if not old.fits(settings):
            self._outbound = Outbound(settings, self._make_cloud)
        serving = {}
        for name, profile in settings.profiles.items():
            serving[name] = self._changed(name, profile, touched=name in touched)
        self._serving = serving
        self._list()
        self._close_unused(old)

    def _changed(self, name: str, profile: Profile, *, touched: bool) -> Kept:
        """What serves the profile now; one that is changed begins its trial."""
        kept = self._serving.get(name)
        if kept is None:
            kept = self._kept(name, profile)
            kept.start()
        elif touched:
            self._trials[name] = self._kept(name, profile)
            self._trials[name].start()
        else:
            kept.profile, kept.outbound = profile, self._outbound
        refresher = kept.refresher
        refresher.required, refresher.stops, refresher.schedule = profile.required, _stops(profile), self._schedule
        return kept

    def _end(self, names: set[str]) -> None:
        """Ends the trials of these, and their serving where they are configured no more."""
        gone = [self._trials.pop(name) for name in names if name in self._trials]
        gone += [self._serving.pop(name) for name in names if name not in self._settings.profiles]
        for kept in gone:
            kept.stop()
            self._outlives(asyncio.gather(*filter(None, [kept.loop]), return_exceptions=True))
        for outbound in {kept.outbound for kept in gone}:
            self._close_unused(outbound)

    def _close_unused(self, outbound: Outbound) -> None:
        used = {kept.outbound for kept in (*self._serving.values(), *self._trials.values())} | {self._outbound}
        if outbound not in used:
            self._outlives(asyncio.create_task(outbound.aclose()))

    def _outlives(self, work: asyncio.Future[Any]) -> None:
        """Has what ends by itself waited for at the end."""
        self._closing.add(work)
        work.add_done_callback(self._closing.discard)

    # --- one profile --------------------------------------------------------------------------------------------------

    def _kept(self, name: str, profile: Profile) -> Kept:
        kept = Kept(profile, self._outbound)
        nap = Nap(self._sleep)
        kept.refresher = Refresher(
            name,
            lambda: kept.outbound.fetch(name),
            schedule=self._schedule,
            observe=lambda event: self._heard(kept, event),
            clocks=self._clocks,
            sleep=nap.sleep,
            wake=nap.wake,
            random=self._chance,
            required=profile.required,
            stops=_stops(profile),
        )
        return kept

    def _heard(self, kept: Kept, event: Event) -> None:
        name = kept.refresher.profile
        if isinstance(event, Refreshed) and self._trials.get(name) is kept:
            self._take_over(name, kept)
        self._observe(event)

    def _take_over(self, name: str, kept: Kept) -> None:
        """The trial has a session: it serves from now on."""
        before = self._serving[name]
        before.stop()
        self._serving[name] = kept
        del self._trials[name]
        self._list()
        self._close_unused(before.outbound)
        self._replaced()

    def _list(self) -> None:
        self.refreshers[:] = [kept.refresher for kept in self._serving.values()]


def alike(one: Settings, other: Settings, name: str) -> bool:
    """Whether two configurations get the credentials of the profile, which is in both, in the same way."""
    ways = [(settings.tls, settings.proxy) for settings in (one, other)]
    return ways[0] == ways[1] and same(one.profiles[name], other.profiles[name])


def same(one: Profile, other: Profile) -> bool:
    """Whether two profiles get the same credentials in the same way."""
    return (one.identity, one.exchange, one.chain) == (other.identity, other.exchange, other.chain)


def _stops(profile: Profile) -> bool:
    return profile.on_denied == "stop"
