"""The orders of the admin socket: refresh a profile, drop or hand out its credentials, change the log level."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from .core.values import Credentials
from .observe import log_events
from .observe.log import Log
from .refresh.profiles import Profiles
from .report import Report
from .store.session_store import SessionStore

FIRST_CREDENTIALS_SECONDS = 30.0
"""Seconds that `get` waits at most for the first credentials: two attempts, each with one request's time limits."""


class Orders:
    """
    Carries out orders. Handles the profiles of an order concurrently, so that one that hangs delays no other.

    All work of an order is started before its first `await`. A client that disconnects ends only its own wait, and
    clients that repeat an order and disconnect do not start the work again.
    """

    def __init__(
        self, profiles: Profiles, stores: Callable[[], Sequence[SessionStore]], report: Report, log: Log
    ) -> None:
        self._profiles = profiles
        self._stores = stores
        self._report = report
        self._log = log

    async def renew(self, names: Sequence[str], purge: bool, uid: int) -> list[dict[str, Any]]:
        """
        Refresh profiles now, after dropping their credentials if `purge`; return the status of each afterwards.

        `config_error` of a status says why a changed configuration was refused: the previous one was refreshed. `uid`:
        the user who gave the order, for the log. No dropped session is served after the first `await`.
        """
        known = [name for name in names if name in self._profiles]
        if purge:
            for name in known:
                self._profiles.purge(name)
        # Removals first: a store writes a session that arrives later after its removal.
        waits = [store.remove(name) for store in self._stores() for name in known] if purge else []
        waits += [self._profiles.renew(name) for name in known]
        for name in known:
            self._log.write(log_events.PURGED if purge else log_events.REFRESH_ORDERED, profile=name, uid=uid)
        await asyncio.gather(*waits)
        return [self._status(name) for name in names]

    async def give_credentials(self, name: str, uid: int) -> Credentials:
        """
        Return the profile's credentials to the user `uid`, whom the log names.

        Waits up to FIRST_CREDENTIALS_SECONDS for the first credentials. Raises NoCredentials.
        """
        refresher = self._profiles.refresher(name)
        if refresher.held is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(refresher.settled(), FIRST_CREDENTIALS_SECONDS)
        credentials = refresher.credentials()
        self._log.write(log_events.GIVEN, profile=name, uid=uid)
        return credentials

    def _status(self, name: str) -> dict[str, Any]:
        if name not in self._profiles:
            return _removed(name)
        return self._report.refreshed(self._profiles.refresher(name))

    def set_level(self, level: str, uid: int) -> None:
        """Set the log level until the next reload or start. `uid`: the user, for the log. Raises ValueError."""
        self._log.set_level(level)
        self._log.write(log_events.LOG_LEVEL_CHANGED, now=level, uid=uid)


def _removed(name: str) -> dict[str, Any]:
    """Return the status of a profile that was removed after the order arrived."""
    error = "the profile was removed from the configuration"
    failure = {"message": error, "error_code": "IDS-120"}
    return {"profile": name, "last_error": error, "permanent": True, "failure": failure, "expires_at": None}
