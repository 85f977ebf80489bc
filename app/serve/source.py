"""What the handlers need of a profile's credentials: two protocols, so that `serve` imports nothing of `refresh`."""

from __future__ import annotations

from typing import Protocol

from ..core.clocks import Clocks
from ..core.values import Credentials, Status


class HeldSession(Protocol):
    """A session in memory; it may have expired, which `left` tells."""

    @property
    def credentials(self) -> Credentials: ...

    @property
    def promised(self) -> float:
        """The least remaining seconds that a reader sees while the cloud answers (promise 2)."""

    def left(self, clocks: Clocks) -> float:
        """Return the seconds for which the session may still be served; zero or less where it may not."""


class Source(Protocol):
    """One profile's credentials. No member blocks; `settled` is the one that waits."""

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
        """Return when the refresh under way has ended; at once if there is none."""
