"""What an error code of the cloud means."""

from __future__ import annotations

from ..core.error_index.entry import Effect
from ..core.record import Record

UNKNOWN = "IDS-300"
"""The stable code of a refusal whose own code is not in the index."""


class Meaning(Record, frozen=True):
    """What one error code means, and how to fix its cause. `error_code`: its entry in the errors index."""

    effect: Effect
    cure: str = ""
    error_code: str = UNKNOWN
