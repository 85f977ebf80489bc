"""Throughput, CPU time per request and tail latency of the sidecar and the baselines, in alternating rounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median

import load
from baselines import GO, NGINX
from table import Figure, Goal, ratio, skipped

SERVERS = {"ours": "", "nginx": NGINX, "go": GO}
Rounds = Mapping[str, list[load.Round]]


@dataclass(frozen=True)
class Shape:
    """A kind of load."""

    name: str
    connections: int
    close: bool = False


KEEP_ALIVE = Shape("keep-alive, 64 connections", 64)
NEW = Shape("new connections, 64 at once", 64, close=True)
MANY = Shape("keep-alive, 256 connections", 256)

# The load, the measured field, its unit, the baseline and the goal.
Measured = tuple[Shape, str, str, str, Goal | None]
TABLE: tuple[Measured, ...] = (
    (KEEP_ALIVE, "per_second", "requests/s", "nginx", Goal(1.1, None, " × nginx", at_least=True)),
    (KEEP_ALIVE, "per_second", "requests/s", "go", Goal(1.4, None, " × Go", at_least=True)),
    (KEEP_ALIVE, "cpu_us", "µs of CPU", "nginx", None),
    (KEEP_ALIVE, "cpu_us", "µs of CPU", "go", None),
    (NEW, "per_second", "requests/s", "nginx", Goal(0.85, None, " × nginx", at_least=True)),
    (NEW, "per_second", "requests/s", "go", Goal(1.0, None, " × Go", at_least=True)),
    (NEW, "cpu_us", "µs of CPU", "nginx", None),
    (NEW, "cpu_us", "µs of CPU", "go", Goal(None, 1.05, " × Go")),
    (KEEP_ALIVE, "p99_ms", "ms p99", "go", Goal(0.5, None, " × Go")),
    (KEEP_ALIVE, "p99_ms", "ms p99", "nginx", Goal(None, 1.5, " × nginx")),
    (MANY, "p99_ms", "ms p99", "nginx", Goal(3.0, 1.5, " × nginx")),
    (MANY, "p99_ms", "ms p99", "go", Goal(0.5, None, " × Go")),
)


def figures(servers: Mapping[str, tuple[int, str]], *, rounds: int, seconds: float) -> Iterator[Figure]:
    """Yield the whole comparison. `servers`: process id and URL by name."""
    if not load.has("wrk"):
        yield skipped("throughput and p99", load.WRK)
        return
    measured = {shape: in_turns(servers, shape, rounds=rounds, seconds=seconds) for shape in (KEEP_ALIVE, NEW, MANY)}
    for shape, field, unit, baseline, goal in TABLE:
        yield _compared(measured[shape], shape, field, unit, baseline, goal)
    errors = sum(item.errors for found in measured.values() for item in found["ours"])
    yield Figure("errors in all of these", str(errors), goal="0", verdict="reached" if errors == 0 else "MISSED")


def in_turns(servers: Mapping[str, tuple[int, str]], shape: Shape, *, rounds: int, seconds: float) -> Rounds:
    """Run each server in each round, in alternating order, after a short warm-up round."""
    for pid, url in servers.values():
        load.wrk(pid, url, connections=shape.connections, seconds=1, close=shape.close)
    found: dict[str, list[load.Round]] = {name: [] for name in servers}
    for number in range(rounds):
        for name in sorted(servers, reverse=number % 2 == 1):
            pid, url = servers[name]
            found[name].append(load.wrk(pid, url, connections=shape.connections, seconds=seconds, close=shape.close))
    return found


def _compared(rounds: Rounds, shape: Shape, field: str, unit: str, baseline: str, goal: Goal | None) -> Figure:
    name = f"{shape.name}: {unit}"
    if baseline not in rounds:
        return skipped(f"{name} beside {baseline}", SERVERS[baseline])
    value: Callable[[load.Round], float] = lambda item: getattr(item, field)  # noqa: E731
    ours, theirs = ([value(item) for item in rounds[side]] for side in ("ours", baseline))
    # The median of the rounds' ratios: load of other programs affects a whole round, not one side of it.
    times = median(mine / other for mine, other in zip(ours, theirs, strict=True))
    return ratio(name, median(ours), baseline, median(theirs), times, unit.split()[0], goal)
