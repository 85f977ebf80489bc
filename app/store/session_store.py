"""Sessions on disk: writes each new session and removes each dropped one on threads, so that no refresh waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine
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
"""Seconds to wait for a disk that hangs, at start and at stop. Reading or writing an entry takes milliseconds."""

SLOW = disk.PATIENCE
"""Seconds after which a session that is still not written is reported."""

SHARED = ""
"""The profile name of a failure that concerns all profiles, such as a failure of the directory or of the key."""


class StoreBackend(Protocol):
    """Where sessions are stored: encrypted (`sealed_cache`), or in files for other programs (`credential_files`)."""

    def read(self, name: str, profile: Profile) -> Credentials | None: ...
    def write(self, name: str, profile: Profile, credentials: Credentials) -> None: ...
    def remove(self, name: str) -> None: ...
    def tidy(self, names: Collection[str]) -> None: ...


@dataclass(slots=True)
class _Write:
    """A session that waits for its thread. A newer session of the profile replaces it; after a removal it is None."""

    session: tuple[Profile, Credentials] | None = field(repr=False)


class SessionStore:
    """
    The last session of each profile on disk.

    `observe` returns at once. The other methods wait for the disk for at most `patience` seconds. A failure is reported
    once until it is over, but a failed removal is reported every time.

    `apart`: each profile has directories of its own, so a disk that hangs delays only its own profile.
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
        # Separate threads keep a removal after the write that was requested before it. A disk that hangs occupies only
        # these threads, not those of other work.
        self._threads = OrderedThreads()
        self._seen: set[str] = set()
        self._unwritten: dict[str, _Write] = {}
        self._removals: dict[str, asyncio.Future[None]] = {}  # that wait for their thread
        self._removing: dict[str, tuple[asyncio.Future[None], asyncio.Task[None]]] = {}
        self._lock = Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._reported: set[str] = set()

    async def restore(self, names: Collection[str]) -> dict[str, Credentials]:
        """Return the stored sessions of the profiles `names`, and remove the entries of other profiles."""
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
        """Return the result of `question`, which reads the disk; None if it fails or takes too long."""
        try:
            async with asyncio.timeout(self._patience):
                return await self._attempt(SHARED, self._in_order(SHARED, question))
        except TimeoutError:
            self._no_answer()
            return None

    def observe(self, event: Event) -> None:
        """Write a session that was issued, or remove one that was dropped."""
        match event:
            case Refreshed(profile=name, credentials=credentials):
                # While a disk hangs for hours, only the last session of each profile waits to be written.
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

    def remove(self, name: str) -> Awaitable[None]:
        """
        Remove the profile's session. The awaitable ends when it is removed, or when the failure has been reported.

        The removal continues if its callers are cancelled. While a disk hangs, one removal serves all callers.
        """
        removal = self._removal(name)
        known, task = self._removing.get(name, (None, None))
        if task is None or task.done() or known is not removal:
            task = self._start(self._removed(name, removal))
            self._removing[name] = removal, task
        return asyncio.shield(task)

    def tidy(self, names: Collection[str]) -> None:
        """Remove the sessions of other profiles than `names`."""
        gone = self._seen.difference(names) if self._apart else {SHARED}
        for name in gone:
            kept = self._seen.union(names) - {name} if self._apart else names
            self._start(self._attempt(name, self._in_order(name, self._backend.tidy, kept)))
        self._seen.intersection_update(names)

    async def aclose(self) -> None:
        """Wait until all sessions are written or removed, for at most `patience` seconds."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._patience)
        self._threads.drop_waiting()

    def _write(self, name: str, write: _Write) -> None:
        """Write the last session before the next removal. Runs in the thread."""
        with self._lock:
            if self._unwritten.get(name) is write:
                del self._unwritten[name]
            session = write.session
        if session is not None:
            self._backend.write(name, *session)

    def _removal(self, name: str) -> asyncio.Future[None]:
        with self._lock:
            waiting = self._removals.get(name)
            if waiting is not None:
                if name in self._unwritten:
                    self._unwritten[name].session = None  # a later session is written in its place
                return waiting
            self._unwritten.pop(name, None)  # a later session is written after the removal
            removal = self._removals[name] = self._in_order(name, self._remove, name)
            return removal

    def _remove(self, name: str) -> None:
        """Remove what was written before the removal was requested. Runs in the thread."""
        with self._lock:
            del self._removals[name]
        self._backend.remove(name)

    async def _removed(self, name: str, removal: asyncio.Future[None]) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await asyncio.shield(removal)  # not cancelled: a slow disk still removes the entry
        except Exception as error:
            removal.add_done_callback(_read_outcome)
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
        """Return a future of `work`. A thread runs it after all earlier work on the same directories."""
        queue = self._threads.queue(name if self._apart else SHARED)
        return asyncio.get_running_loop().run_in_executor(queue, work, *arguments)

    def _no_answer(self) -> None:
        self._complain(SHARED, StoreError(f"the disk did not answer within {self._patience:g} s"))

    def _complain(self, name: str, error: Exception) -> None:
        if name not in self._reported:
            self._reported.add(name)
            message = f"{_words(error)}; service goes on without it"
            self._report(StoreFailed(name, message, self._store, _code(error)))

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)  # the loop itself holds only a weak reference to a task
        task.add_done_callback(self._tasks.discard)
        return task


def _read_outcome(removal: asyncio.Future[None]) -> None:
    """Read the outcome of a late removal, so that asyncio logs no error: the time-out was reported already."""
    if not removal.cancelled():
        removal.exception()


def _code(error: Exception) -> str | None:
    """Return the stable code of a failure; None if it has none."""
    if isinstance(error, TimeoutError):
        return "IDS-601"
    return error.error_code if isinstance(error, StoreError | SidecarError) else None


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "the disk did not answer in time"
    return str(error) if isinstance(error, StoreError | SidecarError) else type(error).__name__
