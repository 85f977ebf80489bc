"""The orders of the admin socket: refresh a profile now, drop its credentials, change the log level."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from .observe import log_events
from .observe.log import Log
from .refresh.profiles import Profiles
from .report import Report
from .store.session_store import SessionStore


class Orders:
    """Carries out orders one after another. `busy` is held meanwhile, and during a restore from the cache."""

    def __init__(
        self, profiles: Profiles, stores: Callable[[], Sequence[SessionStore]], report: Report, log: Log
    ) -> None:
        self.busy = asyncio.Lock()
        self._profiles = profiles
        self._stores = stores
        self._report = report
        self._log = log

    async def renew(self, name: str, purge: bool) -> dict[str, Any]:
        """Refresh a profile now, after dropping its credentials if `purge`; return its status afterwards."""
        async with self.busy:
            if name not in self._profiles:
                return _removed(name)
            if purge:
                self._profiles.refresher(name).purge()
                for store in self._stores():
                    await store.remove(name)
            self._log.write(log_events.PURGED if purge else log_events.REFRESH_ORDERED, profile=name)
            await self._profiles.renew(name)
            if name not in self._profiles:
                return _removed(name)
            return self._report.profile(self._profiles.refresher(name).status)

    def set_level(self, level: str) -> None:
        """Set the log level until the next reload or start. Raises ValueError for an unknown level."""
        self._log.set_level(level)
        self._log.write(log_events.LOG_LEVEL_CHANGED, now=level)


def _removed(name: str) -> dict[str, Any]:
    """Return the status of a profile that existed when the order came."""
    error = "the profile was removed from the configuration"
    return {"profile": name, "last_error": error, "permanent": True, "expires_at": None}
