"""Simulate ten thousand sidecars of one account for a day on a virtual clock. Goals and method: bench/README.md.

The exit code is 0 if every goal is met, else 1. The result does not depend on the machine: the same seed gives the
same day.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

if not __package__:  # started by its path: sys.path has this directory, but not the repository
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from app.core.schedule import Schedule
from bench import fleet_chart
from bench.fleet_day import Day, Fleet, Record
from bench.fleet_goals import Goal, Part, Spans, goals, minimum, parts, spans, waits


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate one day and print the result."""
    asked = _parser().parse_args(arguments)
    started = time.perf_counter()
    schedule = Schedule()
    record = Fleet(_day(asked), schedule).live()
    found = spans(record, schedule.max_retry)
    results = list(goals(record, found))
    print(_json(record, found, results) if asked.json else "\n".join(_report(record, found, results)))
    if asked.png:
        Path(asked.png).write_bytes(fleet_chart.png(record, found))
    print(f"{time.perf_counter() - started:.1f} s for {record.day.ends / 3600:g} h", file=sys.stderr)
    return 0 if all(goal.met for goal in results) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sidecars", type=int, default=10_000, help="number of sidecars (10000)")
    parser.add_argument("--quota", type=int, default=100, help="calls per second of the account (100)")
    parser.add_argument(
        "--rollout", type=float, default=60.0, metavar="S", help="seconds in which all sidecars start (60)"
    )
    parser.add_argument(
        "--outage", type=float, default=1_800.0, metavar="S", help="length of the outage in seconds (1800)"
    )
    parser.add_argument("--hours", type=float, default=24.0, help="length of the simulation in hours, at least 10 (24)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the random numbers (1)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--png", metavar="FILE", help="write a chart of the calls per second")
    return parser


def _day(asked: argparse.Namespace) -> Day:
    start = Day().outage[0]
    return Day(
        sidecars=asked.sidecars,
        quota=asked.quota,
        rollout=asked.rollout,
        outage=(start, start + asked.outage),
        ends=max(10.0, asked.hours) * 3600,
        seed=asked.seed,
    )


def _report(record: Record, found: Spans, results: Sequence[Goal]) -> Iterator[str]:
    day = record.day
    yield f"{day.sidecars} sidecars, {day.quota} calls per second, {day.ends / 3600:g} h, seed {day.seed}\n"
    yield f"physical minimum of the roll-out: {minimum(day):.0f} s; last sidecar ready after {found.ready:.0f} s"
    percentiles = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in waits(record).items())
    yield f"from the start of a sidecar until it is ready: {percentiles}"
    yield f"sidecars that exited at their start gate ({day.gate:g} s) and were restarted: {record.restarts}\n"
    yield "| phase | seconds | calls | calls/s mean | peak | throttled | client-visible failures |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    yield from map(_row, parts(record, found))
    yield "\n| goal | reached | bound | verdict |\n| --- | --- | --- | --- |"
    for goal in results:
        yield f"| {goal.name} | {goal.value:.3g} | ≤ {goal.bound:g} | {'results' if goal.met else 'MISSED'} |"


def _row(part: Part) -> str:
    numbers = f"{part.seconds:.0f} | {part.calls} | {part.mean:.1f} | {part.peak} | {part.throttled:.1%}"
    return f"| {part.name} | {numbers} | {part.failures} |"


def _json(record: Record, found: Spans, results: Sequence[Goal]) -> str:
    document = {
        "day": asdict(record.day),
        "minimum": minimum(record.day),
        "lastReady": found.ready,
        "waits": waits(record),
        "restarts": record.restarts,
        "parts": [asdict(part) for part in parts(record, found)],
        "goals": [asdict(goal) | {"met": goal.met} for goal in results],
    }
    return json.dumps(document)


if __name__ == "__main__":
    sys.exit(main())
