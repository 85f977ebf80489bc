"""The cache beside the loop: what is issued is kept, what is dropped is forgotten, and nobody waits for the disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from .cache import Cache, Unusable
from .model import Credentials, Dropped, Event, Observe, Refreshed, SidecarError, Warned
from .settings import Profile


class LastGood:
    """
    Each profile's last session in a `Cache`.

    `observe` and `forget` return at once. What goes wrong is told once for each profile, until it goes well again.
    """

    def __init__(self, cache: Cache, profile: Callable[[str], Profile], warn: Observe) -> None:
        self._cache = cache
        self._profile = profile
        self._warn = warn
        self._in_turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._warned: set[str] = set()

    async def restore(self, names: Iterable[str]) -> dict[str, Credentials]:
        """What is kept of these profiles."""
        found = {}
        for name in names:
            credentials = await self._tried(name, lambda name=name: self._cache.read(name, self._profile(name)))  # type: ignore[misc]
            if credentials is not None:
                found[name] = credentials
        await self._tried("", lambda: self._cache.tidy(tuple(names)))
        return found

    def observe(self, event: Event) -> None:
        """Keeps what was issued, forgets what was dropped."""
        match event:
            case Refreshed(profile=name, credentials=credentials):
                profile = self._profile(name)
                self._start(self._tried(name, lambda: self._cache.write(name, profile, credentials)))
            case Dropped(profile=name):
                self.forget(name)
            case _:
                pass

    def forget(self, name: str) -> None:
        """Drops what is kept of the profile."""
        self._start(self._tried(name, lambda: self._cache.remove(name)))

    async def aclose(self) -> None:
        """Returns when everything is on the disk."""
        await asyncio.gather(*self._tasks)

    async def _tried(self, name: str, work: Callable[[], Any]) -> Any:
        async with self._in_turn:  # a purge must not be overtaken by the write before it
            try:
                found = await asyncio.to_thread(work)
            except Exception as error:
                self._complain(name, error)
                return None
        self._warned.discard(name)
        return found

    def _complain(self, name: str, error: Exception) -> None:
        if name not in self._warned:
            self._warned.add(name)
            why = error if isinstance(error, Unusable | SidecarError) else type(error).__name__
            self._warn(Warned(name, f"cache: {why}; going on without it"))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)  # the loop alone would not keep it
        task.add_done_callback(self._tasks.discard)
