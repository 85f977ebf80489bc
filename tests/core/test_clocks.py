"""The detection of clock jumps, and the estimate of the cloud's clock."""

from __future__ import annotations

import pytest

from app.core.clocks import Clocks, CloudClock, JumpDetector


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
    ("moved", "expected"), [(0, None), (4.9, None), (-4.9, None), (5.1, 5.1), (-5.1, -5.1), (3_600, 3_600)]
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
