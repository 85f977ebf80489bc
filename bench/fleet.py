"""Ten thousand sidecars, one account, a day on a virtual clock: does the schedule hold? How and why: bench/README.md.

Exit code 0 if every goal is met, else 1: nothing here depends on the machine, and the same seed gives the same day.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

if not __package__:  # started by its path: this directory is on the path, and the repository is not
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from app.core.schedule import Schedule
from bench import fleet_chart
from bench.fleet_day import Day, Fleet, Record
from bench.fleet_goals import Goal, Part, Spans, goals, minimum, parts, spans, waits


def main(arguments: Sequence[str] | None = None) -> int:
    """Plays one day and prints what came of it."""
    asked = _parser().parse_args(arguments)
    began = time.perf_counter()
    schedule = Schedule()
    record = Fleet(_day(asked), schedule).live()
    found = spans(record, schedule.max_retry)
    reached = list(goals(record, found))
    print(_json(record, found, reached) if asked.json else "\n".join(_report(record, found, reached)))
    if asked.png:
        Path(asked.png).write_bytes(fleet_chart.png(record, found))
    print(f"{time.perf_counter() - began:.1f} s for {record.day.ends / 3600:g} h", file=sys.stderr)
    return 0 if all(goal.met for goal in reached) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sidecars", type=int, default=10_000, help="how many there are (10000)")
    parser.add_argument("--quota", type=int, default=100, help="calls a second that the account has (100)")
    parser.add_argument("--rollout", type=float, default=60.0, metavar="S", help="seconds in which they start (60)")
    parser.add_argument("--outage", type=float, default=1_800.0, metavar="S", help="seconds of the outage (1800)")
    parser.add_argument("--hours", type=float, default=24.0, help="length of the day, at least 10 (24)")
    parser.add_argument("--seed", type=int, default=1, help="chance (1)")
    parser.add_argument("--json", action="store_true", help="the figures as JSON instead of tables")
    parser.add_argument("--png", metavar="FILE", help="draw the calls a second over time")
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


def _report(record: Record, found: Spans, reached: Sequence[Goal]) -> Iterator[str]:
    day = record.day
    yield f"{day.sidecars} sidecars, {day.quota} calls a second, {day.ends / 3600:g} h, seed {day.seed}\n"
    yield f"physical minimum of the roll-out: {minimum(day):.0f} s; last sidecar ready after {found.ready:.0f} s"
    told = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in waits(record).items())
    yield f"from a sidecar's own start until it is ready: {told}"
    yield f"sidecars that left at their start gate ({day.gate:g} s) and were started again: {record.restarts}\n"
    yield "| part of the day | seconds | calls | calls/s mean | peak | throttled | client-visible failures |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    yield from map(_row, parts(record, found))
    yield "\n| goal | reached | bound | verdict |\n| --- | --- | --- | --- |"
    for goal in reached:
        yield f"| {goal.name} | {goal.value:.3g} | ≤ {goal.bound:g} | {'reached' if goal.met else 'MISSED'} |"


def _row(part: Part) -> str:
    numbers = f"{part.seconds:.0f} | {part.calls} | {part.mean:.1f} | {part.peak} | {part.throttled:.1%}"
    return f"| {part.name} | {numbers} | {part.failures} |"


def _json(record: Record, found: Spans, reached: Sequence[Goal]) -> str:
    document = {
        "day": asdict(record.day),
        "minimum": minimum(record.day),
        "lastReady": found.ready,
        "waits": waits(record),
        "restarts": record.restarts,
        "parts": [asdict(part) for part in parts(record, found)],
        "goals": [asdict(goal) | {"met": goal.met} for goal in reached],
    }
    return json.dumps(document)


if __name__ == "__main__":
    sys.exit(main())
