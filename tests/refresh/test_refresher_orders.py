"""Orders and clock jumps of one profile's refresher."""

from __future__ import annotations

import asyncio

import pytest

from app.core.errors import NoCredentials, Refused, Unreachable
from app.core.values import Credentials
from app.refresh.refresher import Refresher

from ..clock import Clock
from ..conftest import running
from .fake_cloud import FakeCloud, refreshed_now


async def test_ordered_refresh_is_immediate(refresher: Refresher, fake_cloud: FakeCloud, clock: Clock) -> None:
    """An order between two attempts starts one immediately, and `settled` waits for it."""
    async with running(refresher):
        await clock.asleep()
        await refreshed_now(refresher, clock)

        assert refresher.credentials().access_key_id == "STS.2"
        assert fake_cloud.calls == 2


async def test_orders_during_an_attempt_lead_to_one_more(
    refresher: Refresher, fake_cloud: FakeCloud, clock: Clock
) -> None:
    """Orders during an attempt lead to one more attempt, and `settled` waits for the result of that one."""
    fake_cloud.open.clear()
    async with running(refresher):
        await asyncio.sleep(0)
        for _ in range(3):
            refresher.refresh_now()
        fake_cloud.open.set()
        await refresher.settled()

        assert (refresher.credentials().access_key_id, fake_cloud.calls) == ("STS.2", 2)


async def test_readers_wait_for_the_second_attempt_too(
    refresher: Refresher, fake_cloud: FakeCloud, clock: Clock
) -> None:
    """During a later attempt `settled` waits for its end, and the status has no time of the next one."""
    async with running(refresher):
        await clock.asleep()
        planned = refresher.status.next_refresh_at
        fake_cloud.open.clear()
        clock.skip(1300)
        waking = asyncio.create_task(clock.advance(0))
        for _ in range(5):
            await asyncio.sleep(0)
        reader = asyncio.create_task(refresher.settled())
        await asyncio.sleep(0)

        assert (planned is None, refresher.status.next_refresh_at, reader.done()) == (False, None, False)

        fake_cloud.open.set()
        await asyncio.gather(waking, reader)


async def test_purged_session_is_not_served(refresher: Refresher, fake_cloud: FakeCloud, clock: Clock) -> None:
    """After a purge there is nothing to serve until the next session; when that one expires, it is not `dropped`."""
    async with running(refresher):
        await clock.asleep()
        refresher.purge()
        states, left = [refresher.status.state], refresher.left()
        with pytest.raises(NoCredentials, match=r"^profile default: no answer from the cloud yet$"):
            refresher.credentials()
        await refreshed_now(refresher, clock)
        states.append(refresher.status.state)
        clock.skip(3600)

    assert (left, [*states, refresher.status.state]) == (0, ["dropped", "fresh", "expired"])


async def test_restored_session_is_replaced_immediately(
    refresher: Refresher, fake_cloud: FakeCloud, clock: Clock
) -> None:
    """A restored session is fresh, and the first attempt is due although `settled` does not wait for it."""
    refresher.restore(Credentials("STS.0", "secret", "token", clock.time(), clock.time() + 3600))
    await asyncio.wait_for(refresher.settled(), 60)
    restored = refresher.status
    async with running(refresher):
        await clock.asleep()

    assert (restored.state, restored.next_refresh_at) == ("fresh", clock.time())
    assert refresher.credentials().access_key_id == "STS.1"


@pytest.mark.parametrize(
    ("jump", "pause", "calls"),
    [(0, 1440, 1), (1000, 440, 1), (-1000, 1440, 1), (1439, 1, 1), (1440, 1260, 2), (9000, 1260, 2)],
)
async def test_clock_jump_changes_the_next_refresh(
    jump: float, pause: float, calls: int, refresher: Refresher, fake_cloud: FakeCloud, clock: Clock
) -> None:
    """After a jump the next refresh is when 2160 s are left, without jitter; immediately if less is left."""
    async with running(refresher):
        await clock.asleep()
        clock.jump(jump)
        refresher.clock_jumped()
        for _ in range(10):
            await asyncio.sleep(0)

        assert (await clock.asleep(), fake_cloud.calls) == (pytest.approx(pause), calls)


async def test_failed_attempt_is_repeated_after_a_clock_jump(
    refresher: Refresher, fake_cloud: FakeCloud, clock: Clock
) -> None:
    """What failed may have failed because of the clock, so it is tried again immediately."""
    fake_cloud.errors = [Refused("no", status=400, code="x")]
    async with running(refresher):
        await clock.asleep()
        refresher.clock_jumped()
        await refresher.settled()

        assert refresher.credentials().access_key_id == "STS.2"


async def test_clock_jump_during_an_attempt_orders_nothing(
    refresher: Refresher, fake_cloud: FakeCloud, clock: Clock
) -> None:
    """During an attempt a clock jump has no effect: the attempt itself schedules the next one."""
    fake_cloud.errors = [Unreachable("down")]
    async with running(refresher):
        await clock.asleep()
        fake_cloud.open.clear()
        refresher.refresh_now()
        for _ in range(5):
            await asyncio.sleep(0)
        refresher.clock_jumped()
        assert not refresher.overdue()
        fake_cloud.open.set()
        await refresher.settled()
        await clock.asleep()

    assert fake_cloud.calls == 2


async def test_clock_jump_without_a_session_orders_nothing(
    refresher: Refresher, fake_cloud: FakeCloud, clock: Clock
) -> None:
    """After a purge a clock jump changes nothing: the next refresh comes when it was due."""
    async with running(refresher):
        pause = await clock.asleep()
        refresher.purge()
        refresher.clock_jumped()
        for _ in range(5):
            await asyncio.sleep(0)

        assert (await clock.asleep(), fake_cloud.calls) == (pause, 1)


@pytest.mark.parametrize(
    ("errors", "purged", "expected"),
    [([], False, True), ([Unreachable("down")], False, False), ([], True, False)],
    ids=["healthy", "failed", "purged"],
)
async def test_overdue_session_is_replaced(
    errors: list[Exception], purged: bool, expected: bool, refresher: Refresher, fake_cloud: FakeCloud, clock: Clock
) -> None:
    """A held session that expired unnoticed is replaced immediately; a failed profile keeps its pace of retries."""
    async with running(refresher):
        await clock.asleep()
        fake_cloud.errors = errors
        if errors:
            await clock.wake()
        if purged:
            refresher.purge()
        calls = fake_cloud.calls

        assert refresher.overdue() is expected
        for _ in range(10):
            await asyncio.sleep(0)
        assert fake_cloud.calls == calls + expected
