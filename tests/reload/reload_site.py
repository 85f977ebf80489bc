"""A configuration file, the reloader of it, and what the reloader does."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from app.config.loader import Loaded, load
from app.config.settings import Access
from app.core.errors import ConfigError
from app.observe.log import Log
from app.refresh.profiles import Profiles
from app.reload import Reloader
from app.system.disk import Disk
from app.system.file_watch import PAUSE, QUIET
from app.system.inotify import Inotify
from app.system.runtime_dir import KeptKey
from app.system.survey import Survey

from ..clock import Clock
from ..conftest import configuration, exchange, identity

CHECKED = QUIET + 2 * PAUSE
"""Seconds until a check that is wanted now has ended. It is less than POLL: a check that is not wanted comes later."""


class RecordingProfiles:
    """Records which profiles are renewed, and which are retried."""

    def __init__(self) -> None:
        self.orders: list[str] = []

    async def renew(self, name: str) -> None:
        """Record a refresh with a new token."""
        self.orders.append(f"renew {name}")

    def retry(self, name: str) -> None:
        """Record the retry of a failed profile."""
        self.orders.append(f"retry {name}")


class Site:
    """A configuration file, the reloader of it, and what the reloader does."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self.directory, self.clock = directory, clock
        self.stream = io.StringIO()
        self.profiles = RecordingProfiles()
        self.adopted: list[tuple[Loaded, str | None]] = []
        self.session_keys: list[KeptKey] = []
        self.error: Exception | None = None
        self.reads = 0
        self.noticed_before_read: list[list[str]] = []
        self.endless: set[asyncio.Task[Any]] = set()
        self.after_refusal: Callable[[], None] = lambda: None
        self.reloader: Reloader

    def write(self, config: dict[str, Any]) -> None:
        """Write the configuration file."""
        (self.directory / "config.json").write_text(json.dumps(config))

    def load(self) -> Loaded:
        """Read the configuration file."""
        self.reads += 1
        self.noticed_before_read = self.changed_files()
        path = str(self.directory / "config.json")
        try:
            return load(path, self.environ, hostname="host-1", now=self.clock.time)
        except ConfigError:
            self.after_refusal()
            raise

    @property
    def environ(self) -> dict[str, str]:
        """The environment of the sidecar."""
        return {"HOME": str(self.directory), "IDAAS_SECRET": "s3cr3t-0123456789", "K": f"{'A' * 43}="}

    def build(
        self, config: dict[str, Any], *, reads: bool = True, open_inotify: Callable[[], Inotify] = Inotify
    ) -> Reloader:
        """Return the reloader of a configuration; without `reads` it cannot read another one."""
        self.write(config)
        log = Log(self.stream, level="info", json_lines=True, now=self.clock.time)
        self.reloader = Reloader(
            self.load(),
            self.load if reads else None,
            self.environ,
            log,
            cast(Profiles, self.profiles),
            path_token=self._path_token,
            session_key=lambda access: KeptKey(access.metadata_tokens.encode()),
            adopt=self._adopt,
            disk=Disk(),
            survey=Survey(),
            open_inotify=open_inotify,
        )
        self.reads = 0
        return self.reloader

    def _path_token(self, access: Access) -> str | None:
        if access.max_connections == 601:
            raise ConfigError("access.pathToken: no token")
        return f"token of {access.max_connections}"

    def _adopt(self, loaded: Loaded, token: str | None, session_key: KeptKey) -> None:
        if self.error is not None:
            raise self.error
        self.adopted.append((loaded, token))
        self.session_keys.append(session_key)

    async def start(self) -> None:
        """Start the reloader, and return when its first check of the files has ended."""
        before = asyncio.all_tasks()
        await self.reloader.start()
        self.endless = asyncio.all_tasks() - before
        await self.quiet()

    async def stop(self) -> None:
        """Stop the reloader. Raises TimeoutError if a task goes on."""
        async with asyncio.timeout(60):
            await self.reloader.stop()

    async def reload(self) -> None:
        """Reload, and return when everything that the reload starts has ended."""
        self.reloader.reload()
        await self.quiet()

    async def quiet(self) -> None:
        """Return when nothing that the reloader started is under way, except for its endless watch."""
        if self.endless:
            await asyncio.sleep(CHECKED)
        while others := asyncio.all_tasks() - {asyncio.current_task()} - self.endless:
            await asyncio.wait(cast("set[asyncio.Task[None]]", others))
        await asyncio.sleep(0)

    def lines(self) -> list[dict[str, Any]]:
        """Return the log lines, without their time and their sentence, unless that is the event's only field."""
        found = [json.loads(line) for line in self.stream.getvalue().splitlines()]
        for line in found:
            del line["timestamp"], line["level"]
            if line["event"] != "configuration":
                del line["message"]
        return found

    def events(self) -> list[str]:
        """Return the names of the logged events."""
        return [line["event"] for line in self.lines()]

    def changed_files(self) -> list[list[str]]:
        """Return the names of the changed files in each report, without their directory."""
        reports = [line["files"] for line in self.lines() if line["event"] == "files_changed"]
        return [[str(Path(file).relative_to(self.directory)) for file in files] for files in reports]


def changed(**changes: Any) -> dict[str, Any]:
    """Return the default configuration with changes of its profile."""
    return configuration(profiles={"default": {"identity": identity(), "exchange": exchange()} | changes})
