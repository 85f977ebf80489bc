"""Step `clock`: this machine's clock compared with the `Date` headers of the servers."""

from __future__ import annotations

from collections.abc import Mapping

from ...observe.event_log import CLOCK_TOLERANCE
from ..finding import Step, skipped, warning

NAME = "clock"


def run(offsets: Mapping[str, float]) -> Step:
    """Examine the offset of each server: the server's clock minus this machine's clock, in seconds."""
    if not offsets:
        return skipped(NAME, "no server has answered")
    found = [
        warning("IDS-214", f"this machine's clock is {abs(offset):.0f} s {_direction(offset)} that of {server}")
        for server, offset in offsets.items()
        if abs(offset) > CLOCK_TOLERANCE
    ]
    largest = max(map(abs, offsets.values()))
    facts = {"offsets": {server: round(offset) for server, offset in offsets.items()}}
    return Step(NAME, f"at most {largest:.0f} s from the servers' clocks", findings=found, facts=facts)


def _direction(offset: float) -> str:
    return "behind" if offset > 0 else "ahead of"
