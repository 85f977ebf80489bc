"""When each client asks again: arithmetic over the life that it saw. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

NEVER = math.inf


@dataclass(frozen=True, slots=True)
class Refetch:
    """
    A client asks again at the first call of its own for which one of these is true. Seconds and shares.

    `margin`: so much or less is left. `session_share`: so much of the session (Expiration less LastUpdated) or less is
    left. `seen_share`: so much of what was left at the fetch has passed. `age`: so long ago was the fetch. `each_call`:
    always.
    `pace`, for clients that look by a timer and not at a call: seconds between two looks.
    """

    margin: float = -NEVER
    session_share: float | None = None
    seen_share: float = NEVER
    age: float = NEVER
    each_call: bool = False
    pace: float | None = None

    def due(self, left: float, life: float | None) -> float:
        """
        Seconds from a fetch until the next one is due; 0: at the very next call. `left` is what the answer had left,
        `life` the length of its session where LastUpdated tells it (without it oss2 takes 3240 s for its margin).
        """
        if self.each_call:
            return 0.0
        kept = 0.0 if self.session_share is None else 3240.0 if life is None else self.session_share * life
        by_session = NEVER if self.session_share is None else left - kept
        by_seen = NEVER if self.seen_share == NEVER else self.seen_share * left
        return max(0.0, min(left - self.margin, by_session, by_seen, self.age))

    def words(self) -> str:
        """The rule in a few words."""
        if self.each_call:
            return "every call"
        parts = [
            f"at {self.margin:g} s left" if self.margin > -NEVER else "",
            f"at {self.session_share:.0%} of the session left" if self.session_share is not None else "",
            f"when {self.seen_share:.0%} of what was left has passed" if self.seen_share < NEVER else "",
            f"{self.age:g} s after the fetch" if self.age < NEVER else "",
        ]
        rule = ", or ".join(part for part in parts if part) or "never: once per process"
        return f"{rule}; looks every {self.pace:g} s" if self.pace is not None else rule


def remark(refetch: Refetch, left: float, life: float | None) -> str:
    """What a client makes of `left` seconds beyond using them; empty: nothing worth telling."""
    due = refetch.due(left, life)
    if due == 0.0:
        why = "by its nature" if refetch.each_call else f"its rule is: {refetch.words()}; {left:.0f} s are left"
        return f"asks on every call ({why})"
    if due == NEVER:
        return f"asks once per process: one that runs longer than {left:.0f} s ends with expired credentials"
    if due > left:
        return f"keeps what ends in {left:.0f} s for {due:.0f} s, so uses it expired"
    return ""
