"""Changes while the sidecar runs: of its configuration, and of the files that the configuration names.

A configuration is read and checked as a whole before any part of it is used. A configuration that cannot work changes
only the status. A replaced secret is tried at once. For a file that is read at each use, a change starts a refresh only
of the profiles that failed with the old file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

import msgspec

from .config import validate
from .config.explain import differences
from .config.loader import Loaded
from .config.settings import Access
from .config.watched_files import WatchedFiles, watched_files
from .core.errors import ConfigError, Mistake, NotThereYet, SidecarError
from .core.record import Record
from .observe import log_events
from .observe.log import Log
from .refresh.profiles import Profiles
from .system.disk import Disk, Stalled
from .system.file_watch import POLL, FileWatch
from .system.inotify import Inotify
from .system.runtime_dir import KeptKey
from .system.survey import Survey
from .upstream.keys import key_derivation

T = TypeVar("T")

PATIENCE = 30.0
"""Seconds to read and check a configuration: a thousand profiles take two on one slow core."""

STALLED_RETRY = 30.0
"""Seconds until a configuration that could not be read in time is read again."""

MOST_CHANGES = 100
"""The most changed keys in a log line: log collectors do not accept a line with all keys of a thousand profiles."""

AT_START = ("server.", "cache.", "startup.", "access.hopLimit", "access.maxConnections", "logging.format", "telemetry.")
"""Beginnings of keys that a running process cannot change. A change of these keys takes effect at the next start."""


class ReloadStatus(Record, frozen=True):
    """
    The result of the last reload.

    `at`: the time at which the configuration in use was read. `restart_needed`: changed keys that take effect at the
    next start. `error_code`: the code of the first mistake in `error`. `mistakes`: the lines of `error`, each with its
    code and cure.
    """

    at: float
    error: str | None = None
    restart_needed: tuple[str, ...] = ()
    error_code: str | None = None
    mistakes: tuple[Mistake, ...] = ()


class _Prepared(Record, frozen=True):
    """A configuration that was read and checked, with the values derived from it."""

    HIDDEN = frozenset({"path_token"})

    loaded: Loaded
    path_token: str | None
    session_key: KeptKey
    watched: WatchedFiles
    changes: list[dict[str, Any]]
    restart_needed: list[str]


Load = Callable[[], Loaded]
"""Reads the configuration. Raises ConfigError."""

Adopt = Callable[[Loaded, str | None, KeptKey], None]
"""Uses a configuration from now on, with this path token and this key of the metadata session tokens."""


class Reloader:
    """
    Holds the configuration in use (`loaded`), and replaces it.

    `path_token` reads the path token that a configuration names, `session_key` the key that survives a restart. Without
    `load`, the configuration is never replaced.
    While `busy` is held, no configuration is adopted.
    """

    def __init__(
        self,
        loaded: Loaded,
        load: Load | None,
        environ: Mapping[str, str],
        log: Log,
        profiles: Profiles,
        *,
        path_token: Callable[[Access], str | None],
        session_key: Callable[[Access], KeptKey],
        adopt: Adopt,
        disk: Disk,
        survey: Survey,
        open_inotify: Callable[[], Inotify] = Inotify,
    ) -> None:
        self.loaded = loaded
        self.status = ReloadStatus(loaded.at)
        self.busy = asyncio.Lock()
        self._at_start = loaded.settings
        self._load = load
        self._environ = environ
        self._log = log
        self._profiles = profiles
        self._path_token = path_token
        self._session_key = session_key
        self._adopt = adopt
        self._disk = disk
        self._survey = survey
        self._watched = WatchedFiles(frozenset(), frozenset())
        self._refused: frozenset[str] = frozenset()
        """The files that the refused configuration names. A change of one of them may correct the configuration."""
        self._watch = FileWatch(self._files_changed, self._not_reported, open_inotify=open_inotify, survey=survey)
        self._ordered = self._reloading = False
        self._tasks: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Start to watch files."""
        if self._load is None:
            return
        self._watch.start()
        self._watched = await self._off_loop(lambda: self._named_by(self.loaded))
        await self._watch.follow(self._watched.all())
        self._start(self._watch.run())
        self._log.write(log_events.WATCHING, files=len(self._watched.all()))

    async def stop(self) -> None:
        """Stop watching, and cancel all tasks under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._watch.stop()

    # --- the configuration --------------------------------------------------------------------------------------------

    def reload(self) -> None:
        """Read the configuration again, and check all watched files (SIGHUP)."""
        self._watch.check()
        self._order()

    def _order(self) -> None:
        """Reload now, or once more after the reload under way. Any number of orders meanwhile cause one reload."""
        self._ordered = True
        if not self._reloading:
            self._reloading = True
            self._start(self._reload_while_ordered())

    async def _reload_while_ordered(self) -> None:
        try:
            while self._ordered:
                self._ordered = False
                await self._reload()
        finally:
            self._reloading = False

    async def _reload(self) -> None:
        if self._load is None:
            return
        load = self._load
        async with self.busy:
            try:
                prepared = await self._prepared(load)
            except (ConfigError, NotThereYet, Stalled) as error:
                self._fail(error)
                return
            self.loaded, self._watched, self._refused = prepared.loaded, prepared.watched, frozenset()
            # Adopted in one step, so that no request is judged by a rule or a token that is no longer valid.
            self._adopt(prepared.loaded, prepared.path_token, prepared.session_key)
            self._report(prepared)
            await self._watch.follow(self._watched.all())

    async def _prepared(self, load: Load) -> _Prepared:
        """
        Return the prepared configuration. If it is refused, watch the files that it names.

        Raises the error of `_prepare`. The configuration is read once more after files were added to the watch, because
        a file may have been corrected in between.
        """
        try:
            return await self._off_loop(lambda: self._prepare(load))
        except (ConfigError, NotThereYet) as error:
            known = self._watched.all() | self._refused
            self._refused = error.files
            await self._watch.follow(self._watched.all() | error.files)
            if error.files <= known:
                raise
        return await self._off_loop(lambda: self._prepare(load))

    def _fail(self, error: SidecarError) -> None:
        if isinstance(error, Stalled):
            places = ", ".join(self._survey.hanging()) or self.loaded.origin
            cause = f"the configuration, or a file that it names, cannot be read: {error.cause}"
            error = error.reworded(cause, f"look at {places}")
            asyncio.get_running_loop().call_later(STALLED_RETRY, self._order)
        key_derivation.forget()  # keys of a configuration that is not used
        message = "; ".join(str(error).splitlines())
        alone = Mistake(error.cause, error.error_code, error.cure)
        mistakes = error.mistakes if isinstance(error, ConfigError) else (alone,)
        self.status = ReloadStatus(self.status.at, message, self.status.restart_needed, error.error_code, mistakes)
        self._log.write(log_events.CONFIG_RELOAD_FAILED, error=message, error_code=error.error_code)

    async def _off_loop(self, call: Callable[[], T]) -> T:
        """Return the result of `call`, which reads files or takes long for many profiles. Raises Stalled."""
        return await self._disk.call("", call, patience=PATIENCE)

    def _prepare(self, load: Load) -> _Prepared:
        """Do the slow part of a reload in a thread, so that the rest is one short step of the event loop."""
        needed = self._watched.configuration | self._watched.path_token
        self._survey.look(needed)
        if any(map(self._survey.hangs, needed)):
            raise Stalled("the file system does not answer", error_code="IDS-601")
        loaded = load()
        try:
            return self._checked(loaded)
        except (ConfigError, NotThereYet) as error:
            raise error.with_members(files=self._named_by(loaded).all()) from None

    def _checked(self, loaded: Loaded) -> _Prepared:
        # The listeners of the start stay until a restart, so the new rules must fit them, too. A path token, for
        # example, would be useless beside a metadata listener that is still open.
        validate.require_valid(msgspec.structs.replace(loaded.settings, server=self._at_start.server))
        return _Prepared(
            loaded,
            self._path_token(loaded.settings.access),
            self._session_key(loaded.settings.access),
            self._named_by(loaded),
            [
                {"key": key, "was": was, "is": now}
                for key, was, now in differences(self.loaded.settings, loaded.settings)
            ],
            [key for key, _, _ in differences(self._at_start, loaded.settings) if key.startswith(AT_START)],
        )

    def _named_by(self, loaded: Loaded) -> WatchedFiles:
        return watched_files(loaded.settings, loaded.files, self._environ)

    def _report(self, prepared: _Prepared) -> None:
        loaded, restart_needed = prepared.loaded, prepared.restart_needed
        self.status = ReloadStatus(loaded.at, restart_needed=tuple(restart_needed))
        more = len(prepared.changes) - MOST_CHANGES
        shown = [*prepared.changes[:MOST_CHANGES], *([f"and {more} more"] if more > 0 else [])]
        self._log.write(log_events.CONFIG_RELOADED, config=loaded.origin, changes=shown)
        for warning in loaded.warnings:
            self._log.write(log_events.CONFIGURATION, warning, error_code=warning.error_code)
        if restart_needed:
            self._log.write(log_events.RESTART_NEEDED, keys=restart_needed)

    # --- files --------------------------------------------------------------------------------------------------------

    def _files_changed(self, names: frozenset[str]) -> None:
        self._log.write(log_events.FILES_CHANGED, files=sorted(names))
        if names & (self._watched.configuration | self._watched.path_token | self._refused):
            self._order()
        if names & self._watched.proofs.keys():
            key_derivation.forget()  # a key that was removed or replaced does not stay in memory
        for name in {name for file in names for name in self._watched.proofs.get(file, ())}:
            self._start(self._profiles.renew(name))
        for name in {name for file in names for name in self._watched.read_later.get(file, ())}:
            self._profiles.retry(name)

    def _not_reported(self, why: str) -> None:
        self._log.write(log_events.FILES_NOT_WATCHED, error=why, seconds=POLL)

    def _start(self, work: Coroutine[Any, Any, Any]) -> None:
        """Start a task. If it raises an exception, log the type of the exception."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.write(log_events.INTERNAL_ERROR, error=type(error).__name__)
