"""When to refresh, how long to wait after a failure, what may still be served. Pure arithmetic over seconds."""

from __future__ import annotations

from dataclasses import dataclass

from .model import ConfigError, Credentials

QUIET_ABOVE = 1860.0
"""Remaining life below which a client of margin 1800 + 0..60 s (ack-ram-tool) asks on every call: promise 2's floor."""

ALL_QUIET_ABOVE = 4400.0
"""Remaining life above which every known client is quiet (OSS Java's 4320 s is the largest margin)."""

ROOM_FOR_RETRIES = 300.0
"""Kept between the latest start of a refresh and the floors above: some ten attempts at the default back-off."""

SHORTEST_SESSION = 900.0
"""STS's minimum, and the margin of five SDKs at once: such a session is refetched on every call of theirs."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """
    Refresh early, retry politely.

    `jitter` is the share of the session's life by which a refresh may come earlier, never later. Retries are
    exponential from `min_retry` to `max_retry` with full jitter; permanent errors are probed every `permanent_retry`.
    """

    jitter: float = 0.1
    min_retry: float = 1.0
    max_retry: float = 60.0
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

    def refresh_at(self, held: Credentials, chance: float) -> float:
        """The instant at which to ask for the next session: `lead` before the end, or earlier by the jitter."""
        life = held.expires_at - held.issued_at
        return held.expires_at - lead(life) - chance * self.jitter * life

    def retry_after(self, failures: int, chance: float, *, permanent: bool = False, hint: float | None = None) -> float:
        """
        Seconds to wait after the `failures`-th failure in a row.

        A `hint` (Retry-After) is a lower bound, itself bounded by `permanent_retry`, so that no answer can put us to
        sleep for longer than our own slowest pace.
        """
        if permanent:
            return self.permanent_retry * (0.5 + 0.5 * chance)
        ceiling = min(self.max_retry, self.min_retry * 2.0 ** min(failures - 1, 30))
        delay = max(0.1, chance * ceiling)
        if hint is None:
            return delay
        return min(hint, self.permanent_retry) + delay


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


def servable(held: Credentials | None, now: float) -> bool:
    """Whether a reader may have it: to its last second, never beyond."""
    return held is not None and now < held.expires_at
