"""Step `session`: the session's length against the margins at which known clients fetch credentials again."""

from __future__ import annotations

from ...core.schedule import horizon
from ...core.values import Credentials
from ..finding import Step, warning

NAME = "session"

MARGINS = (180.0, 900.0, 1200.0)
"""
Seconds left at which known clients fetch again (docs/clients.md; the models of `conformance` have the same).

Three clients have margins of 1 860 s and more, which no session of 3 600 s satisfies; they are left out.
"""


def run(name: str, credentials: Credentials) -> Step:
    """Compare the shortest remaining lifetime that a client sees, while the cloud answers, with the margins."""
    length = credentials.expires_at - credentials.issued_at
    least = horizon(length)
    missed = [margin for margin in MARGINS if margin >= least]
    found = []
    if missed:
        found.append(
            warning(
                "IDS-435",
                f"sessions of {length:.0f} s: clients see {least:.0f} s left at times, and those with a margin of "
                f"{', '.join(f'{each:.0f}' for each in missed)} s then fetch on every call",
                "set durationSeconds to 3600, and the role's MaxSessionDuration to at least that",
            )
        )
    return Step(NAME, f"{length:.0f} s; clients see at least {least:.0f} s left", name, found)
