"""How often one caller may ask."""

from __future__ import annotations

from app.serve.peers.peer import STRANGER, Caller, Process, Visitor
from app.serve.rate_limit import MOST_CALLERS, Rate

from ..clock import Clock


def visitor(uid: int) -> Visitor:
    async def look(_caller: Caller) -> Process:
        return Process()

    return Visitor(lambda: Caller(uid, 1), look)


def test_a_seconds_worth_at_once_and_then_the_rate(clock: Clock) -> None:
    """A burst of a second's requests passes; after it, as many as the time that went by allows."""
    rate = Rate(4, clock.time)
    burst = [rate.allows(visitor(1)) for _ in range(6)]
    clock.skip(0.5)

    assert burst == [True] * 4 + [False] * 2
    assert [rate.allows(visitor(1)) for _ in range(3)] == [True, True, False]


def test_less_than_one_a_second(clock: Clock) -> None:
    """The first request always passes, also under a rate of less than one."""
    rate = Rate(0.5, clock.time)
    assert [rate.allows(visitor(1)), rate.allows(visitor(1))] == [True, False]

    clock.skip(2)
    assert rate.allows(visitor(1))


def test_each_uid_has_its_own(clock: Clock) -> None:
    """One user's requests take nothing from another's; those whose uid nobody knows share one."""
    rate = Rate(1, clock.time)

    assert [rate.allows(item) for item in (visitor(1), visitor(2), STRANGER, visitor(1), STRANGER)] == [
        True, True, True, False, False,
    ]  # fmt: skip


def test_it_remembers_a_bounded_number(clock: Clock) -> None:
    """However many users there are, so many are kept; the one forgotten begins anew."""
    rate = Rate(1, clock.time)
    allowed = [rate.allows(visitor(uid)) for uid in range(MOST_CALLERS + 1)]

    assert all(allowed)
    assert rate.allows(visitor(0))
    assert not rate.allows(visitor(MOST_CALLERS))


def test_a_clock_that_goes_back(clock: Clock) -> None:
    """A clock set back gives nothing and takes nothing."""
    rate = Rate(1, clock.time)
    rate.allows(visitor(1))
    clock.skip(-10)
    assert not rate.allows(visitor(1))

    clock.skip(1)
    assert rate.allows(visitor(1))
