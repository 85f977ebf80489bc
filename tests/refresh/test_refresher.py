"""Attempts of one profile's refresher: their times, and the sessions that are served meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from app.core.errors import ConfigError, NoCredentials, Refused, Unreachable
from app.core.events import Event, Refreshed
from app.core.schedule import Schedule
from app.core.values import Credentials
from app.refresh.refresher import Policy, Refresher

from ..clock import Clock
from ..conftest import running
from .fake_cloud import FakeCloud, refreshed_now


async def test_first_attempt_is_immediate(
    refresher: Refresher, fake_cloud: FakeCloud, clock: Clock, events: list[Event]
) -> None:
    """The first attempt is made immediately, and the next one is due before any client's refresh margin."""
    async with running(refresher):
        delay = await clock.asleep()

    assert refresher.credentials().access_key_id == "STS.1"
    assert 60 <= delay <= 3600 - 2160
    assert [type(event) for event in events] == [Refreshed]
    assert refresher.status.state == "fresh"


async def test_session_is_served_until_it_expires(refresher: Refresher, fake_cloud: FakeCloud, clock: Clock) -> None:
    """While the upstream fails, the last session is served until it expires; then NoCredentials is raised."""
    async with running(refresher):
        await clock.asleep()
        fake_cloud.errors = [Unreachable("down")] * 10_000
        await clock.advance(3599)
        assert refresher.credentials().access_key_id == "STS.1"
        assert refresher.status.state == "stale"

        await clock.advance(1)

        with pytest.raises(NoCredentials, match="down"):
            refresher.credentials()
        assert refresher.status.state == "expired"


async def test_refresh_is_spread_after_a_start_and_after_a_failure(
    refresher: Refresher, fake_cloud: FakeCloud, clock: Clock
) -> None:
    """Many sidecars may start or recover together, so the refresh after that is spread, and later ones are not."""
    async with running(refresher):
        delays = [await clock.asleep()]
        await clock.wake()
        delays.append(await clock.asleep())
        fake_cloud.errors = [Unreachable("down")]
        await clock.wake()
        await clock.wake()
        delays.append(await clock.asleep())
        await clock.wake()
        delays.append(await clock.asleep())

    spread, regular = 1440 - (0.5 * 1260 + 180) * 23 / 24, 3600 - 2160 - 0.5 * 360
    assert delays == pytest.approx([spread, regular, spread, regular])


async def test_refresh_is_spread_after_an_order(refresher: Refresher, fake_cloud: FakeCloud, clock: Clock) -> None:
    """The whole fleet may get the same order, so the refresh after it is spread, and the next one is not."""
    async with running(refresher):
        await clock.wake()
        regular = await clock.asleep()
        spread = await refreshed_now(refresher, clock)
        await clock.wake()
        next_one = await clock.asleep()

    assert [regular, spread, next_one] == pytest.approx([1260, 1440 - (0.5 * 1260 + 180) * 23 / 24, 1260])


@pytest.mark.parametrize(
    ("behind", "pauses"),
    [
        (0, [1440 - 810 * 23 / 24, 1260]),
        (1400, [1, 440]),  # a fifth of the 2200 s that are left
        (2160, [1, 288]),
        (3500, [1, 20]),
        (3580, [1, 20]),
    ],
)
async def test_session_that_arrives_late_in_its_life_is_left_alone(
    behind: float, pauses: list[float], refresher: Refresher, fake_cloud: FakeCloud, clock: Clock
) -> None:
    """
    If this machine's clock is ahead, a session is kept for a fifth of what is left, and at least 20 s.

    The first session after a start is replaced sooner: the order of a fleet would otherwise stay as it was.
    """
    fake_cloud.behind = behind
    async with running(refresher):
        found = [await clock.asleep()]
        await clock.wake()
        found.append(await clock.asleep())

    assert found == pytest.approx(pauses)


@pytest.mark.parametrize(("behind", "served"), [(40, True), (41, False)])
async def test_very_short_session_is_served_with_a_fifth_left(
    behind: float, served: bool, refresher: Refresher, fake_cloud: FakeCloud, clock: Clock
) -> None:
    """A session of 50 s is served if a fifth of it is left on arrival."""
    fake_cloud.life, fake_cloud.behind = 50.0, behind
    async with running(refresher):
        await clock.asleep()

    assert (refresher.left() > 0) is served


