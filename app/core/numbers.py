"""Numbers from another party's JSON."""

from __future__ import annotations

from typing import Any

LATEST = 1e11
"""Seconds since the epoch: the year 5138. A larger number is not an instant, and may not even fit into a float."""


def seconds(value: Any) -> float | None:
    """Return a member of a JSON object as seconds, from 0 to LATEST; None for everything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < LATEST:
        return None
    return float(value)
