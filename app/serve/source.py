"""A profile's credentials as two protocols for the handlers, so that `serve` does not import `refresh`."""

from __future__ import annotations

from typing import Protocol

from ..core.clocks import Clocks
from ..core.values import Credentials, Status


class HeldSession(Protocol):
    """A session in memory. The session may have expired: `left` is then zero or less."""

    @property
    def credentials(self) -> Credentials: ...

    @property
    def promised(self) -> float:
        """The least remaining seconds that a reader sees while the cloud answers (promise 2 of RELIABILITY.md)."""

    def left(self, clocks: Clocks) -> float:
        """Return the seconds for which the session may still be served; zero or less if it has expired."""


class Source(Protocol):
    """One profile's credentials. No member blocks; only `settled` waits."""

    @property
    def profile(self) -> str: ...

    @property
    def held(self) -> HeldSession | None:
        """The session in memory, or None before the first one and after `purge`."""

    @property
    def status(self) -> Status: ...

    @property
    def healthy(self) -> bool:
        """Whether the last refresh succeeded."""

    def credentials(self) -> Credentials:
        """Return the held credentials. Raises NoCredentials, with the seconds until the next attempt."""

    def overdue(self) -> bool:
        """Start a refresh if the held session has expired although the cloud answered last time."""

    async def settled(self) -> None:
        """Wait until the refresh under way has ended; return at once if there is none."""
