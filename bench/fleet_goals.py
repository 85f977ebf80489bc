"""What a fleet's day comes to: a row for each part of it, and each goal with what was reached."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from app.core.schedule import lead
from bench.fleet_day import Day, Record, Span

WINDOW = 300
"""Seconds of a window in which the steady state may not exceed `1.2` of its mean."""


@dataclass(frozen=True)
class Goal:
    """Met where `value` is at most `bound`."""

    name: str
    value: float
    bound: float

    @property
    def met(self) -> bool:
        return self.value <= self.bound


@dataclass(frozen=True)
class Part:
    """A part of the day: its calls a second, the share of them that was throttled, and who went without."""

    name: str
    seconds: float
    calls: int
    mean: float
    peak: int
    throttled: float
    failures: int


@dataclass(frozen=True)
class Spans:
    """The day's parts. `step`: the longest pause, in which everybody asks once after the outage."""

    ready: float
    day: Day
    step: float

    @property
    def steady(self) -> Span:
        """From the first second after everybody is ready, through the halved quota, to the outage."""
        return self.ready + 1, self.day.outage[0]

    @property
    def recovery(self) -> Span:
        return self.day.outage[1], self.day.outage[1] + self.step

    @property
    def afterwards(self) -> Span:
        """
        When the recovery is over: a minute later, because what came then is not replaced sooner (LEFT_ALONE), so that
        the first minute has fewer calls than all others.
        """
        return self.recovery[1] + 60, self.day.ends


def minimum(day: Day) -> float:
    """
    The physical minimum, in seconds from the start of a roll-out until the last sidecar is ready.

    Each needs one call, and an account gives `quota` in a second: nobody, however clever, is through earlier than
    sidecars / quota, nor before the last of them has started.
    """
    return max(day.rollout, day.sidecars / day.quota)


def spans(record: Record, step: float) -> Spans:
    """The parts of a recorded day."""
    everybody = len(record.ready) == record.day.sidecars
    return Spans(max(record.ready.values()) if everybody else record.day.ends, record.day, step)


def waits(record: Record) -> dict[str, float]:
    """Seconds from a sidecar's own start to its first credential, by percentile."""
    sorted_ = sorted(at - record.started[name] for name, at in record.ready.items())
    return {f"p{share:g}": sorted_[int(len(sorted_) * share / 100)] for share in (50, 90, 99, 99.9)} | {
        "max": sorted_[-1]
    }


def parts(record: Record, found: Spans) -> Iterator[Part]:
    """The rows of the day's table."""
    day = record.day
    yield _part(record, "roll-out", (0, found.ready + 1))
    yield _part(record, "steady state", (found.ready + 1, day.cut[0]))
    yield _part(record, "quota cut to a half", day.cut)
    yield _part(record, "steady state", (day.cut[1], day.outage[0]))
    yield _part(record, "outage", day.outage)
    yield _part(record, "recovery, one pause long", found.recovery)
    yield _part(record, "steady state", found.afterwards)


def goals(record: Record, found: Spans) -> Iterator[Goal]:
    """The issue's goals, each with what this day gave."""
    day = record.day
    calls = record.calls
    yield Goal("last sidecar ready, in physical minima", found.ready / minimum(day), 1.5)
    for name, span in (("before", found.steady), ("after", found.afterwards)):
        window = busiest_window(_cut(calls, span))
        yield Goal(f"steady state {name} the outage: busiest 5 minutes, in means", window, 1.2)
        share = max(calls[second] / day.quota_at(second) for second in range(int(span[0]), int(span[1])))
        yield Goal(f"steady state {name} the outage: busiest second, in quotas", share, 0.5)
    second_wave = _cut(calls, (found.recovery[1], day.ends))
    yield Goal("a second wave after the recovery: seconds over the quota", sum(_over(second_wave, day.quota)), 0)
    yield Goal("recovery: busiest second, in quotas", max(_cut(calls, found.recovery)) / day.quota, 1)
    yield Goal("sidecars without a credential where one could exist", len(list(avoidable(record))), 0)
    yield Goal("sidecars that showed less than 1860 s while the cloud answered", len(list(broken(record, found))), 0)


def busiest_window(calls: Sequence[int]) -> float:
    """The busiest `WINDOW` seconds, sliding by one, as a multiple of the mean."""
    sums = [0, *accumulate(calls)]
    windows = [sums[end] - sums[end - WINDOW] for end in range(WINDOW, len(sums))]
    return max(windows) / WINDOW / (sums[-1] / len(calls))


def avoidable(record: Record) -> Iterator[Span]:
    """
    When a sidecar that had been ready held nothing valid, though it could have.

    It could not where an outage has lasted for longer than `lead`, the least that is left of a session when its refresh
    is due; and then not before the physical minimum, half as much again, has passed since its end.
    """
    day = record.day
    hopeless = day.outage[0] + lead(day.life), day.outage[1] + 1.5 * day.sidecars / day.quota
    for begins, ends in record.without:
        if day.outage[1] - day.outage[0] <= lead(day.life) or begins < hopeless[0] or ends > hopeless[1]:
            yield begins, ends


def broken(record: Record, found: Spans) -> Iterator[Span]:
    """When promise 2 (less than 1860 s of a 3600 s session) was broken outside the outage and the pause after it."""
    for begins, ends in record.low:
        if begins < found.day.outage[0] or ends > found.recovery[1] + 1:
            yield begins, ends


def _part(record: Record, name: str, span: Span) -> Part:
    calls = _cut(record.calls, span)
    throttled = sum(_cut(record.throttled, span))
    failures = sum(span[0] <= begins < span[1] for begins, _ in record.without)
    total = sum(calls)
    return Part(name, len(calls), total, total / len(calls), max(calls), throttled / max(1, total), failures)


def _cut(seconds: Sequence[int], span: Span) -> Sequence[int]:
    return seconds[int(span[0]) : int(span[1])]


def _over(calls: Sequence[int], quota: int) -> Iterator[bool]:
    return (count > quota for count in calls)
