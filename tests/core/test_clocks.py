"""The detection of clock jumps, and the estimate of the cloud's clock."""

from __future__ import annotations

import asyncio

import pytest

from app.core.clocks import LARGEST_OFFSET, MOST_SERVERS, Clocks, CloudClock, JumpDetector, watch_jumps

from ..simulated_loop import simulated


class ManualClocks:
    """A wall clock and a monotonic clock that a test moves by hand."""

    def __init__(self) -> None:
        self.wall = 1_000_000.0
        self.monotonic = 10.0

    def clocks(self) -> Clocks:
        """Return both clocks in the form that the program takes."""
        return Clocks(lambda: self.wall, lambda: self.monotonic)

    def tick(self, seconds: float, drift: float = 0.0) -> None:
        """Let `seconds` pass; the wall clock gains `drift` seconds in each of them."""
        self.wall += seconds * (1 + drift)
        self.monotonic += seconds


@pytest.mark.parametrize(
    ("moved", "expected"),
    [(0, None), (4.9, None), (-4.9, None), (5, None), (-5, None), (5.1, 5.1), (-5.1, -5.1), (3_600, 3_600)],
)
def test_jump_above_5_seconds_is_reported_once(moved: float, expected: float | None) -> None:
    """A jump of more than 5 s between two checks is reported once with its size; less is slewing."""
    manual = ManualClocks()
    detector = JumpDetector(manual.clocks())
    manual.tick(30)
    assert detector.jumped() is None
    manual.wall += moved
    manual.tick(30)

    assert detector.jumped() == (pytest.approx(expected) if expected is not None else None)
    manual.tick(30)
    assert detector.jumped() is None


def test_slow_drift_is_not_a_jump() -> None:
    """A clock that gains 1 % is never reported as a jump, however long it drifts."""
    manual = ManualClocks()
    detector = JumpDetector(manual.clocks())
    for _ in range(1_000):
        manual.tick(30, drift=0.01)
        assert detector.jumped() is None


TOKEN, STS, OTHER = "idaas.test:443", "sts.test:443", "other.test:443"


def test_cloud_clock_follows_the_date_headers() -> None:
    """Before a response, and after a step of ours, a server's clock equals ours; offsets below 2 s count as none."""
    manual = ManualClocks()
    clock = CloudClock(manual.clocks())
    assert (clock.now(STS), clock.is_synchronised(STS)) == (manual.wall, False)
    clock.learn(STS, 600.0)
    manual.tick(1_000)
    assert (clock.now(STS), clock.is_synchronised(STS)) == (manual.wall + 600, True)
    manual.wall += 600
    assert (clock.now(STS), clock.is_synchronised(STS)) == (manual.wall, False)
    clock.learn(STS, -30.0)
    assert clock.now(STS) == manual.wall - 30
    clock.learn(STS, 1.5)

    assert clock.now(STS) == manual.wall


def test_clock_belongs_to_its_server() -> None:
    """What one server says about the time is not used for another server that has not said its time."""
    manual = ManualClocks()
    clock = CloudClock(manual.clocks())
    clock.learn(TOKEN, 3_600.0)

    assert clock.now(TOKEN) == manual.wall + 3_600
    assert (clock.now(STS), clock.is_synchronised(STS)) == (manual.wall, False)
    assert (clock.now(), clock.is_synchronised()) == (manual.wall, False)


@pytest.mark.parametrize(
    ("offsets", "expected"),
    [
        ({TOKEN: 600.0, STS: 601.0}, 601.0),
        ({TOKEN: 600.0, STS: 604.9, "a": 602.0}, 602.0),
        ({TOKEN: 0.5, STS: -1.0}, 0.0),
        ({TOKEN: 600.0, STS: 610.0}, None),
        ({TOKEN: 600.0, "idaas.test:8443": 600.0, "idaas.test:9443": 600.0}, None),
        ({"[fd00::5]:443": 600.0, "[fd00::5]:8443": 600.0}, None),
        ({"[fd00::5]:443": 600.0, "[fd00::6]:443": 600.0}, 600.0),
        ({TOKEN: 0.0, STS: 3_600.0}, None),
        ({TOKEN: 600.0, STS: 600.0, "a": 0.0}, None),
    ],
)
def test_servers_that_agree_are_used_for_another_server(offsets: dict[str, float], expected: float | None) -> None:
    """A server that has not said its time is taken to have that of all others, if they are two hosts' and all agree."""
    manual = ManualClocks()
    clock = CloudClock(manual.clocks())
    for server, offset in offsets.items():
        clock.learn(server, offset)

    assert clock.is_synchronised(OTHER) == (expected is not None)
    assert clock.now(OTHER) == clock.now() == manual.wall + (expected or 0.0)


@pytest.mark.parametrize("offset", [-LARGEST_OFFSET - 1, LARGEST_OFFSET + 1, -1.7e9, 2.2e11])
def test_absurd_clock_is_ignored(offset: float) -> None:
    """A Date that differs by more than a week is not used, not even for the server that sent it."""
    manual = ManualClocks()
    clock = CloudClock(manual.clocks())
    clock.learn(STS, 600.0)
    clock.learn(STS, offset)
    clock.learn(TOKEN, offset)

    assert (clock.now(STS), clock.is_synchronised(STS)) == (manual.wall, False)
    assert (clock.now(OTHER), clock.is_synchronised(OTHER)) == (manual.wall, False)


def test_memory_of_servers_is_bounded() -> None:
    """However many servers say their time, a bounded number is remembered."""
    clock = CloudClock(ManualClocks().clocks())
    for number in range(3 * MOST_SERVERS):
        clock.learn(f"s{number}.test:443", 600.0)

    assert len(clock._offsets) <= MOST_SERVERS


@pytest.mark.parametrize(("offset", "used"), [(1.9, 0), (2.0, 2.0), (-1.9, 0), (-2.0, -2.0)])
def test_offset_below_two_seconds_counts_as_none(offset: float, used: float) -> None:
    """An offset of 2 s or more is used; a smaller one is within the exactness of a Date header."""
    manual = ManualClocks()
    clock = CloudClock(manual.clocks())
    clock.learn(STS, offset)

    assert clock.now(STS) == manual.wall + used
    assert clock.is_synchronised(STS)


@pytest.mark.parametrize(("moved", "kept"), [(5.0, True), (-5.0, True), (5.1, False), (-5.1, False)])
def test_offset_is_kept_until_a_jump(moved: float, kept: bool) -> None:
    """A wall clock that moves by at most 5 s keeps the offset; a larger jump ends it."""
    manual = ManualClocks()
    clock = CloudClock(manual.clocks())
    clock.learn(STS, 60.0)
    manual.wall += moved

    assert clock.is_synchronised(STS) is kept
    assert clock.now(STS) == manual.wall + (60.0 if kept else 0.0)


@simulated
async def test_clock_is_checked_every_30_seconds() -> None:
    """A jump is reported at the next check, which comes every 30 s; without a jump nothing is reported."""
    loop = asyncio.get_running_loop()
    began, ahead = loop.time(), 0.0
    reports: list[tuple[float, float]] = []
    clocks = Clocks(lambda: 1_000_000.0 + loop.time() + ahead, loop.time)
    watch = asyncio.create_task(watch_jumps(clocks, lambda seconds: reports.append((loop.time() - began, seconds))))
    for step in (0.0, 100.0, 0.0, -50.0):
        ahead += step
        await asyncio.sleep(35)
    watch.cancel()

    assert reports == [(60, pytest.approx(100)), (120, pytest.approx(-50))]
