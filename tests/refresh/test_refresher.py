"""One profile's refresher, with a fake fetch and a clock that the test moves."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from app.core.errors import ConfigError, NoCredentials, Refused, Unreachable
from app.core.events import Event, Refreshed, RefreshFailed
from app.core.schedule import Schedule
from app.core.values import Credentials
from app.refresh.refresher import Policy, Refresher

from ..clock import Clock
from ..conftest import running


class FakeCloud:
    """Return sessions of one hour, or raise the errors that are queued in `errors`."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.calls = 0
        self.errors: list[Exception] = []
        self.open = asyncio.Event()
        self.open.set()

    async def fetch(self) -> Credentials:
        """Return a session, or raise the next queued error, as soon as `open` is set."""
        self.calls += 1
        await self.open.wait()
        if self.errors:
            raise self.errors.pop(0)
        now = self.clock.time()
        return Credentials(f"STS.{self.calls}", "secret", "token", issued_at=now, expires_at=now + 3600)


@pytest.fixture
def cloud(clock: Clock) -> FakeCloud:
    """The fake cloud that the refresher fetches from."""
    return FakeCloud(clock)


@pytest.fixture
def events() -> list[Event]:
    """The events that the refresher has emitted."""
    return []


@pytest.fixture
def refresher(cloud: FakeCloud, clock: Clock, events: list[Event]) -> Refresher:
    """A refresher with the default schedule and a constant jitter."""
    return Refresher(
        "default",
        cloud.fetch,
        policy=Policy(Schedule()),
        observe=events.append,
        clocks=clock.clocks,
        sleep=clock.sleep,
        random=lambda: 0.5,
    )


async def test_first_attempt_is_immediate(
    refresher: Refresher, cloud: FakeCloud, clock: Clock, events: list[Event]
) -> None:
    """The first attempt is made immediately, and the next one is due before any client's refresh margin."""
    async with running(refresher):
        delay = await clock.asleep()

    assert refresher.credentials().access_key_id == "STS.1"
    assert 60 <= delay <= 3600 - 2160
    assert [type(event) for event in events] == [Refreshed]
    assert refresher.status.state == "fresh"


async def test_session_is_served_until_it_expires(refresher: Refresher, cloud: FakeCloud, clock: Clock) -> None:
    """While the upstream fails, the last session is served until it expires; then NoCredentials is raised."""
    async with running(refresher):
        await clock.asleep()
        cloud.errors = [Unreachable("down")] * 10_000
        await clock.advance(3599)
        assert refresher.credentials().access_key_id == "STS.1"
        assert refresher.status.state == "stale"

        await clock.advance(1)

        with pytest.raises(NoCredentials, match="down"):
            refresher.credentials()
        assert refresher.status.state == "expired"


async def test_refresh_is_spread_after_a_start_and_after_a_failure(
    refresher: Refresher, cloud: FakeCloud, clock: Clock
) -> None:
    """Many sidecars may start or recover together, so the refresh after that is spread, and later ones are not."""
    async with running(refresher):
        delays = [await clock.asleep()]
        await clock.wake()
        delays.append(await clock.asleep())
        cloud.errors = [Unreachable("down")]
        await clock.wake()
        await clock.wake()
        delays.append(await clock.asleep())
        await clock.wake()
        delays.append(await clock.asleep())

    spread, regular = 1440 - (0.5 * 1260 + 180) * 23 / 24, 3600 - 2160 - 0.5 * 360
    assert delays == pytest.approx([spread, regular, spread, regular])


@pytest.mark.parametrize(("outage", "pause"), [(1_300, 60), (2_700, 240), (4_700, 60), (7_200, 40)])
async def test_recovery_within_one_pause(
    outage: float, pause: float, refresher: Refresher, cloud: FakeCloud, clock: Clock
) -> None:
    """After an outage the next attempt succeeds, at most 240 s later, or 40 s without a valid session."""
    async with running(refresher):
        await clock.wake()
        cloud.errors = [Unreachable("down")] * 10_000
        await clock.advance(outage)
        cloud.errors.clear()

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
    chance: float, served: bool, error: Exception, max_calls: int, cloud: FakeCloud, clock: Clock
) -> None:
    """Whatever fails and whatever the jitter, an hour has at most 186 calls, or 25 after a permanent error."""
    refresher = failing_refresher(cloud, clock, chance)
    async with running(refresher):
        await clock.asleep()
        if served:
            cloud.errors = []
            await clock.advance(400)
        cloud.errors = [error] * 10_000
        calls = []
        for _ in range(4):
            before = cloud.calls
            await clock.advance(3600)
            calls.append(cloud.calls - before)

    assert 0 < max(calls) <= max_calls


def failing_refresher(cloud: FakeCloud, clock: Clock, chance: float) -> Refresher:
    """Return a refresher whose first attempt fails."""
    cloud.errors = [Unreachable("down")]
    return Refresher(
        "default",
        cloud.fetch,
        policy=Policy(Schedule()),
        observe=lambda _event: None,
        clocks=clock.clocks,
        sleep=clock.sleep,
        random=lambda: chance,
    )


async def test_retry_after_is_honoured(refresher: Refresher, cloud: FakeCloud, clock: Clock) -> None:
    """A throttled attempt is repeated after its Retry-After, but within 40 s while nothing is held."""
    cloud.errors = [Unreachable("slow down", retry_after=20.0), Unreachable("slow down", retry_after=1e9)]
    async with running(refresher):
        assert await clock.asleep() == pytest.approx(20.375)
        await clock.wake()
        assert 30 <= await clock.asleep() <= 40


