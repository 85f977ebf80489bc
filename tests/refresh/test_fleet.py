"""A small fleet's five hours on a virtual clock: the goals of bench/fleet.py, and that a bad schedule misses them."""

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

STEP = Schedule().max_retry


def day(sidecars: int, outage: float = 1_800.0) -> Day:
    """Roll-out, two hours, the quota cut to a half, an outage, and an hour and a half of what follows."""
    return Day(
        sidecars=sidecars, quota=sidecars // 100, cut=(7_200, 7_800), outage=(10_800, 10_800 + outage), ends=18_000
    )


@pytest.fixture(scope="module")
def lived() -> Record:
    """4 000 sidecars and 40 calls a second: with fewer, chance alone fills half of a second's quota now and then."""
    return Fleet(day(4_000), Schedule()).live()


def test_every_goal_is_reached(lived: Record) -> None:
    """Roll-out, steady state, halved quota, outage and recovery: all that the fleet is to keep, it keeps."""
    reached = list(goals(lived, spans(lived, STEP)))

    assert len(reached) == 9
    assert [goal for goal in reached if not goal.met] == []


def test_after_an_outage_nobody_is_throttled(lived: Record) -> None:
    """The fleet comes back within one longest pause, and below the quota in every second of it."""
    recovery = {part.name: part for part in parts(lived, spans(lived, STEP))}["recovery, one pause long"]

    assert recovery.throttled == 0
    assert recovery.calls >= 4_000
    assert recovery.peak <= 40


@pytest.mark.parametrize("minutes", [5, 20, 40, 90])
def test_other_outages_make_no_second_wave_either(minutes: float) -> None:
    """Shorter and longer outages: no wave follows the recovery, and nobody goes without who need not."""
    lived = Fleet(day(1_000, outage=60 * minutes), Schedule()).live()
    found = spans(lived, STEP)
    later = lived.calls[int(found.recovery[1]) : 18_000]

    assert max(later) <= 10
    assert list(avoidable(lived)) == []


class AsOne(Schedule):
    """What not to do: everybody at the same age."""

    def refresh_at(self, held: Credentials, chance: float, *, spread: bool = False) -> float:
        return held.expires_at - lead(held.expires_at - held.issued_at)


class Hasty(AsOne):
    """Nor this: asking again soon, whatever is left."""

    def retry_after(self, failures: int, chance: float, **_ignored: object) -> float:
        return 20.0 * chance


class Lazy(AsOne):
    """Nor this: asking again when it is too late."""

    def retry_after(self, failures: int, chance: float, **_ignored: object) -> float:
        return 2_400.0


def test_bad_schedules_miss_the_goals() -> None:
    """Each of the goals is one that can be missed."""
    hasty, lazy = outcome(Hasty()), outcome(Lazy())

    assert len(hasty) == 9
    assert {name for name in hasty if hasty[name] and lazy[name]} == set()


def outcome(schedule: Schedule) -> dict[str, bool]:
    """Which goals 1 000 sidecars meet by `schedule`."""
    lived = Fleet(day(1_000), schedule).live()
    return {goal.name: goal.met for goal in goals(lived, spans(lived, STEP))}


@pytest.mark.parametrize(
    ("sidecars", "quota", "rollout", "seconds"), [(10_000, 100, 60, 100), (1_000, 100, 60, 60), (10_000, 50, 60, 200)]
)
def test_the_physical_minimum(sidecars: int, quota: int, rollout: float, seconds: float) -> None:
    """Nobody is through before the quota allows it, nor before the last one has started."""
    assert minimum(Day(sidecars=sidecars, quota=quota, rollout=rollout)) == seconds


def test_the_same_seed_gives_the_same_day() -> None:
    """A figure can be looked at again."""
    first, second = (Fleet(Day(sidecars=50, quota=1, ends=30_000, seed=7), Schedule()).live() for _ in range(2))

    assert first == second


def test_virtual_time() -> None:
    """Coroutines wake in the order of their instants; one that was ended does not, nor one that is due too late."""
    time, seen = VirtualTime(), []

    async def errand(name: str, seconds: float) -> None:
        for _ in range(2):
            await pause(seconds)
            seen.append((name, time.now()))

    ended = errand("ended", 1)
    for work in (errand("slow", 4), errand("quick", 3), ended):
        time.begin(0, work)
    time.begin(0.5, _ending(time, ended))
    time.run(until=8)

    assert seen == [("quick", 3), ("slow", 4), ("quick", 6)]


async def _ending(time: VirtualTime, errand: object) -> None:
    time.end(errand)  # type: ignore[arg-type]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says as JSON what it saw, its exit code says whether every goal was met, and it draws."""
    target = tmp_path / "fleet.png"

    code = fleet.main(["--sidecars", "300", "--quota", "3", "--hours", "10", "--json", "--png", str(target)])

    told = json.loads(capsys.readouterr().out)
    assert code == (0 if all(goal["met"] for goal in told["goals"]) else 1)
    assert told["minimum"] == 100
    assert sum(part["failures"] for part in told["parts"]) == 0
    assert dimensions(target.read_bytes()) == (1280, 760)


def test_a_picture_is_what_was_drawn() -> None:
    """A file of ours holds the pixels, row by row, that were put in."""
    picture = Picture(4, 2)
    picture.box(1, 0, 2, 1, (1, 2, 3))
    file = picture.png()

    length = struct.unpack(">I", file[33:37])[0]
    white = b"\xff" * 3
    assert dimensions(file) == (4, 2)
    assert zlib.decompress(file[41 : 41 + length]) == b"\0" + white + b"\1\2\3" * 2 + white + b"\0" + white * 4


def test_the_picture_shows_what_was_refused(lived: Record) -> None:
    """A fleet that nobody refuses has less red in its picture than one that is throttled."""
    calm = Record(lived.day, calls=lived.calls, throttled=[0] * len(lived.calls), ready=lived.ready)

    assert red(fleet_chart.png(lived, spans(lived, STEP))) > red(fleet_chart.png(calm, spans(lived, STEP))) + 1_000


def red(file: bytes) -> int:
    """How often the colour of a refusal stands in the picture."""
    length = struct.unpack(">I", file[33:37])[0]
    return zlib.decompress(file[41 : 41 + length]).count(bytes(fleet_chart.RED))


def dimensions(file: bytes) -> tuple[int, int]:
    """Width and height of a PNG, as its header says."""
    assert file.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", file[16:24])
    return width, height
