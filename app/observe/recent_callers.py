"""The callers that were served or refused last, as the audit log names them, for the status."""

from __future__ import annotations

from typing import NamedTuple

from ..core.values import Now

KEPT = 32
"""Callers remembered of each kind, served and refused. A new caller replaces the one seen longest ago."""


class Caller(NamedTuple):
    """A caller of one listener and profile. `reason`: why it was refused; empty for a caller that was served."""

    listener: str
    profile: str
    reason: str
    uid: int | None


class Seen(NamedTuple):
    """The number of times a caller got a new session or was refused, the last time, and its executable if known."""

    times: int
    at: float
    executable: str


class RecentCallers:
    """Remembers KEPT served and KEPT refused callers, so that a flood of refusals does not displace served callers."""

    def __init__(self, now: Now) -> None:
        self._now = now
        self._served: dict[Caller, Seen] = {}
        self._refused: dict[Caller, Seen] = {}

    def record(self, caller: Caller, *, executable: str | None = None, count: int = 1) -> None:
        """Record that a caller received a session for the first time, or was refused `count` times."""
        kept = self._refused if caller.reason else self._served
        before = kept.pop(caller, None)
        if before is not None:
            count, executable = before.times + count, executable or before.executable
        elif len(kept) == KEPT:
            del kept[next(iter(kept))]
        kept[caller] = Seen(count, self._now(), executable or "")

    def served(self) -> list[tuple[Caller, Seen]]:
        """Return the callers that were served, the last one first."""
        return list(reversed(self._served.items()))

    def refused(self) -> list[tuple[Caller, Seen]]:
        """Return the callers that were refused, the last one first."""
        return list(reversed(self._refused.items()))
