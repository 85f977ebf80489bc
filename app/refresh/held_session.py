"""A session in memory: how long it may be served, and the remaining lifetime that readers may rely on."""

from __future__ import annotations

from ..core.clocks import Clocks
from ..core.record import Record
from ..core.schedule import horizon
from ..core.values import Credentials


class HeldSession(Record, frozen=True):
    """
    A session as it is served.

    `monotonic_end`: the end that the cloud has set, by the monotonic clock. `promised`: the least remaining seconds
    that promise 2 of RELIABILITY.md allows.
    """

    credentials: Credentials
    monotonic_end: float
    promised: float

    @property
    def expires_at(self) -> float:
        """The end of the session by the wall clock."""
        return self.credentials.expires_at

    def left(self, clocks: Clocks) -> float:
        """
        Return the seconds for which the session may still be served; zero or less if it has expired.

        The earlier of two ends counts. A wall clock that is set back or wrong would prolong a session. So would the
        monotonic clock, which stands still while the machine sleeps.
        """
        return min(self.expires_at - clocks.wall(), self.monotonic_end - clocks.monotonic())


def hold(credentials: Credentials, clocks: Clocks) -> HeldSession:
    """Return credentials that were issued just now, as a held session. Their `issued_at` is the cloud's time."""
    life = credentials.expires_at - credentials.issued_at
    return HeldSession(credentials, clocks.monotonic() + life, horizon(life))


def hold_restored(credentials: Credentials, clocks: Clocks) -> HeldSession:
    """Return credentials from before a restart as a held session, which ends at most a whole lifetime from now."""
    left = credentials.expires_at - clocks.wall()
    life = credentials.expires_at - credentials.issued_at
    return HeldSession(credentials, clocks.monotonic() + min(left, life), horizon(life))
