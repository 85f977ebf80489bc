"""Three clocks: this machine's wall clock, which can jump; its monotonic clock, which cannot; and the cloud's clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from .record import Record
from .values import Now

JUMP = 5.0
"""Seconds by which the wall clock may differ from the monotonic clock between two checks. Slewing causes less, and a
difference of this size does no harm."""

CHECK_SECONDS = 30.0
"""Seconds between two checks for a clock that was set or a machine that slept. A reader may detect either earlier."""

EXACTNESS = 2.0
"""Seconds of difference to the cloud that count as none: a Date header has whole seconds, and takes time to arrive."""

AGREEMENT = 5.0
"""Seconds by which the clocks of servers may differ and still agree: twice EXACTNESS, and some drift."""

LARGEST_OFFSET = 7 * 86_400.0
"""Seconds. A server whose Date differs by more is wrong itself: with such a clock, this machine would fail at TLS."""

MOST_SERVERS = 4_096
"""The most servers whose clocks are remembered: more than one process uses."""


class Clocks(Record, frozen=True):
    """The sources of time. `monotonic` stands still while the machine sleeps, and cannot be set."""

    wall: Now = time.time
    monotonic: Now = time.monotonic

    @property
    def apart(self) -> float:
        """The wall clock minus the monotonic clock. It changes when the clock is set, or the machine sleeps."""
        return self.wall() - self.monotonic()


class JumpDetector:
    """Detects whether the wall clock was set, or the machine slept, since the last check."""

    def __init__(self, clocks: Clocks) -> None:
        self._clocks = clocks
        self._apart = clocks.apart

    def jumped(self) -> float | None:
        """Return the seconds by which the wall clock has jumped since the last check; None if it has not."""
        before, self._apart = self._apart, self._clocks.apart
        moved = self._apart - before
        return moved if abs(moved) > JUMP else None


async def watch_jumps(clocks: Clocks, jumped: Callable[[float], None]) -> None:
    """Call `jumped` with the seconds by which the wall clock has jumped, until cancelled."""
    detector = JumpDetector(clocks)
    while True:
        await asyncio.sleep(CHECK_SECONDS)
        moved = detector.jumped()
        if moved is not None:
            jumped(moved)


class CloudClock:
    """
    The clocks of the cloud's servers, from their `Date` headers, for all times that a server compares with its clock.

    A server's clock is used for requests to that server. For a server whose time is not known yet, the other servers
    count if those of two or more hosts are known and all agree: then this machine's clock is wrong. Otherwise, and
    after a jump of the wall clock, this machine's time is used. Servers are named by host and port
    (`urls.server_of`). The ports of one host have one clock.
    """

    def __init__(self, clocks: Clocks) -> None:
        self._clocks = clocks
        self._offsets: dict[str, tuple[float, float]] = {}
        """The offset of each server, and the value of `Clocks.apart` when the offset was learnt."""

    def learn(self, server: str, offset: float) -> None:
        """Use `offset`, the server's clock minus the wall clock, from an answer just now. Ignore an absurd offset."""
        self._offsets.pop(server, None)
        if abs(offset) > LARGEST_OFFSET:
            return
        if len(self._offsets) >= MOST_SERVERS:
            self._offsets.clear()
        self._offsets[server] = (offset if abs(offset) >= EXACTNESS else 0.0, self._clocks.apart)

    def is_synchronised(self, server: str = "") -> bool:
        """Return whether `now` is synchronised with the server's clock; without a name, with all servers' clocks."""
        return self._offset(server) is not None

    def now(self, server: str = "") -> float:
        """
        Return the server's time; without a name, the time of all servers.

        The time is exact to about a second if it is synchronised.
        """
        return self._clocks.wall() + (self._offset(server) or 0.0)

    def _offset(self, server: str) -> float | None:
        known = self._known()
        if server in known:
            return known[server]
        offsets = sorted(known.values())
        hosts = {name.rpartition(":")[0] or name for name in known}
        agreed = len(hosts) > 1 and offsets[-1] - offsets[0] <= AGREEMENT
        return offsets[len(offsets) // 2] if agreed else None

    def _known(self) -> dict[str, float]:
        """Return the valid offsets: those learnt since the wall clock was set last."""
        apart = self._clocks.apart
        return {server: offset for server, (offset, then) in self._offsets.items() if abs(apart - then) <= JUMP}