async def test_pause_after_throttling_is_longer(refresher: Refresher, cloud: FakeCloud, clock: Clock) -> None:
    """When the shared quota is used up, the first pause is longer than after another error."""
    pauses = []
    cloud.errors = [Unreachable("quota", throttled=True), Unreachable("down")]
    async with running(refresher):
        pauses.append(await clock.asleep())
        await clock.wake()
        pauses.append(await clock.asleep())

    assert pauses == pytest.approx([6, 1.5])


async def test_concurrent_readers_share_one_attempt(refresher: Refresher, cloud: FakeCloud, clock: Clock) -> None:
    """Two hundred readers before the first session cause one call and all get its result."""
    cloud.open.clear()
    async with running(refresher):
        readers = [asyncio.create_task(refresher.settled()) for _ in range(200)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in readers)
        cloud.open.set()
        await asyncio.gather(*readers)

    assert cloud.calls == 1
    assert refresher.credentials().access_key_id == "STS.1"


async def test_readers_do_not_wait_between_attempts(refresher: Refresher, cloud: FakeCloud, clock: Clock) -> None:
    """In a pause after a failure readers get the error immediately, with the seconds until the next attempt."""
    cloud.errors = [Unreachable("down", retry_after=20.0)]
    async with running(refresher):
        await clock.asleep()
        await asyncio.wait_for(refresher.settled(), 1)

        with pytest.raises(NoCredentials) as caught:
            refresher.credentials()

    assert caught.value.retry_after == pytest.approx(20.375)


async def test_cancelled_loop_releases_waiting_readers(refresher: Refresher, cloud: FakeCloud) -> None:
    """When the loop is cancelled, as for a removed profile, callers waiting in `settled` are released."""
    cloud.open.clear()
    async with running(refresher):
        waiting = asyncio.create_task(refresher.settled())
        for _ in range(3):
            await asyncio.sleep(0)
    done, _ = await asyncio.wait((waiting,), timeout=1)

    assert (cloud.calls, done) == (1, {waiting})


async def test_hanging_refresh_does_not_block_readers(refresher: Refresher, cloud: FakeCloud, clock: Clock) -> None:
    """While a refresh hangs, readers get the current session."""
    async with running(refresher):
        await clock.asleep()
        cloud.open.clear()
        clock.skip(1300)
        waking = asyncio.create_task(clock.advance(0))
        await asyncio.sleep(0)

        assert refresher.credentials().access_key_id == "STS.1"

        cloud.open.set()
        await waking


async def test_restored_session_is_served_while_the_cloud_hangs(
    refresher: Refresher, cloud: FakeCloud, clock: Clock
) -> None:
    """A reader that waits before a cached session is restored gets it immediately, although the cloud hangs."""
    cloud.open.clear()
    waiting = asyncio.create_task(refresher.settled())
    await asyncio.sleep(0)
    restored = Credentials("STS.0", "secret", "token", clock.time() - 600, clock.time() + 3000)
    refresher.restore(restored)
    await waiting
    async with running(refresher):
        await asyncio.sleep(0)

        assert refresher.credentials() == restored
        assert cloud.calls == 1
        clock.skip(3000)
        with pytest.raises(NoCredentials):
            refresher.credentials()


async def test_restored_session_lasts_at_most_its_lifetime(refresher: Refresher, clock: Clock) -> None:
    """A wall clock that is far behind at the start does not extend a restored session beyond its lifetime."""
    refresher.restore(Credentials("STS.0", "secret", "token", clock.time() + 80_000, clock.time() + 83_600))
    clock.skip(3600)

    assert refresher.left() == 0


async def test_unexpected_exception_does_not_end_the_loop(
    refresher: Refresher, cloud: FakeCloud, clock: Clock, events: list[Event]
) -> None:
    """An unexpected exception counts as a failed attempt, and the next attempt succeeds."""
    cloud.errors = [RuntimeError("secret words")]
    async with running(refresher):
        await clock.asleep()
        failed = events[-1]
        await clock.wake()

    assert isinstance(failed, RefreshFailed)
    assert refresher.credentials().access_key_id == "STS.2"


async def test_text_of_an_unexpected_exception_is_not_shown(
    refresher: Refresher, cloud: FakeCloud, clock: Clock
) -> None:
    """The text of an unexpected exception, which may hold anything, reaches neither a reader nor the status."""
    cloud.errors = [RuntimeError("secret words")] * 2
    async with running(refresher):
        await clock.asleep()

    assert refresher.status.last_error == "internal error (RuntimeError)"
    with pytest.raises(NoCredentials, match=r"internal error \(RuntimeError\)"):
        refresher.credentials()


async def test_last_error_keeps_no_frames(refresher: Refresher, cloud: FakeCloud, clock: Clock) -> None:
    """The error kept until the next attempt holds no stack frames, because one of them refers to a response body."""

    class Body:
        """An object that a frame of the traceback refers to."""

    async def fetch() -> Credentials:
        body = Body()
        bodies.append(weakref.ref(body))
        try:
            raise ValueError("an error of a library")
        except ValueError:
            raise Unreachable("away") from None

    bodies: list[weakref.ref[Body]] = []
    refresher._fetch = fetch
    gc.disable()
    try:
        async with running(refresher):
            await clock.asleep()

            assert str(refresher.last_error) == "away"
            assert [body() for body in bodies] == [None]
    finally:
        gc.enable()


def test_repr_hides_secrets() -> None:
    """The repr of credentials shows neither the secret nor the token."""
    shown = repr(Credentials("STS.id", "the-secret", "the-token", issued_at=0, expires_at=1))

    assert "the-secret" not in shown
    assert "the-token" not in shown
    assert "STS.id" in shown
