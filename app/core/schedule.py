"""When to refresh, how long to wait after a failure, what may still be served. Pure arithmetic over seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .errors import ConfigError
from .values import Credentials

QUIET_ABOVE = 1860.0
"""Remaining life below which a client of margin 1800 + 0..60 s (ack-ram-tool) asks on every call: promise 2's floor."""

ALL_QUIET_ABOVE = 4400.0
"""Remaining life above which every known client is quiet (OSS Java's 4320 s is the largest margin)."""

ROOM_FOR_RETRIES = 300.0
"""
Kept between the latest start of a refresh and the floors above.

A fault that takes all of it but `IN_NEED` does no harm: the last attempt before a floor is never further from it.
"""

SHORTEST_SESSION = 900.0
"""STS's minimum, and the margin of five SDKs at once: such a session is refetched on every call of theirs."""

LEFT_ALONE = 60.0
"""Seconds in which a new session is not replaced: the length of a roll-out, whose quota is for those with nothing."""

IN_NEED = 40.0
"""
Seconds, the longest pause while nothing valid is held, or nothing but a moment of it.

10 000 sidecars need 100 s of an account's 100 calls a second; the last of them may pause once more after the others are
through, and is to be ready within 150 s (bench/fleet.py).
"""

SOONEST = 20.0
"""Seconds, the least between two sessions, however little life they are born with: the pace of failures in need."""

CONTENDED = 8.0
"""
Seconds, the least first pause after throttling: others are at the quota, and one more call a second later is one of
theirs refused. From 1 s a roll-out of 10 000 costs 4.3 calls each, from 8 s 2.6, and is over as soon.
"""


@dataclass(frozen=True, slots=True)
class Schedule:
    """
    Refresh early, retry politely: one sidecar is served soon, and ten thousand do not move as one.

    `jitter` is the share of the session's life by which a refresh may come earlier, never later.

    Pauses after a failure double from `min_retry`, or a 32nd of the slack (`slack`) if that is longer, to half of the
    slack; they end at `IN_NEED` where there is less, and at `max_retry` in any case. Each is drawn from the upper half
    below its bound, so that an hour has a largest number of calls whatever chance says. 240 s, because ten thousand
    who all wait so long (180 s in the mean) make 56 calls a second, and an account has 100: when an outage ends, they
    are through within one pause and nobody is throttled.

    Permanent errors are probed every `permanent_retry`.
    """

    jitter: float = 0.1
    min_retry: float = 1.0
    max_retry: float = 240.0
    permanent_retry: float = 300.0

    def __post_init__(self) -> None:
        if not 0 <= self.jitter <= 0.2:
            raise ConfigError(f"refresh.jitter: {self.jitter} is not between 0 and 0.2")
        if not 0.1 <= self.min_retry <= self.max_retry:
            raise ConfigError(
                f"refresh: minRetrySeconds {self.min_retry:g} must be at least 0.1 and not above "
                f"maxRetrySeconds {self.max_retry:g}"
            )
        if self.permanent_retry < self.max_retry:
            raise ConfigError(
                f"refresh.permanentRetrySeconds: {self.permanent_retry:g} is below maxRetrySeconds "
                f"{self.max_retry:g}; a definite no must not be retried faster than an outage"
            )

    def refresh_at(self, held: Credentials, chance: float, *, spread: bool = False) -> float:
        """
        The instant at which to ask for the next session: `lead` before the end, or earlier by the jitter.

        `together`: others may have got theirs at the same time (a roll-out, the end of an outage), so this one is drawn
        from the whole time until then. It costs each of them one refresh more, and the jitter alone would take half a
        day to do it.
        """
        life = held.expires_at - held.issued_at
        latest = held.expires_at - lead(life)
        if not spread:
            return latest - chance * self.jitter * life
        age = latest - held.issued_at
        alone = min(LEFT_ALONE, age / 24)
        return latest - _earlier(chance, age, min(self.jitter * life, age)) * (1 - alone / age)

    def retry_after(
        self,
        failures: int,
        chance: float,
        *,
        permanent: bool = False,
        throttled: bool = False,
        hint: float | None = None,
        slack: float = 0.0,
    ) -> float:
        """
        Seconds to wait after the `failures`-th failure in a row, with `slack` seconds until something is lost.

        A `hint` (Retry-After) is a lower bound, itself bounded by `permanent_retry`, so that no answer can put us to
        sleep for longer than our own slowest pace.
        """
        if permanent:
            return self.permanent_retry * (0.5 + 0.5 * chance)
        first = max(self.min_retry, slack / 32, CONTENDED if throttled else 0.0)
        longest = min(self.max_retry, max(IN_NEED, self.min_retry, slack / 2))
        delay = min(longest, first * 2.0 ** min(failures - 1, 30)) * (0.5 + 0.5 * chance)
        return delay if hint is None else min(hint, self.permanent_retry) + delay


def _earlier(chance: float, age: float, jitter: float) -> float:
    """
    How much before `age` a refresh is due that follows a meeting of many.

    Intervals are uniform between `age - jitter` and `age`. If the first one is drawn as what is left of such an
    interval for who comes by at a random moment (renewal theory's equilibrium distribution, inverted here), calls come
    at the same rate from the first second on, however many start at once: there is no second wave, nor an echo of it.
    """
    mean = age - jitter / 2
    if chance * mean < jitter / 2:
        return math.sqrt(2 * jitter * chance * mean)
    return chance * mean + jitter / 2


def lead(life: float) -> float:
    """
    Seconds before its end at which a session of `life` seconds must be on its way to being replaced.

    3600 s sessions: 2160, so 300 s of retries fit before clients could see less than 1860. Longer ones: 4700 as soon
    as they allow it, and never less than a third of the life, which is the outage they ride out.
    """
    return max(min(0.6 * life, ALL_QUIET_ABOVE + ROOM_FOR_RETRIES), life / 3)


def horizon(life: float) -> float:
    """The least remaining life a reader may see of sessions of `life` seconds while the cloud answers."""
    return min(QUIET_ABOVE, lead(life))


def soonest(life: float, left: float) -> float:
    """
    Seconds for which a session of `life` seconds is not replaced, if `left` are left when it comes.

    Where this machine's clock is ahead, every session is born inside its own lead, and to replace it at once would be
    to do so for ever. A fifth is never in the way of a whole session: its lead and the largest jitter leave as much.
    """
    return max(min(SOONEST, life / 5), left / 5)


def servable(held: Credentials | None, now: float) -> bool:
    """Whether a reader may have it: to its last second, never beyond."""
    return held is not None and now < held.expires_at


def slack(held: Credentials | None, now: float) -> float:
    """
    Seconds until something is lost: the life that readers are promised (`horizon`), and after that the session.

    Nothing is left to lose, 0, where nothing valid is held.
    """
    if held is None or not servable(held, now):
        return 0.0
    left = held.expires_at - now
    promised = horizon(held.expires_at - held.issued_at)
    return left - promised if left > promised else left