@pytest.mark.parametrize("behind", [3580.5, 3600, 5000])
async def test_session_that_has_expired_on_arrival_is_a_failure(
    behind: float, refresher: Refresher, fake_cloud: FakeCloud, clock: Clock
) -> None:
    """A session with less than 20 s left on arrival is not served, and the error names the difference of the clocks."""
    fake_cloud.behind = behind
    async with running(refresher):
        await clock.asleep()

    assert isinstance(refresher.last_error, Unreachable)
    assert str(refresher.last_error) == (
        f"the new session has expired already by this machine's clock, which is {behind:.0f} s ahead of the cloud's; "
        "set the clock"
    )
    assert (refresher.held, refresher.status.failures) == (None, 1)


@pytest.mark.parametrize(("outage", "pause"), [(1_300, 60), (2_700, 240), (4_700, 60), (7_200, 40)])
async def test_recovery_within_one_pause(
    outage: float, pause: float, refresher: Refresher, fake_cloud: FakeCloud, clock: Clock
) -> None:
    """After an outage the next attempt succeeds, at most 240 s later, or 40 s without a valid session."""
    async with running(refresher):
        await clock.wake()
        fake_cloud.errors = [Unreachable("down")] * 10_000
        await clock.advance(outage)
        fake_cloud.errors.clear()

        await clock.advance(pause)

    assert refresher.status.state == "fresh"
    assert refresher.status.failures == 0


