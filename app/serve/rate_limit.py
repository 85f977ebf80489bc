"""The request rate of one caller: a token bucket per uid, and one shared by all callers whose uid is unknown."""

from __future__ import annotations

from collections import OrderedDict

from ..core.values import Now
from .peers.peer import Peer

MOST_CALLERS = 1_024
"""Buckets kept. The bucket unused for longest is dropped, and its owner starts again with a full one."""


class RateLimit:
    """At most `per_second` requests a second from one caller, in bursts of at most one second's worth (at least 1)."""

    def __init__(self, per_second: float, now: Now) -> None:
        self.per_second = per_second
        self._burst = max(1.0, per_second)
        self._now = now
        self._buckets: OrderedDict[int | None, tuple[float, float]] = OrderedDict()

    def allows(self, peer: Peer) -> bool:
        """Take one request from the caller's bucket; return False if the bucket is empty."""
        uid = peer.uid
        now = self._now()
        left, at = self._buckets.pop(uid, (self._burst, now))
        left = min(self._burst, left + max(0.0, now - at) * self.per_second)
        allowed = left >= 1.0
        self._buckets[uid] = (left - 1.0 if allowed else left, now)
        if len(self._buckets) > MOST_CALLERS:
            self._buckets.popitem(last=False)
        return allowed
