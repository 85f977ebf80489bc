"""States and outcomes in words and tones, for the status page and the command `status`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Tone = Literal["good", "warn", "bad"]
"""How urgent a state is. A word always stands beside the colour of a tone."""

TONES: Mapping[str, Tone] = {
    "fresh": "good",
    "stale": "warn",
    "starting": "warn",
    "denied": "bad",
    "expired": "bad",
    "dropped": "bad",
}
"""The tone of each state of a profile."""

OUTCOMES: Mapping[str, str] = {
    "success": "succeeded",
    "refused": "refused by the cloud",
    "unreachable": "no usable answer",
    "config": "wrong configuration",
    "internal": "internal error",
}
"""The outcome of an attempt, by its label in the metrics."""