@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999])
@pytest.mark.parametrize("served", [False, True])
@pytest.mark.parametrize(
    ("error", "max_calls"),
    [
        (Refused("no", status=401, code="x"), 1 + 3600 // 150),
        (ConfigError("no such file"), 1 + 3600 // 150),
        (Unreachable("down"), 6 + 3600 // 20),
        (Unreachable("quota", code="Throttling.User", throttled=True), 6 + 3600 // 20),
        (Unreachable("slow", retry_after=90), 1 + 3600 // 30),
        (Unreachable("soon", retry_after=0), 6 + 3600 // 20),
        (RuntimeError("a bug"), 6 + 3600 // 20),
    ],
    ids=lambda value: str(value),
)
async def test_calls_per_hour_are_bounded(
    chance: float, served: bool, error: Exception, max_calls: int, fake_cloud: FakeCloud, clock: Clock
) -> None:
    """Whatever fails and whatever the jitter, an hour has at most 186 calls, or 25 after a permanent error."""
    refresher = failing_refresher(fake_cloud, clock, chance)
    async with running(refresher):
        await clock.asleep()
        if served:
            fake_cloud.errors = []
            await clock.advance(400)
        fake_cloud.errors = [error] * 10_000
        calls = []
        for _ in range(4):
            before = fake_cloud.calls
            await clock.advance(3600)
            calls.append(fake_cloud.calls - before)

    assert 0 < max(calls) <= max_calls


def failing_refresher(fake_cloud: FakeCloud, clock: Clock, chance: float) -> Refresher:
    """Return a refresher whose first attempt fails."""
    fake_cloud.errors = [Unreachable("down")]
    return Refresher(
        "default",
        fake_cloud.fetch,
        policy=Policy(Schedule()),
        observe=lambda _event: None,
        clocks=clock.clocks,
        sleep=clock.sleep,
        random=lambda: chance,
    )


async def test_retry_after_is_honoured(refresher: Refresher, fake_cloud: FakeCloud, clock: Clock) -> None:
    """A throttled attempt is repeated after its Retry-After, but within 40 s while nothing is held."""
    fake_cloud.errors = [Unreachable("slow down", retry_after=20.0), Unreachable("slow down", retry_after=1e9)]
    async with running(refresher):
        assert await clock.asleep() == pytest.approx(20.375)
        await clock.wake()
        assert 30 <= await clock.asleep() <= 40


async def test_pause_after_throttling_is_longer(refresher: Refresher, fake_cloud: FakeCloud, clock: Clock) -> None:
    """When the shared quota is used up, the first pause is longer than after another error."""
    pauses = []
    fake_cloud.errors = [Unreachable("quota", throttled=True), Unreachable("down")]
    async with running(refresher):
        pauses.append(await clock.asleep())
        await clock.wake()
        pauses.append(await clock.asleep())

    assert pauses == pytest.approx([6, 1.5])


async def test_concurrent_readers_share_one_attempt(refresher: Refresher, fake_cloud: FakeCloud, clock: Clock) -> None:
    """Two hundred readers before the first session cause one call and all get its result."""
    fake_cloud.open.clear()
    async with running(refresher):
        readers = [asyncio.create_task(refresher.settled()) for _ in range(200)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in readers)
        fake_cloud.open.set()
        await asyncio.gather(*readers)

    assert fake_cloud.calls == 1
    assert refresher.credentials().access_key_id == "STS.1"


async def test_readers_do_not_wait_between_attempts(refresher: Refresher, fake_cloud: FakeCloud, clock: Clock) -> None:
    """In a pause after a failure readers get the error immediately, with the seconds until the next attempt."""
    fake_cloud.errors = [Unreachable("down", retry_after=20.0)]
    async with running(refresher):
        await clock.asleep()
        await asyncio.wait_for(refresher.settled(), 60)

        with pytest.raises(NoCredentials) as caught:
            refresher.credentials()

    assert caught.value.retry_after == pytest.approx(20.375)


async def test_cancelled_loop_releases_waiting_readers(refresher: Refresher, fake_cloud: FakeCloud) -> None:
    """When the loop is cancelled, as for a removed profile, callers waiting in `settled` are released."""
    fake_cloud.open.clear()
    async with running(refresher):
        waiting = asyncio.create_task(refresher.settled())
        for _ in range(3):
            await asyncio.sleep(0)
    done, _ = await asyncio.wait((waiting,), timeout=60)

    assert (fake_cloud.calls, done) == (1, {waiting})


async def test_hanging_refresh_does_not_block_readers(
    refresher: Refresher, fake_cloud: FakeCloud, clock: Clock
) -> None:
    """While a refresh hangs, readers get the current session."""
    async with running(refresher):
        await clock.asleep()
        fake_cloud.open.clear()
        clock.skip(1300)
        waking = asyncio.create_task(clock.advance(0))
        await asyncio.sleep(0)

        assert refresher.credentials().access_key_id == "STS.1"

        fake_cloud.open.set()
        await waking


async def test_restored_session_is_served_while_the_cloud_hangs(
    refresher: Refresher, fake_cloud: FakeCloud, clock: Clock
) -> None:
    """A reader that waits before a cached session is restored gets it immediately, although the cloud hangs."""
    fake_cloud.open.clear()
    waiting = asyncio.create_task(refresher.settled())
    await asyncio.sleep(0)
    restored = Credentials("STS.0", "secret", "token", clock.time() - 600, clock.time() + 3000)
    refresher.restore(restored)
    await waiting
    async with running(refresher):
        await asyncio.sleep(0)

        assert refresher.credentials() == restored
        assert fake_cloud.calls == 1
        clock.skip(3000)
        with pytest.raises(NoCredentials):
            refresher.credentials()


async def test_restored_session_lasts_at_most_its_lifetime(refresher: Refresher, clock: Clock) -> None:
    """A wall clock that is far behind at the start does not extend a restored session beyond its lifetime."""
    refresher.restore(Credentials("STS.0", "secret", "token", clock.time() + 80_000, clock.time() + 83_600))
    clock.skip(3600)

    assert refresher.left() == 0


async def test_restored_session_is_not_served_after_a_purge(refresher: Refresher, clock: Clock) -> None:
    """A purge during the restore from the cache wins: the session from before the restart is not served."""
    refresher.purge()
    restored = refresher.restore(Credentials("STS.0", "secret", "token", clock.time(), clock.time() + 3600))

    assert not restored
    assert refresher.held is None
    assert refresher.status.state == "dropped"


async def test_purge_drops_what_an_attempt_under_way_brings(
    refresher: Refresher, fake_cloud: FakeCloud, clock: Clock, events: list[Event]
) -> None:
    """A session that was requested before a purge is never served, stored or reported; another attempt follows."""
    fake_cloud.open.clear()
    async with running(refresher):
        await fake_cloud.asked.wait()
        refresher.purge()
        fake_cloud.open.set()
        await clock.asleep()

    assert refresher.credentials().access_key_id == "STS.2"
    assert [event.credentials.access_key_id for event in events if isinstance(event, Refreshed)] == ["STS.2"]
