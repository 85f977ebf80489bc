"""The turns of one profile's loop: when an attempt is due, and whom its end releases."""

from __future__ import annotations

import asyncio

import pytest

from app.refresh.attempts import Attempts, Phase

from ..clock import Clock


class Turns:
    """The attempts of a loop, the sleeps that it asked for, and how often it was woken."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.sleeps: list[float] = []
        self.woken = 0
        self.attempts = Attempts(clock.monotonic, self._sleep, self._wake)

    async def _sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.clock.skip(seconds / 2)  # as if woken early
        if seconds < 1:
            self.clock.skip(seconds / 2)

    def _wake(self) -> None:
        self.woken += 1

    async def released(self) -> bool:
        """Return whether a caller that waits for the end of the attempt is released by now."""
        waiting = asyncio.create_task(self.attempts.ended())
        for _ in range(3):
            await asyncio.sleep(0)
        waiting.cancel()
        return waiting.done()


@pytest.fixture
def turns(clock: Clock) -> Turns:
    """Attempts on the test's clock."""
    return Turns(clock)


async def test_first_attempt_is_due_immediately(turns: Turns) -> None:
    """A loop begins with an attempt, and callers wait for its end."""
    await turns.attempts.until_due()

    assert turns.sleeps == []
    assert (turns.attempts.phase, await turns.released()) == (Phase.ATTEMPTING, False)


async def test_loop_sleeps_until_an_attempt_is_due(turns: Turns, clock: Clock) -> None:
    """A loop that is woken early sleeps again for the rest."""
    turns.attempts.schedule(4)
    await turns.attempts.until_due()

    assert turns.sleeps == [4, 2, 1, 0.5]
    assert turns.attempts.due == clock.monotonic()


async def test_end_of_an_attempt_releases_its_callers(turns: Turns) -> None:
    """All callers of one attempt are released together, and later ones do not wait."""
    callers = [asyncio.create_task(turns.attempts.ended()) for _ in range(2)]
    await asyncio.sleep(0)
    turns.attempts.end()
    await asyncio.wait(callers, timeout=60)

    assert [caller.done() for caller in callers] == [True, True]
    assert (turns.attempts.phase, await turns.released()) == (Phase.WAITING, True)


async def test_next_attempt_has_its_own_callers(turns: Turns) -> None:
    """Callers that come during the next attempt wait for its end and not for the previous one."""
    assert not await turns.released()
    turns.attempts.end()
    turns.attempts.begin()

    assert (turns.attempts.phase, await turns.released()) == (Phase.ATTEMPTING, False)
    turns.attempts.end()
    assert await turns.released()


async def test_order_between_attempts_starts_one(turns: Turns, clock: Clock) -> None:
    """An order wakes the loop for an attempt that is due now; callers wait for it."""
    turns.attempts.schedule(100)
    turns.attempts.end()
    turns.attempts.order()

    assert (turns.attempts.phase, turns.attempts.due, turns.woken) == (Phase.ATTEMPTING, clock.monotonic(), 1)
    assert not await turns.released()


@pytest.mark.parametrize("orders", [1, 3])
async def test_orders_during_an_attempt_lead_to_one_more(orders: int, turns: Turns, clock: Clock) -> None:
    """However many orders come during an attempt, one more follows immediately, and callers wait for that one."""
    turns.attempts.begin()
    for _ in range(orders):
        turns.attempts.order()
    assert turns.attempts.phase is Phase.REPEATING
    turns.attempts.schedule(100)
    turns.attempts.end()

    assert (turns.attempts.phase, turns.attempts.due) == (Phase.ATTEMPTING, clock.monotonic())
    assert not await turns.released()

    turns.attempts.schedule(100)
    turns.attempts.end()
    assert (turns.attempts.phase, turns.attempts.due) == (Phase.WAITING, clock.monotonic() + 100)
    assert await turns.released()


async def test_rescheduled_attempt_wakes_the_loop(turns: Turns, clock: Clock) -> None:
    """A new time for the next attempt wakes the loop, and makes no caller wait."""
    turns.attempts.schedule(100)
    turns.attempts.end()
    turns.attempts.reschedule(7)

    assert (turns.attempts.phase, turns.attempts.due, turns.woken) == (Phase.WAITING, clock.monotonic() + 7, 1)
    assert await turns.released()
