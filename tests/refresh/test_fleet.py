"""Five hours of a small fleet on a virtual clock: it meets the goals of bench/fleet.py, and bad schedules miss them."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import pytest

from app.core.schedule import Schedule, lead
from app.core.values import Credentials
from bench import fleet, fleet_chart
from bench.fleet_day import Day, Fleet, Record
from bench.fleet_goals import avoidable, goals, minimum, parts, spans
from bench.picture import Picture
from bench.virtual import VirtualTime, pause

LONGEST_PAUSE = Schedule().max_retry


def fleet_day(sidecars: int, outage: float = 1_800.0) -> Day:
    """Return a roll-out, two hours, a halved quota, an outage, and an hour and a half of recovery."""
    return Day(
        sidecars=sidecars, quota=sidecars // 100, cut=(7_200, 7_800), outage=(10_800, 10_800 + outage), ends=18_000
    )


@pytest.fixture(scope="module")
def record() -> Record:
    """A day of 4 000 sidecars and 40 calls a second. With fewer, chance alone sometimes fills half of the quota."""
    return Fleet(fleet_day(4_000), Schedule()).live()


def test_fleet_meets_every_goal(record: Record) -> None:
    """The fleet meets every goal for roll-out, steady state, halved quota, outage and recovery."""
    reached = list(goals(record, spans(record, LONGEST_PAUSE)))

    assert len(reached) == 9
    assert [goal for goal in reached if not goal.met] == []


def test_recovery_after_an_outage_is_not_throttled(record: Record) -> None:
    """The fleet recovers within one longest pause, and stays below the quota in every second of it."""
    recovery = {part.name: part for part in parts(record, spans(record, LONGEST_PAUSE))}["recovery, one pause long"]

    assert recovery.throttled == 0
    assert recovery.calls >= 4_000
    assert recovery.peak <= 40


@pytest.mark.parametrize("minutes", [5, 20, 40, 90])
def test_outages_of_other_lengths_cause_no_second_wave(minutes: float) -> None:
    """After shorter and longer outages no second wave follows, and no sidecar lacks a session that it could have."""
    record = Fleet(fleet_day(1_000, outage=60 * minutes), Schedule()).live()
    day_spans = spans(record, LONGEST_PAUSE)
    calls_after_recovery = record.calls[int(day_spans.recovery[1]) : 18_000]

    assert max(calls_after_recovery) <= 10
    assert list(avoidable(record)) == []


class Synchronised(Schedule):
    """A bad schedule: all sidecars refresh at the same age of their session."""

    def refresh_at(self, held: Credentials, chance: float, *, spread: bool = False) -> float:
        return held.expires_at - lead(held.expires_at - held.issued_at)


class RetriesTooSoon(Synchronised):
    """A bad schedule: retries follow soon, whatever lifetime is left."""

    def retry_after(self, failures: int, chance: float, **_ignored: object) -> float:
        return 20.0 * chance


class RetriesTooLate(Synchronised):
    """A bad schedule: a retry comes when it is too late."""

    def retry_after(self, failures: int, chance: float, **_ignored: object) -> float:
        return 2_400.0


def test_bad_schedules_miss_the_goals() -> None:
    """Each goal is missed by at least one bad schedule, so each goal can fail."""
    too_soon, too_late = outcome(RetriesTooSoon()), outcome(RetriesTooLate())

    assert len(too_soon) == 9
    assert {name for name in too_soon if too_soon[name] and too_late[name]} == set()


def outcome(schedule: Schedule) -> dict[str, bool]:
    """Return which goals 1 000 sidecars meet with `schedule`."""
    record = Fleet(fleet_day(1_000), schedule).live()
    return {goal.name: goal.met for goal in goals(record, spans(record, LONGEST_PAUSE))}


@pytest.mark.parametrize(
    ("sidecars", "quota", "rollout", "seconds"), [(10_000, 100, 60, 100), (1_000, 100, 60, 60), (10_000, 50, 60, 200)]
)
def test_roll_out_minimum_is_quota_and_last_start(sidecars: int, quota: int, rollout: float, seconds: float) -> None:
    """The minimum is the time that the quota needs, and at least until the last sidecar has started."""
    assert minimum(Day(sidecars=sidecars, quota=quota, rollout=rollout)) == seconds


def test_the_same_seed_gives_the_same_day() -> None:
    """Two runs with the same seed are equal, so a figure can be reproduced."""
    first, second = (Fleet(Day(sidecars=50, quota=1, ends=30_000, seed=7), Schedule()).live() for _ in range(2))

    assert first == second


def test_virtual_time_runs_coroutines_in_order() -> None:
    """Coroutines wake in the order of their times; an ended one and one that is due after the end do not."""
    time, wake_ups = VirtualTime(), []

    async def sleep_twice(name: str, seconds: float) -> None:
        for _ in range(2):
            await pause(seconds)
            wake_ups.append((name, time.now()))

    to_end = sleep_twice("ended", 1)
    for coroutine in (sleep_twice("slow", 4), sleep_twice("quick", 3), to_end):
        time.begin(0, coroutine)
    time.begin(0.5, _end(time, to_end))
    time.run(until=8)

    assert wake_ups == [("quick", 3), ("slow", 4), ("quick", 6)]


async def _end(time: VirtualTime, coroutine: object) -> None:
    time.end(coroutine)  # type: ignore[arg-type]


def test_command_prints_json_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command prints its figures as JSON, exits with 1 if a goal is missed, and draws a picture."""
    target = tmp_path / "fleet.png"

    code = fleet.main(["--sidecars", "300", "--quota", "3", "--hours", "10", "--json", "--png", str(target)])

    output = json.loads(capsys.readouterr().out)
    assert code == (0 if all(goal["met"] for goal in output["goals"]) else 1)
    assert output["minimum"] == 100
    assert sum(part["failures"] for part in output["parts"]) == 0
    assert dimensions(target.read_bytes()) == (1280, 760)


def test_png_has_the_drawn_pixels() -> None:
    """The PNG file contains the drawn pixels row by row."""
    picture = Picture(4, 2)
    picture.box(1, 0, 2, 1, (1, 2, 3))
    data = picture.png()

    length = struct.unpack(">I", data[33:37])[0]
    white = b"\xff" * 3
    assert dimensions(data) == (4, 2)
    assert zlib.decompress(data[41 : 41 + length]) == b"\0" + white + b"\1\2\3" * 2 + white + b"\0" + white * 4


def test_picture_shows_throttled_calls(record: Record) -> None:
    """The picture of a throttled fleet has more red than that of a fleet that is not throttled."""
    not_throttled = Record(record.day, calls=record.calls, throttled=[0] * len(record.calls), ready=record.ready)

    assert (
        red_pixels(fleet_chart.png(record, spans(record, LONGEST_PAUSE)))
        > red_pixels(fleet_chart.png(not_throttled, spans(record, LONGEST_PAUSE))) + 1_000
    )


def red_pixels(data: bytes) -> int:
    """Return the number of pixels in the colour of a throttled call."""
    length = struct.unpack(">I", data[33:37])[0]
    return zlib.decompress(data[41 : 41 + length]).count(bytes(fleet_chart.RED))


def dimensions(data: bytes) -> tuple[int, int]:
    """Return width and height from the header of a PNG."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", data[16:24])
    return width, height
