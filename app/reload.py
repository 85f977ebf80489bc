"""Changes under a running sidecar: its configuration, and the files that it names.

A configuration is read and checked as a whole before any part of it is used; one that cannot work changes nothing but
the status. A replaced secret is tried at once. A file that is read whenever it is used matters at once only to a
profile that failed with the old one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from .config import validate
from .config.explain import Difference, differences
from .config.loader import Loaded
from .config.settings import Access
from .config.watched_files import WatchedFiles, watched_files
from .core.errors import ConfigError, NotThereYet
from .observe import log_events
from .observe.log import Log
from .refresh.profiles import Profiles
from .system.file_watch import FileWatch

AT_START = ("server.", "cache.", "startup.", "access.hopLimit", "access.maxConnections", "logging.format")
"""Beginnings of keys that a running process cannot change; they take effect at the next start."""


@dataclass(frozen=True, slots=True)
class ReloadStatus:
    """
    How the last reload went.

    `at`: when the configuration in use was read. `restart_needed`: changed keys that take effect at the next start.
    """

    at: float
    error: str | None = None
    restart_needed: tuple[str, ...] = ()


Load = Callable[[], Loaded]
"""Reads the configuration. Raises ConfigError."""

Adopt = Callable[[Loaded, str | None], None]
"""Uses a configuration from now on, with this path token."""


class Reloader:
    """
    Holds the configuration in use (`loaded`), and replaces it.

    `path_token` reads the path token that a configuration names. Without `load` nothing is ever replaced. While `busy`
    is held, no configuration is adopted.
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
        adopt: Adopt,
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
        self._adopt = adopt
        self._watched = WatchedFiles(frozenset(), frozenset())
        self._watch = FileWatch(self._files_changed)
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self) -> None:
        """Start to watch files."""
        if self._load is None:
            return
        why = self._watch.start()
        if why is not None:
            self._log.write(log_events.FILES_NOT_WATCHED, error=why)
        self._follow()
        if why is None:
            self._log.write(log_events.WATCHING, files=len(self._watched.all()))

    async def stop(self) -> None:
        """Stop watching, and cancel what is under way."""
        self._watch.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- the configuration --------------------------------------------------------------------------------------------

    def reload(self) -> None:
        """Read the configuration again, and check all watched files (SIGHUP)."""
        self._watch.check()
        self._start(self._reload())

    async def _reload(self) -> None:
        if self._load is None:
            return
        async with self.busy:
            try:
                loaded, token = await asyncio.to_thread(self._read, self._load)
            except (ConfigError, NotThereYet) as error:
                message = "; ".join(str(error).splitlines())
                self.status = ReloadStatus(self.status.at, message, self.status.restart_needed)
                self._log.write(log_events.CONFIG_RELOAD_FAILED, error=message)
                return
            changes = list(differences(self.loaded.settings, loaded.settings))
            self.loaded = loaded
            # In one step: a request in between would be judged by a rule or a token that is no longer valid.
            self._adopt(loaded, token)
            self._follow()
            self._report(changes)

    def _read(self, load: Load) -> tuple[Loaded, str | None]:
        loaded = load()
        # The listeners stay as they were at start, whatever the file says now: the new rules must fit them, too. A path
        # token, for example, would be useless beside a metadata listener that is still there.
        validate.check(msgspec.structs.replace(loaded.settings, server=self._at_start.server))
        return loaded, self._path_token(loaded.settings.access)

    def _report(self, changes: list[Difference]) -> None:
        since_start = [key for key, _, _ in differences(self._at_start, self.loaded.settings)]
        restart_needed = tuple(key for key in since_start if key.startswith(AT_START))
        self.status = ReloadStatus(self.loaded.at, None, restart_needed)
        shown = [{"key": key, "was": was, "is": now} for key, was, now in changes]
        self._log.write(log_events.CONFIG_RELOADED, config=self.loaded.origin, changes=shown)
        for warning in self.loaded.warnings:
            self._log.write(log_events.CONFIGURATION, warning)
        if restart_needed:
            self._log.write(log_events.RESTART_NEEDED, keys=list(restart_needed))

    # --- files --------------------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        """Watch the files that the configuration names now."""
        self._watched = watched_files(self.loaded.settings, self.loaded.files, self._environ)
        self._watch.follow(self._watched.all())

    def _files_changed(self, names: frozenset[str]) -> None:
        self._log.write(log_events.FILES_CHANGED, files=sorted(names))
        if names & (self._watched.configuration | self._watched.path_token):
            self._start(self._reload())
        for name in {name for file in names for name in self._watched.proofs.get(file, ())}:
            self._start(self._profiles.renew(name))
        for name in {name for file in names for name in self._watched.read_later.get(file, ())}:
            self._profiles.retry(name)

    def _start(self, work: Coroutine[Any, Any, Any]) -> None:
        """Start a task; an exception of it is logged by its type."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.write(log_events.INTERNAL_ERROR, error=type(error).__name__)
