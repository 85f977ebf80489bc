"""The results of a simulated day: a row for each phase, and each goal with its value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from app.core.schedule import lead
from bench.fleet_day import Day, Record, Span

WINDOW = 300
"""Seconds of a window in which the steady state may have up to 1.2 times its mean."""


@dataclass(frozen=True)
class Goal:
    """A goal is met if `value` is at most `bound`."""

    name: str
    value: float
    bound: float

    @property
    def met(self) -> bool:
        """Whether the goal is met."""
        return self.value <= self.bound


@dataclass(frozen=True)
class Part:
    """A phase of the day: its calls per second, the throttled share, and the failures that clients saw."""

    name: str
    seconds: float
    calls: int
    mean: float
    peak: int
    throttled: float
    failures: int


@dataclass(frozen=True)
class Spans:
    """The spans of the phases. `step`: the longest retry pause. In it, every sidecar retries once after the outage."""

    ready: float
    day: Day
    step: float

    @property
    def steady(self) -> Span:
        """From the first second in which all sidecars are ready, through the halved quota, to the outage."""
        return self.ready + 1, self.day.outage[0]

    @property
    def recovery(self) -> Span:
        """One longest retry pause after the outage."""
        return self.day.outage[1], self.day.outage[1] + self.step

    @property
    def afterwards(self) -> Span:
        """
        From one minute after the recovery.

        Sessions of that minute are not replaced earlier (ROLLOUT_SECONDS), so it has fewer calls than later minutes.
        """
        return self.recovery[1] + 60, self.day.ends


def minimum(day: Day) -> float:
    """
    Return the physical minimum, in seconds from the start of a roll-out until the last sidecar is ready.

    Each sidecar needs one call, and the account has `quota` calls per second. So no schedule is faster than sidecars /
    quota, or than the start of the last sidecar.
    """
    return max(day.rollout, day.sidecars / day.quota)


def spans(record: Record, step: float) -> Spans:
    """Return the spans of a recorded day."""
    all_ready = len(record.ready) == record.day.sidecars
    return Spans(max(record.ready.values()) if all_ready else record.day.ends, record.day, step)


def waits(record: Record) -> dict[str, float]:
    """Return the seconds from a sidecar's start to its first credential, by percentile."""
    sorted_ = sorted(at - record.started[name] for name, at in record.ready.items())
    return {f"p{share:g}": sorted_[int(len(sorted_) * share / 100)] for share in (50, 90, 99, 99.9)} | {
        "max": sorted_[-1]
    }


def parts(record: Record, found: Spans) -> Iterator[Part]:
    """Yield the rows of the day's table."""
    day = record.day
    yield _part(record, "roll-out", (0, found.ready + 1))
    yield _part(record, "steady state", (found.ready + 1, day.cut[0]))
    yield _part(record, "quota cut to a half", day.cut)
    yield _part(record, "steady state", (day.cut[1], day.outage[0]))
    yield _part(record, "outage", day.outage)
    yield _part(record, "recovery, one pause long", found.recovery)
    yield _part(record, "steady state", found.afterwards)


def goals(record: Record, found: Spans) -> Iterator[Goal]:
    """Yield the goals with their values."""
    day = record.day
    calls = record.calls
    yield Goal("last sidecar ready, in physical minima", found.ready / minimum(day), 1.5)
    for name, span in (("before", found.steady), ("after", found.afterwards)):
        window = busiest_window(_slice(calls, span))
        yield Goal(f"steady state {name} the outage: busiest 5 minutes, in means", window, 1.2)
        share = max(calls[second] / day.quota_at(second) for second in range(int(span[0]), int(span[1])))
        yield Goal(f"steady state {name} the outage: busiest second, in quotas", share, 0.5)
    second_wave = _slice(calls, (found.recovery[1], day.ends))
    yield Goal("a second wave after the recovery: seconds over the quota", sum(_over(second_wave, day.quota)), 0)
    yield Goal("recovery: busiest second, in quotas", max(_slice(calls, found.recovery)) / day.quota, 1)
    yield Goal("sidecars without a credential where one could exist", len(list(avoidable(record))), 0)
    yield Goal("sidecars that showed less than 1860 s while the cloud answered", len(list(broken(record, found))), 0)


def busiest_window(calls: Sequence[int]) -> float:
    """Return the calls in the busiest `WINDOW` seconds, as a multiple of the mean. The window slides by one second."""
    sums = [0, *accumulate(calls)]
    windows = [sums[end] - sums[end - WINDOW] for end in range(WINDOW, len(sums))]
    return max(windows) / WINDOW / (sums[-1] / len(calls))


def avoidable(record: Record) -> Iterator[Span]:
    """
    Yield the spans in which a sidecar that had been ready had no valid session although it could have.

    It could not if the outage has lasted for longer than `lead`, which is the remaining life of a session when its
    refresh is due. After such an outage it could not before 1.5 physical minima have passed.
    """
    day = record.day
    hopeless = day.outage[0] + lead(day.life), day.outage[1] + 1.5 * day.sidecars / day.quota
    for begins, ends in record.without:
        if day.outage[1] - day.outage[0] <= lead(day.life) or begins < hopeless[0] or ends > hopeless[1]:
            yield begins, ends


def broken(record: Record, found: Spans) -> Iterator[Span]:
    """
    Yield the spans in which promise 2 (at least 1860 s of a 3600 s session) was broken.

    The outage and the retry pause after it do not count.
    """
    for begins, ends in record.low:
        if begins < found.day.outage[0] or ends > found.recovery[1] + 1:
            yield begins, ends


def _part(record: Record, name: str, span: Span) -> Part:
    calls = _slice(record.calls, span)
    throttled = sum(_slice(record.throttled, span))
    failures = sum(span[0] <= begins < span[1] for begins, _ in record.without)
    total = sum(calls)
    return Part(name, len(calls), total, total / len(calls), max(calls), throttled / max(1, total), failures)


def _slice(seconds: Sequence[int], span: Span) -> Sequence[int]:
    return seconds[int(span[0]) : int(span[1])]


def _over(calls: Sequence[int], quota: int) -> Iterator[bool]:
    return (count > quota for count in calls)
