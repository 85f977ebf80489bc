"""The fetch pipeline of one configuration, built when it is first used."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..config.settings import Profile, Settings
from ..core.values import Credentials

if TYPE_CHECKING:
    from .pipeline import Pipeline

MakePipeline = Callable[[Settings], "Pipeline"]
"""Builds the pipeline for these settings. Runs in a thread, because it imports an HTTP client, which is slow."""


class LazyPipeline:
    """The pipeline of `settings`, built at the first fetch."""

    def __init__(self, settings: Settings, make: MakePipeline) -> None:
        self.settings = settings
        self._make = make
        self._building: asyncio.Task[Pipeline] | None = None
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def fetch(self, name: str) -> Credentials:
        """Return new credentials for the profile. Raises the errors of `Pipeline` and of its construction."""
        if self._building is None or (self._building.done() and self._built() is None):  # an earlier build failed
            self._building = asyncio.create_task(asyncio.to_thread(self._make, self.settings))
        self._under_way += 1
        self._idle.clear()
        try:
            return await (await asyncio.shield(self._building)).fetch(name)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    def serves(self, settings: Settings) -> bool:
        """Return whether a pipeline of `settings` would fetch the same credentials for the same profiles."""
        names = settings.profiles.keys()
        return names == self.settings.profiles.keys() and all(alike(self.settings, settings, name) for name in names)

    def forget_token(self, name: str) -> None:
        """Drop the token of the profile's identity, so that the next fetch obtains a new one."""
        pipeline = self._built()
        if pipeline is not None:
            pipeline.forget_token(name)

    async def aclose(self) -> None:
        """Close the pipeline after the fetches under way have ended."""
        await self._idle.wait()
        pipeline = self._built()
        if pipeline is not None:
            await pipeline.aclose()

    def _built(self) -> Pipeline | None:
        task = self._building
        if task is None or not task.done() or task.cancelled() or task.exception() is not None:
            return None
        return task.result()


def alike(one: Settings, other: Settings, name: str) -> bool:
    """Return whether two configurations fetch a profile's credentials in the same way. Both contain the profile."""
    return (one.tls, one.proxy) == (other.tls, other.proxy) and same(one.profiles[name], other.profiles[name])


def same(one: Profile, other: Profile) -> bool:
    """Return whether two profiles get the same credentials in the same way."""
    return (one.identity, one.exchange, one.chain) == (other.identity, other.exchange, other.chain)
