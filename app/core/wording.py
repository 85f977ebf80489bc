"""States and outcomes in words and tones, for the status page and the command `status`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Tone = Literal["good", "warn", "bad"]
"""The urgency of a state. A word always stands beside the colour of a tone."""

TONES: Mapping[str, Tone] = {
    "fresh": "good",
    "stale": "warn",
    "starting": "warn",
    "denied": "bad",
    "misconfigured": "bad",
    "expired": "bad",
    "dropped": "bad",
}
"""The tone of each state of a profile."""


def verdict(status: Mapping[str, Any]) -> tuple[str, Tone]:
    """Return the state of a whole sidecar and its tone, from its status."""
    if status.get("stopping"):
        return "stopping", "warn"
    return ("ready", "good") if status["ready"] else ("not ready", "bad")


OUTCOMES: Mapping[str, str] = {
    "success": "succeeded",
    "refused": "refused by the cloud",
    "unreachable": "no usable answer",
    "config": "wrong configuration",
    "waiting": "waited for a file that is not there yet",
    "internal": "internal error",
}
"""The outcome of an attempt, by its label in the metrics."""
