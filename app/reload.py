"""What changes under a running sidecar: its configuration, and the files that it names.

A configuration is read and checked whole before anything of it holds; one that cannot work changes nothing but what is
said of it. A secret that is replaced is tried at once; what is read whenever it is used matters only to who fails.
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
from .config.watched_files import NamedFiles, named_files
from .core.model import ConfigError
from .observe.log import Log
from .refresh.profiles import Profiles
from .system.file_watch import Watch

AT_START = ("server.", "cache.", "startup.", "access.hopLimit", "access.maxConnections", "logging.format")
"""Beginnings of keys that a running process cannot change; they take effect at its next start."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How the last reading of the configuration went. `at`: when the one that holds was read; `waits`: keys that do."""

    at: float
    error: str | None = None
    waits: tuple[str, ...] = ()


Load = Callable[[], Loaded]
"""Reads the configuration anew. Raises ConfigError."""

Adopt = Callable[[Loaded, str | None], None]
"""Has a configuration hold from now on, with this path token."""


class Reloading:
    """
    Holds what is `loaded`, and replaces it.

    `path_token` reads the path token that a configuration asks for. Without `load` nothing is ever replaced. While
    `busy` is held nothing is adopted.
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
        self.reading = Reading(loaded.at)
        self.busy = asyncio.Lock()
        self._at_start = loaded.settings
        self._load = load
        self._environ = environ
        self._log = log
        self._profiles = profiles
        self._path_token = path_token
        self._adopt = adopt
        self._named = NamedFiles(frozenset(), frozenset())
        self._watch = Watch(self._files_changed)
        self._errands: set[asyncio.Task[Any]] = set()

    def start(self) -> None:
        """Begins to listen for files that change."""
        if self._load is None:
            return
        why = self._watch.start()
        if why is not None:
            self._log.write("warning", "files_not_watched", message=f"{why}; SIGHUP has them read again")
        self._follow()
        self._log.write("debug" if why else "info", "watching", files=len(self._named.all()))

    async def stop(self) -> None:
        self._watch.stop()
        for task in self._errands:
            task.cancel()
        await asyncio.gather(*self._errands, return_exceptions=True)

    # --- the configuration --------------------------------------------------------------------------------------------

    def hang_up(self) -> None:
        """SIGHUP: reads the configuration again, and looks for files that changed."""
        self._watch.look()
        self._send(self._reload())

    async def _reload(self) -> None:
        if self._load is None:
            return
        async with self.busy:
            try:
                loaded, token = await asyncio.to_thread(self._read, self._load)
            except ConfigError as error:
                self.reading = Reading(self.reading.at, str(error), self.reading.waits)
                self._log.write("error", "config_reload_failed", error=str(error), message="the one before stays")
                return
            changes = list(differences(self.loaded.settings, loaded.settings))
            self.loaded = loaded
            # In one step: a request in between would be judged by a rule or a token that is no more.
            self._adopt(loaded, token)
            self._follow()
            self._tell(changes)

    def _read(self, load: Load) -> tuple[Loaded, str | None]:
        loaded = load()
        # What listens stays as it was at start, whatever the file says now: the new rules have to fit that, too. A path
        # token, for one, would be worth nothing beside a metadata listener that is still there.
        validate.settings(msgspec.structs.replace(loaded.settings, server=self._at_start.server))
        return loaded, self._path_token(loaded.settings.access)

    def _tell(self, changes: list[Difference]) -> None:
        since_start = [key for key, _, _ in differences(self._at_start, self.loaded.settings)]
        waits = tuple(key for key in since_start if key.startswith(AT_START))
        self.reading = Reading(self.loaded.at, None, waits)
        told = [{"key": key, "was": was, "is": now} for key, was, now in changes]
        self._log.write("info", "config_reloaded", config=self.loaded.origin, changes=told)
        for warning in self.loaded.warnings:
            self._log.write("warning", "configuration", message=warning)
        if waits:
            self._log.write("warning", "restart_needed", keys=list(waits))

    # --- files --------------------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        """Follows the files that the configuration names now."""
        self._named = named_files(self.loaded.settings, self.loaded.files, self._environ)
        self._watch.follow(self._named.all())

    def _files_changed(self, names: frozenset[str]) -> None:
        self._log.write("info", "files_changed", files=sorted(names))
        if names & (self._named.configuration | self._named.path_token):
            self._send(self._reload())
        for name in {name for file in names for name in self._named.proofs.get(file, ())}:
            self._send(self._profiles.renew(name))
        for name in {name for file in names for name in self._named.read_later.get(file, ())}:
            self._profiles.try_again(name)

    def _send(self, errand: Coroutine[Any, Any, Any]) -> None:
        """Has something done beside everything else; what is wrong with it is told by its type."""
        task = asyncio.create_task(errand)
        self._errands.add(task)
        task.add_done_callback(self._back)

    def _back(self, task: asyncio.Task[Any]) -> None:
        self._errands.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.write("error", "internal_error", error=type(error).__name__)
