"""
The refresh schedule: when to refresh, how long to wait after a failure, and what may still be served.

Pure arithmetic. All times and durations are in seconds.
"""

from __future__ import annotations

import math

from .errors import ConfigError
from .record import Record
from .values import Credentials

QUIET_ABOVE = 1860.0
"""
The remaining lifetime that promise 2 guarantees to clients.

Below it, a client with a margin of 1800 + 0..60 s (ack-ram-tool) requests credentials on every call.
"""

ALL_QUIET_ABOVE = 4400.0
"""The remaining lifetime above which no known client requests new credentials (largest margin: OSS Java, 4320 s)."""

ROOM_FOR_RETRIES = 300.0
"""
The time for retries between the latest start of a refresh and the limits above.

A fault that lasts this long minus `LONGEST_PAUSE_WITHOUT_SESSION` does no harm: the last attempt comes at most that
pause before the limit.
"""

SHORTEST_SESSION = 900.0
"""The minimum of STS. It is also the margin of five SDKs, which refetch such a session on every call."""

ROLLOUT_SECONDS = 60.0
"""
The age up to which a session of a roll-out is not replaced.

A roll-out takes about this long, and the account's quota is then needed by sidecars without credentials.
"""

LONGEST_PAUSE_WITHOUT_SESSION = 40.0
"""
The longest pause while there is no valid session, or one that ends soon.

10,000 sidecars need 100 s of an account's 100 calls per second. The last sidecar may pause once more after the others
have succeeded, and must be ready within 150 s (bench/fleet.py).
"""

SHORTEST_INTERVAL = 20.0
"""
The minimum time between two sessions, however short their lifetime.

Retries without a valid session come at the same pace: their longest pause is drawn from 20 to 40 s
(`LONGEST_PAUSE_WITHOUT_SESSION`).
"""

REFUSED_AT_START = (4.0, 16.0)
"""
The first and the longest pause after a definite refusal at a start, before any session was held.

A role, key or trust that was made seconds ago is refused for 10 to 30 s. Seven attempts fit into the start gate
of 60 s.
"""

UNREACHABLE_AT_START = 5.0
"""
The longest pause after an outage at a start, before any session was held: an application waits behind the gate.

A start gate of 60 s then has some 15 attempts. After an outage, the cloud refuses requests above the quota, and
throttling has pauses of its own.
"""

SHORTEST_PAUSE_WHEN_THROTTLED = 8.0
"""
The minimum first pause after throttling.

Other sidecars use up the quota then, and a call one second later takes the place of one of theirs. With a first pause
of 1 s a roll-out of 10,000 sidecars costs 4.3 calls per sidecar; with 8 s it costs 2.6 and takes no longer.
"""


