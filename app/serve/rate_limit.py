"""How often one caller may ask: a token bucket for each uid, and one for all of whom nobody knows the uid."""

from __future__ import annotations

from collections import OrderedDict

from ..core.model import Now
from .peers.peer import Visitor

MOST_CALLERS = 1_024
"""Buckets kept; the one untouched for longest goes, and its owner begins anew with a full one."""


class Rate:
    """At most `per_second` requests a second from one caller, in bursts of at most a second's worth (at least one)."""

    def __init__(self, per_second: float, now: Now) -> None:
        self._per_second = per_second
        self._burst = max(1.0, per_second)
        self._now = now
        self._buckets: OrderedDict[int | None, tuple[float, float]] = OrderedDict()

    def allows(self, visitor: Visitor) -> bool:
        """Takes one from the caller's bucket, if there is one in it."""
        uid = visitor.uid
        now = self._now()
        left, at = self._buckets.pop(uid, (self._burst, now))
        left = min(self._burst, left + max(0.0, now - at) * self._per_second)
        allowed = left >= 1.0
        self._buckets[uid] = (left - 1.0 if allowed else left, now)
        if len(self._buckets) > MOST_CALLERS:
            self._buckets.popitem(last=False)
        return allowed
