"""The detection of clock jumps, and the estimate of the cloud's clock."""

from __future__ import annotations

import asyncio

import pytest

from app.core.clocks import Clocks, CloudClock, JumpDetector, watch_jumps

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


def test_cloud_clock_follows_the_date_headers() -> None:
    """Before a response, and after a step of ours, the cloud's clock equals ours; offsets below 2 s count as none."""
    manual = ManualClocks()
    clock = CloudClock(manual.clocks())
    assert (clock.now(), clock.is_synchronised()) == (manual.wall, False)
    clock.learn(600.0)
    manual.tick(1_000)
    assert (clock.now(), clock.is_synchronised()) == (manual.wall + 600, True)
    manual.wall += 600
    assert (clock.now(), clock.is_synchronised()) == (manual.wall, False)
    clock.learn(-30.0)
    assert clock.now() == manual.wall - 30
    clock.learn(1.5)

    assert clock.now() == manual.wall


@pytest.mark.parametrize(("offset", "used"), [(1.9, 0), (2.0, 2.0), (-1.9, 0), (-2.0, -2.0)])
def test_offset_below_two_seconds_counts_as_none(offset: float, used: float) -> None:
    """An offset of 2 s or more is used; a smaller one is within the exactness of a Date header."""
    manual = ManualClocks()
    clock = CloudClock(manual.clocks())
    clock.learn(offset)

    assert clock.now() == manual.wall + used
    assert clock.is_synchronised()


@pytest.mark.parametrize(("moved", "kept"), [(5.0, True), (-5.0, True), (5.1, False), (-5.1, False)])
def test_offset_is_kept_until_a_jump(moved: float, kept: bool) -> None:
    """A wall clock that moves by at most 5 s keeps the offset; a larger jump ends it."""
    manual = ManualClocks()
    clock = CloudClock(manual.clocks())
    clock.learn(60.0)
    manual.wall += moved

    assert clock.is_synchronised() is kept
    assert clock.now() == manual.wall + (60.0 if kept else 0.0)


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
