"""Sessions on the disk, beside the loop: a new session is written, a dropped one removed, and no refresh waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Literal, Protocol, TypeVar

from ..config.settings import Profile
from ..core.errors import SidecarError
from ..core.events import Dropped, Event, Observe, Refreshed, StoreFailed
from ..core.values import Credentials
from ..system import disk
from ..system.disk import OrderedThreads
from .errors import EntryError, StoreError

T = TypeVar("T")

PATIENCE = 2.0
"""Seconds for a disk that hangs, at the start and at the end: reading and writing an entry takes milliseconds."""

SLOW = disk.PATIENCE
"""Seconds until a session that is not written yet is reported."""

SHARED = ""
"""The profile name of trouble that concerns all profiles: the directory, the key."""


class StoreBackend(Protocol):
    """Where sessions are stored: encrypted (`sealed_cache`), or in files for other programs (`credential_files`)."""

    def read(self, name: str, profile: Profile) -> Credentials | None: ...
    def write(self, name: str, profile: Profile, credentials: Credentials) -> None: ...
    def remove(self, name: str) -> None: ...
    def tidy(self, names: Collection[str]) -> None: ...


@dataclass(slots=True)
class _Write:
    """A session that waits for the thread; a newer one takes its place."""

    session: tuple[Profile, Credentials] = field(repr=False)


class SessionStore:
    """
    Each profile's last session on the disk.

    `observe` returns at once; the other methods wait for the disk, but not for one that hangs. A failure is reported
    once until it is over; that something could not be removed is reported every time.

    `apart`: each profile's sessions lie in places of their own, so a disk that hangs holds up its profile alone.
    """

    def __init__(
        self,
        backend: StoreBackend,
        profile: Callable[[str], Profile],
        report: Observe,
        *,
        store: Literal["cache", "files"] = "cache",
        apart: bool = False,
        patience: float = PATIENCE,
        slow: float = SLOW,
    ) -> None:
        self._backend = backend
        self._profile = profile
        self._report = report
        self._store = store
        self._apart = apart
        self._patience = patience
        self._slow = slow
        # Threads of its own: a removal is not overtaken by the write before it, and a disk that hangs occupies these
        # threads and not all of those that others work in.
        self._threads = OrderedThreads()
        self._seen: set[str] = set()
        self._unwritten: dict[str, _Write] = {}
        self._lock = Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._reported: set[str] = set()

    async def restore(self, names: Collection[str]) -> dict[str, Credentials]:
        """Return what is stored of these profiles; entries of other profiles are removed."""
        found: dict[str, Credentials] = {}
        try:
            async with asyncio.timeout(self._patience):
                for name in names:
                    profile = self._profile(name)
                    stored = await self._attempt(name, self._in_order(name, self._backend.read, name, profile))
                    if stored is not None:
                        found[name] = stored
                await self._attempt(SHARED, self._in_order(SHARED, self._backend.tidy, names))
        except TimeoutError:
            self._no_answer()
        return found

    async def ask(self, question: Callable[[], T]) -> T | None:
        """Return the answer of the disk; None where it fails or does not come in time."""
        try:
            async with asyncio.timeout(self._patience):
                return await self._attempt(SHARED, self._in_order(SHARED, question))
        except TimeoutError:
            self._no_answer()
            return None

    def observe(self, event: Event) -> None:
        """Write what was issued, remove what was dropped."""
        match event:
            case Refreshed(profile=name, credentials=credentials):
                # While a disk hangs, the sessions of hours do not queue up: the last one of each profile is written.
                with self._lock:
                    waiting = self._unwritten.get(name)
                    if waiting is not None:
                        waiting.session = self._profile(name), credentials
                        return
                    waiting = self._unwritten[name] = _Write((self._profile(name), credentials))
                self._seen.add(name)
                self._start(self._written(name, self._in_order(name, self._write, name, waiting)))
            case Dropped(profile=name):
                self._start(self._removed(name, self._removal(name)))
            case _:
                pass

    async def remove(self, name: str) -> None:
        """Remove the profile's session; return when it is gone, or when it was reported that it is not."""
        await self._removed(name, self._removal(name))

    def tidy(self, names: Collection[str]) -> None:
        """Remove the sessions of other profiles than these."""
        gone = self._seen.difference(names) if self._apart else {SHARED}
        for name in gone:
            kept = self._seen.union(names) - {name} if self._apart else names
            self._start(self._attempt(name, self._in_order(name, self._backend.tidy, kept)))
        self._seen.intersection_update(names)

    async def aclose(self) -> None:
        """Return when everything is on the disk."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._patience)
        self._threads.drop_waiting()

    def _write(self, name: str, write: _Write) -> None:
        """Write the last session before the next removal. Runs in the thread."""
        with self._lock:
            if self._unwritten.get(name) is write:
                del self._unwritten[name]
        self._backend.write(name, *write.session)

    def _removal(self, name: str) -> asyncio.Future[None]:
        with self._lock:
            self._unwritten.pop(name, None)  # a later session is written after the removal
        return self._in_order(name, self._backend.remove, name)

    async def _removed(self, name: str, removal: asyncio.Future[None]) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await asyncio.shield(removal)  # a disk that answers late removes it all the same
        except Exception as error:
            removal.add_done_callback(_noted)
            message = f"{_words(error)}; the entry stays there, and may be used after a restart"
            self._report(StoreFailed(name, message, self._store, _code(error)))

    async def _written(self, name: str, work: asyncio.Future[None]) -> None:
        concerned = name if self._apart else SHARED
        late = asyncio.get_running_loop().call_later(self._slow, self._complain, concerned, TimeoutError())
        try:
            await self._attempt(name, work)
        finally:
            late.cancel()

    async def _attempt(self, name: str, work: asyncio.Future[T]) -> T | None:
        try:
            found = await work
        except Exception as error:
            self._complain(name if isinstance(error, EntryError) else SHARED, error)
            return None
        self._reported -= {name, SHARED}
        return found

    def _in_order(self, name: str, work: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        """Return work of a thread, which does it after everything that was requested before for the same places."""
        lane = self._threads.lane(name if self._apart else SHARED)
        return asyncio.get_running_loop().run_in_executor(lane, work, *arguments)

    def _no_answer(self) -> None:
        self._complain(SHARED, StoreError(f"the disk did not answer within {self._patience:g} s"))

    def _complain(self, name: str, error: Exception) -> None:
        if name not in self._reported:
            self._reported.add(name)
            message = f"{_words(error)}; service goes on without it"
            self._report(StoreFailed(name, message, self._store, _code(error)))

    def _start(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)  # the loop alone would not keep it
        task.add_done_callback(self._tasks.discard)


def _noted(removal: asyncio.Future[None]) -> None:
    """Take note of how a late removal has ended: what it left behind was reported before."""
    if not removal.cancelled():
        removal.exception()


def _code(error: Exception) -> str | None:
    """Return the stable code of a failure, where it has one of its own."""
    if isinstance(error, TimeoutError):
        return "IDS-601"
    return error.error_code if isinstance(error, StoreError | SidecarError) else None


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "the disk did not answer in time"
    return str(error) if isinstance(error, StoreError | SidecarError) else type(error).__name__
