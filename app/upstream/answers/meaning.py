"""The meaning of an error code of the cloud."""

from __future__ import annotations

from ...core.error_index.entry import Effect
from ...core.record import Record

UNKNOWN = "IDS-300"
"""The stable code of a refusal whose own code is not in the index."""


class Meaning(Record, frozen=True):
    """The effect of one error code and its cure. `error_code`: the code of its entry in the errors index."""

    effect: Effect
    cure: str = ""
    error_code: str = UNKNOWN
