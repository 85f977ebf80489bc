"""A session in memory: how long it may be served, and what readers were promised of it."""

from __future__ import annotations

from ..core.clocks import Clocks
from ..core.record import Record
from ..core.schedule import horizon
from ..core.values import Credentials


class HeldSession(Record, frozen=True):
    """
    A session as it is served.

    `ends`: the end of its life as the cloud counts it, by the monotonic clock. `promised`: with fewer seconds left, a
    reader sees less than promise 2 says.
    """

    credentials: Credentials
    ends: float
    promised: float

    @property
    def expires_at(self) -> float:
        """The end of the session by the wall clock."""
        return self.credentials.expires_at

    def left(self, clocks: Clocks) -> float:
        """
        Return the seconds for which the session may still be served; zero or less where it may not.

        The earlier of two ends counts: a wall clock that is set back or wrong would prolong a session, and so would a
        monotonic clock that stood still while the machine slept.
        """
        return min(self.expires_at - clocks.wall(), self.ends - clocks.monotonic())


def hold(credentials: Credentials, clocks: Clocks) -> HeldSession:
    """Return credentials that were issued just now, as a held session. `issued_at` is by the cloud's clock."""
    life = credentials.expires_at - credentials.issued_at
    return HeldSession(credentials, clocks.monotonic() + life, horizon(life))


def hold_restored(credentials: Credentials, clocks: Clocks) -> HeldSession:
    """Return credentials from before a restart as a held session; `ends` is never later than a whole life from now."""
    left = credentials.expires_at - clocks.wall()
    life = credentials.expires_at - credentials.issued_at
    return HeldSession(credentials, clocks.monotonic() + min(left, life), horizon(life))