class Schedule(Record, frozen=True):
    """
    The times of refreshes and retries: early for one sidecar, and spread out for ten thousand.

    `jitter` is the fraction of the session's lifetime by which a refresh may come earlier. It never comes later.

    Pauses after a failure double. They start at `min_retry`, or at 1/32 of the slack (see `slack`) if that is longer.
    They grow to half of the slack, but to `LONGEST_PAUSE_WITHOUT_SESSION` at least and `max_retry` at most. Each one is
    drawn at random from the upper half below its bound, which limits the number of calls per hour.

    `max_retry` is 240 s because of the recovery from an outage. Ten thousand sidecars that pause this long (180 s on
    average) make 56 calls per second, and an account has 100. All of them succeed within one pause, without throttling.

    Permanent errors are retried every `permanent_retry`.
    """

    jitter: float = 0.1
    min_retry: float = 1.0
    max_retry: float = 240.0
    permanent_retry: float = 300.0

    def __post_init__(self) -> None:
        if not 0 <= self.jitter <= 0.2:
            raise ConfigError(f"refresh.jitter: {self.jitter} is not between 0 and 0.2", error_code="IDS-105")
        if not 0.1 <= self.min_retry <= self.max_retry:
            raise ConfigError(
                f"refresh: minRetrySeconds {self.min_retry:g} must be at least 0.1 and not above "
                f"maxRetrySeconds {self.max_retry:g}",
                error_code="IDS-105",
            )
        if self.permanent_retry < self.max_retry:
            raise ConfigError(
                f"refresh.permanentRetrySeconds: {self.permanent_retry:g} is below maxRetrySeconds "
                f"{self.max_retry:g}; a refusal must not be retried faster than an outage",
                error_code="IDS-105",
            )

    def refresh_at(self, held: Credentials, chance: float, *, spread: bool = False) -> float:
        """
        Return the time of the next refresh: `lead` before the session's end, or earlier by the jitter.

        `spread`: other sidecars may have received their sessions at the same time (a roll-out, the end of an outage).
        The refresh is then drawn from the whole time until `lead`. This costs each sidecar one more refresh; the
        jitter alone would take half a day to spread them.

        `chance` is a random number in [0, 1).
        """
        life = held.expires_at - held.issued_at
        latest = held.expires_at - lead(life)
        if not spread:
            return latest - chance * self.jitter * life
        age = latest - held.issued_at
        alone = min(ROLLOUT_SECONDS, age / 24)
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
        left: float = 0.0,
        at_start: bool = False,
    ) -> float:
        """
        Return the seconds to wait after the `failures`-th consecutive failure.

        `slack` is the value of the function of that name, `left` the time until the held session ends. `at_start`: no
        session was ever held, and the start gate is not over.

        `hint` (Retry-After) is a lower bound. No server can delay the next attempt beyond the slowest pace of this
        schedule, nor, once the held session has ended, beyond the longest pause without one.

        `chance` is a random number in [0, 1).
        """
        if permanent and at_start:
            first, longest = REFUSED_AT_START
            return min(longest, first * 2.0 ** min(failures - 1, 30)) * (0.5 + 0.5 * chance)
        if permanent:
            return self.permanent_retry * (0.5 + 0.5 * chance)
        first = max(self.min_retry, slack / 32, SHORTEST_PAUSE_WHEN_THROTTLED if throttled else 0.0)
        longest = min(self.max_retry, max(LONGEST_PAUSE_WITHOUT_SESSION, self.min_retry, slack / 2))
        if at_start and not throttled and hint is None:
            longest = max(self.min_retry, UNREACHABLE_AT_START)
        delay = min(longest, first * 2.0 ** min(failures - 1, 30)) * (0.5 + 0.5 * chance)
        if hint is None:
            return delay
        # The server's hint and the pause together end at `bound`. A quarter of the pause stays random: otherwise a
        # whole fleet would return at one moment.
        without = min(self.max_retry, max(LONGEST_PAUSE_WITHOUT_SESSION, self.min_retry))
        bound = left + without
        wish = min(hint, self.permanent_retry, bound - without / 4)
        return wish + delay * min(1.0, (bound - wish) / longest)


def _earlier(chance: float, age: float, jitter: float) -> float:
    """
    Return how long before `age` the first refresh is due, if many sidecars received their sessions together.

    Later intervals are uniform between `age - jitter` and `age`. The first one is drawn from the equilibrium
    distribution of renewal theory: the rest of such an interval, seen from a random moment. The code inverts that
    distribution. Calls then have the same rate from the first second on, however many sidecars start at once, and no
    second wave or echo follows.
    """
    mean = age - jitter / 2
    if chance * mean < jitter / 2:
        return math.sqrt(2 * jitter * chance * mean)
    return chance * mean + jitter / 2


def lead(life: float) -> float:
    """
    Return how long before its end the refresh of a session with a lifetime of `life` must start at the latest.

    For 3600 s it is 2160 s: 300 s of retries fit before clients could see less than 1860 s. For longer sessions it is
    4700 s as soon as they allow it, and never less than a third of the lifetime: the outage that they must survive.
    """
    return max(min(0.6 * life, ALL_QUIET_ABOVE + ROOM_FOR_RETRIES), life / 3)


def horizon(life: float) -> float:
    """Return the shortest remaining lifetime that a client may see while the cloud answers, for sessions of `life`."""
    return min(QUIET_ABOVE, lead(life))


def soonest(life: float, left: float) -> float:
    """
    Return the seconds for which a new session is not replaced. `life`: its lifetime. `left`: the rest on arrival.

    If this machine's clock is ahead, every session arrives with less time left than its `lead`. Immediate replacement
    would then repeat forever. A fifth of the lifetime never delays the refresh of a complete session: its lead and the
    largest jitter leave at least that much.
    """
    return max(min(SHORTEST_INTERVAL, life / 5), left / 5)


def servable(held: Credentials | None, now: float) -> bool:
    """Return whether the session may be served: until its last second, never later."""
    return held is not None and now < held.expires_at


def slack(held: Credentials | None, now: float) -> float:
    """
    Return the seconds until a limit is crossed: first the promised lifetime (`horizon`), then the session's end.

    Returns 0 without a valid session.
    """
    if held is None or not servable(held, now):
        return 0.0
    left = held.expires_at - now
    promised = horizon(held.expires_at - held.issued_at)
    return left - promised if left > promised else left
