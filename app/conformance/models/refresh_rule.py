"""When a client fetches credentials again, as a function of the lifetime that it sees. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

NEVER = math.inf

OSS2_DEFAULT_MARGIN = 3240.0
"""Seconds left at which oss2 refreshes if the response has no LastUpdated."""


@dataclass(frozen=True, slots=True)
class RefreshRule:
    """
    The conditions under which a client fetches credentials again. Checked at each call of its application.

    `margin`: at most this many seconds are left. `session_fraction`: at most this fraction of the session (Expiration
    minus LastUpdated) is left. `elapsed_fraction`: this fraction of the seconds left at the last fetch has passed.
    `max_age`: the last fetch was this many seconds ago. `every_call`: always.
    `poll_interval`: seconds between two checks, for clients that check by a timer and not at a call.
    """

    margin: float = -NEVER
    session_fraction: float | None = None
    elapsed_fraction: float = NEVER
    max_age: float = NEVER
    every_call: bool = False
    poll_interval: float | None = None

    def seconds_until_due(self, seconds_left: float, session_seconds: float | None) -> float:
        """
        Return the seconds from a fetch until the next one is due. 0: at the next call.

        `seconds_left` is what the response had left. `session_seconds` is the length of its session; None: the response
        has no LastUpdated.
        """
        if self.every_call:
            return 0.0
        by_session = NEVER
        if self.session_fraction is not None:
            margin = OSS2_DEFAULT_MARGIN if session_seconds is None else self.session_fraction * session_seconds
            by_session = seconds_left - margin
        by_elapsed = NEVER if self.elapsed_fraction == NEVER else self.elapsed_fraction * seconds_left
        return max(0.0, min(seconds_left - self.margin, by_session, by_elapsed, self.max_age))

    def describe(self) -> str:
        """Describe the rule in a few words."""
        if self.every_call:
            return "every call"
        parts = [
            f"at {self.margin:g} s left" if self.margin > -NEVER else "",
            f"at {self.session_fraction:.0%} of the session left" if self.session_fraction is not None else "",
            f"after {self.elapsed_fraction:.0%} of the remaining lifetime" if self.elapsed_fraction < NEVER else "",
            f"{self.max_age:g} s after the fetch" if self.max_age < NEVER else "",
        ]
        rule = ", or ".join(part for part in parts if part) or "never, one fetch per process"
        return f"{rule}; checks every {self.poll_interval:g} s" if self.poll_interval is not None else rule


def lifetime_remark(rule: RefreshRule, seconds_left: float, session_seconds: float | None) -> str:
    """Return what a user must know about this client and credentials with `seconds_left`. Empty: nothing."""
    due = rule.seconds_until_due(seconds_left, session_seconds)
    if due == 0.0:
        why = "it keeps none" if rule.every_call else f"it refreshes {rule.describe()}; {seconds_left:.0f} s are left"
        return f"fetches credentials on every call ({why})"
    if due == NEVER:
        return (
            f"fetches credentials once per process: a process that runs longer than {seconds_left:.0f} s "
            "ends with expired credentials"
        )
    if due > seconds_left:
        return f"keeps credentials that expire in {seconds_left:.0f} s for {due:.0f} s and uses them after expiry"
    return ""
