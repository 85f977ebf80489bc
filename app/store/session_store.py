"""Sessions on the disk, beside the loop: what is issued is kept, what is dropped forgotten, and nobody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, Protocol, TypeVar

from ..config.settings import Profile
from ..core.model import BadEntry, Credentials, Dropped, Event, Observe, Refreshed, SidecarError, Unkept, Unusable

T = TypeVar("T")

PATIENCE = 2.0
"""Seconds for a disk that hangs, at the start and at the end: reading and writing an entry takes milliseconds."""

SHARED = ""
"""Whose trouble it is that is nobody's alone: the directory's, the key's."""


class Keeps(Protocol):
    """Where sessions are kept: sealed for us (`app.cache`), or written down for others (`app.credential_files`)."""

    def read(self, name: str, profile: Profile) -> Credentials | None: ...
    def write(self, name: str, profile: Profile, credentials: Credentials) -> None: ...
    def remove(self, name: str) -> None: ...
    def tidy(self, names: Collection[str]) -> None: ...


class LastGood:
    """
    Each profile's last session on the disk.

    `observe` returns at once; the rest waits for the disk, but not for one that hangs. What goes wrong is told once,
    until it goes well again; that something could not be forgotten is told every time.
    """

    def __init__(
        self,
        cache: Keeps,
        profile: Callable[[str], Profile],
        warn: Observe,
        *,
        where: Literal["cache", "files"] = "cache",
        patience: float = PATIENCE,
    ) -> None:
        self._cache = cache
        self._profile = profile
        self._warn = warn
        self._where = where
        self._patience = patience
        # One thread of its own: a purge is not overtaken by the write before it, and a disk that hangs has one thread
        # and not all of those that others work in, too.
        self._thread = ThreadPoolExecutor(1, "cache")
        self._tasks: set[asyncio.Task[Any]] = set()
        self._warned: set[str] = set()

    async def restore(self, names: Collection[str]) -> dict[str, Credentials]:
        """What is kept of these profiles; nothing of a profile that is none any more stays."""
        found: dict[str, Credentials] = {}
        try:
            async with asyncio.timeout(self._patience):
                for name in names:
                    profile = self._profile(name)
                    kept = await self._tried(name, self._ordered(self._cache.read, name, profile))
                    if kept is not None:
                        found[name] = kept
                await self._tried(SHARED, self._ordered(self._cache.tidy, names))
        except TimeoutError:
            self._complain(SHARED, Unusable(f"the disk did not answer within {self._patience:g} s"))
        return found

    async def ask(self, question: Callable[[], T]) -> T | None:
        """The answer of the disk; None where there is none."""
        try:
            async with asyncio.timeout(self._patience):
                return await self._tried(SHARED, self._ordered(question))
        except TimeoutError:
            return None

    def observe(self, event: Event) -> None:
        """Keeps what was issued, forgets what was dropped."""
        match event:
            case Refreshed(profile=name, credentials=credentials):
                written = self._ordered(self._cache.write, name, self._profile(name), credentials)
                self._start(self._tried(name, written))
            case Dropped(profile=name):
                self._start(self._forgotten(name, self._ordered(self._cache.remove, name)))
            case _:
                pass

    async def forget(self, name: str) -> None:
        """Drops what is kept of the profile; returns when it is gone, or when it was told that it is not."""
        await self._forgotten(name, self._ordered(self._cache.remove, name))

    def tidy(self, names: Collection[str]) -> None:
        """Forgets what is kept of other profiles than these."""
        self._start(self._tried(SHARED, self._ordered(self._cache.tidy, names)))

    async def aclose(self) -> None:
        """Returns when everything is on the disk."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._patience)
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _forgotten(self, name: str, removed: asyncio.Future[None]) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await removed
        except Exception as error:
            self._warn(
                Unkept(name, f"{_words(error)}; what is there stays, and may be used after a restart", self._where)
            )

    async def _tried(self, name: str, work: asyncio.Future[T]) -> T | None:
        try:
            found = await work
        except Exception as error:
            self._complain(name if isinstance(error, BadEntry) else SHARED, error)
            return None
        self._warned -= {name, SHARED}
        return found

    def _ordered(self, work: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        """Work for the thread, which does it after all that was ordered before."""
        return asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    def _complain(self, name: str, error: Exception) -> None:
        if name not in self._warned:
            self._warned.add(name)
            self._warn(Unkept(name, f"{_words(error)}; going on without it", self._where))

    def _start(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)  # the loop alone would not keep it
        task.add_done_callback(self._tasks.discard)


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "the disk did not answer in time"
    return str(error) if isinstance(error, Unusable | SidecarError) else type(error).__name__
