"""The start-up gate, and the required profiles that still lack credentials."""

from __future__ import annotations

from collections.abc import Sequence

from ...core.values import Now, Status
from ..source import Source


class Gate:
    """The start-up gate; once open it stays open."""

    def __init__(self, kind: str, *, timeout: float, started_at: float, sources: Sequence[Source], now: Now) -> None:
        self._kind = kind
        self._until = started_at + timeout
        self._sources = sources
        self._now = now
        self._opened = kind == "listening"

    def open(self) -> bool:
        """
        Whether the gate has opened.

        Mode `listening`: it is always open. `credentials`: it opens when every required profile is usable. `timeout`:
        as `credentials`, but at the latest when the time limit has passed.
        """
        if not self._opened:
            self._opened = not missing(self._sources) or (self._kind == "timeout" and self._now() >= self._until)
        return self._opened


def missing(sources: Sequence[Source]) -> list[Status]:
    """Return the status of each required profile that has no usable credentials."""
    return [status for status in (item.status for item in sources) if status.required and not status.usable]
