"""Counters as plain numbers, incremented at each event and read at a scrape. No metrics library."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

from ..core.clocks import LARGEST_OFFSET
from ..core.errors import NotThereYet, SidecarError
from ..core.events import ClockRead, Event, IdentityExpiry, Interrupted, Refreshed, RefreshFailed, StageTimed
from ..core.values import Now

REQUEST_BUCKETS = (0.0001, 0.001, 0.01, 0.1, 1.0, 5.0)
"""Upper bounds in seconds: an answer from memory takes some 10 µs, and a cold start waits for at most 4 s."""

MOST_CODES = 64
"""The most error codes used as labels. IDaaS, STS and the DeveloperAPI document some 50."""

STAGE_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds in seconds: a connection to the cloud has limits of 5 s to connect and 10 s to the next byte."""


@dataclass(slots=True)
class Histogram:
    """Counts per bucket, and the sum of the values. The last bucket counts all values above the bounds."""

    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class RequestCounters:
    """Requests of the credential listeners. Labels come only from the configuration and from route names."""

    def __init__(self, now: Now) -> None:
        self._now = now
        self.requests: Counter[tuple[str, str, int, str]] = Counter()
        self.durations: dict[tuple[str, str], Histogram] = {}
        self.denied: Counter[str] = Counter()
        self.last_served: dict[str, float] = {}
        self.violations: Counter[str] = Counter()

    def served(self, profile: str, below_horizon: bool) -> None:
        """Count served credentials. `below_horizon`: their lifetime is below promise 2, although the cloud answers."""
        self.last_served[profile] = self._now()
        if below_horizon:
            self.violations[profile] += 1

    def answered(self, listener: str, endpoint: str, code: int, profile: str, seconds: float) -> None:
        """Count an answer."""
        self.requests[listener, endpoint, code, profile] += 1
        histogram = self.durations.get((listener, endpoint))
        if histogram is None:
            histogram = self.durations[listener, endpoint] = Histogram(REQUEST_BUCKETS)
        histogram.add(seconds)


class RefreshCounters:
    """Refreshes, counted from their events."""

    def __init__(self, now: Now) -> None:
        self._now = now
        self.refreshes: Counter[tuple[str, str]] = Counter()
        self.failures: Counter[tuple[str, str, str]] = Counter()
        self.interruptions: Counter[str] = Counter()
        self.stages: dict[tuple[str, str], Histogram] = {}
        self.last_refresh: dict[str, float] = {}
        self.identity_expiries: dict[tuple[str, str], float] = {}
        self.clock_offset: float | None = None
        self._codes: set[str] = set()

    def observe(self, event: Event) -> None:
        """Count the refresh, stage or failure that the event reports."""
        match event:
            case Refreshed(profile=profile):
                self.refreshes[profile, "success"] += 1
                self.last_refresh[profile] = self._now()
            case RefreshFailed(profile=profile, error=error):
                self.refreshes[profile, outcome(error)] += 1
                self.failures[profile, *self._cause(error)] += 1
            case StageTimed(profile=profile, stage=stage, seconds=seconds):
                self.stages.setdefault((profile, stage), Histogram(STAGE_BUCKETS)).add(seconds)
            case Interrupted(profile=profile):
                self.interruptions[profile] += 1
            case ClockRead(offset=offset):
                self._clock(offset)
            case IdentityExpiry(profile=profile, kind=kind, not_after=instant):
                self.identity_expiries[profile, kind] = instant
            case _:
                pass

    def _cause(self, error: Exception) -> tuple[str, str]:
        """Return stage and code of a failure as labels. After MOST_CODES different codes, a new code is `other`."""
        if not isinstance(error, SidecarError):
            return "", outcome(error)
        code = error.code or (str(error.status) if error.status else outcome(error))
        if code not in self._codes:
            if len(self._codes) == MOST_CODES:
                return error.stage, "other"
            self._codes.add(code)
        return error.stage, code

    def _clock(self, offset: float) -> None:
        """Keep the offset of the last server. Keep an absurd offset only until a plausible one is known."""
        before = self.clock_offset
        if abs(offset) <= LARGEST_OFFSET or before is None or abs(before) > LARGEST_OFFSET:
            self.clock_offset = offset


def outcome(error: Exception) -> str:
    """Return a failed refresh as a label: `refused`, `unreachable`, `config`, `waiting` (for a file) or `internal`."""
    if isinstance(error, NotThereYet):
        return "waiting"
    return type(error).__name__.lower().removesuffix("error") if isinstance(error, SidecarError) else "internal"
