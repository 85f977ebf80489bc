"""A sleep that can be ended early, and a cancellation that must not be mistaken for that."""

from __future__ import annotations

import asyncio

import pytest

from app.system.sleep import InterruptibleSleep


class Sleeps:
    """A sleep that ends when it is told to."""

    def __init__(self) -> None:
        self.requested: list[float] = []
        self.end = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        self.requested.append(seconds)
        await self.end.wait()


async def turns() -> None:
    """Let every task that can run do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_it_sleeps_until_the_end() -> None:
    """Without `wake` the sleep lasts as long as the injected one."""
    sleeps = Sleeps()
    task = asyncio.create_task(InterruptibleSleep(sleeps).sleep(7.5))
    await turns()
    before = task.done()
    sleeps.end.set()
    await task

    assert sleeps.requested == [7.5]
    assert before is False


async def test_wake_ends_the_sleep() -> None:
    """`wake` ends the sleep under way, without an error; the next sleep is not affected."""
    sleeps = Sleeps()
    sleep = InterruptibleSleep(sleeps)
    first = asyncio.create_task(sleep.sleep(60))
    await turns()
    sleep.wake()
    await first
    second = asyncio.create_task(sleep.sleep(60))
    await turns()

    assert not second.done()
    sleeps.end.set()
    await second


async def test_wake_of_a_task_that_is_awake_does_nothing() -> None:
    """A `wake` before the sleep does not shorten it."""
    sleeps = Sleeps()
    sleep = InterruptibleSleep(sleeps)
    sleep.wake()
    task = asyncio.create_task(sleep.sleep(60))
    await turns()

    assert not task.done()
    sleeps.end.set()
    await task


@pytest.mark.parametrize("woken", [False, True], ids=["alone", "with wake"])
async def test_cancellation_reaches_the_task(woken: bool) -> None:
    """A task that is cancelled in its sleep ends, also if it is woken in the same turn."""
    sleep = InterruptibleSleep(Sleeps())
    task = asyncio.create_task(sleep.sleep(60))
    await turns()
    if woken:
        sleep.wake()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_no_timer_is_left_behind() -> None:
    """The injected sleep is cancelled with the task."""
    sleep = InterruptibleSleep(Sleeps())
    before = asyncio.all_tasks()
    task = asyncio.create_task(sleep.sleep(60))
    await turns()
    task.cancel()
    await asyncio.wait([task])
    await turns()

    assert asyncio.all_tasks() == before
