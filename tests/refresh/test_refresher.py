"""One profile kept fresh, over a fetch that the test plays and a clock that the test moves."""

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


class Pipeline:
    """Answers with sessions of an hour, or with the errors queued in `errors`."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.calls = 0
        self.errors: list[Exception] = []
        self.open = asyncio.Event()
        self.open.set()

    async def fetch(self) -> Credentials:
        self.calls += 1
        await self.open.wait()
        if self.errors:
            raise self.errors.pop(0)
        now = self.clock.time()
        return Credentials(f"STS.{self.calls}", "secret", "token", issued_at=now, expires_at=now + 3600)


@pytest.fixture
def cloud(clock: Clock) -> Pipeline:
    return Pipeline(clock)


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def refresher(cloud: Pipeline, clock: Clock, events: list[Event]) -> Refresher:
    return Refresher(
        "default",
        cloud.fetch,
        policy=Policy(Schedule()),
        observe=events.append,
        clocks=clock.clocks,
        sleep=clock.sleep,
        random=lambda: 0.5,
    )


async def test_first_answer(refresher: Refresher, cloud: Pipeline, clock: Clock, events: list[Event]) -> None:
    """The first attempt is made at once; the next is due well before clients would notice."""
    async with running(refresher):
        delay = await clock.asleep()

    assert refresher.credentials().access_key_id == "STS.1"
    assert 60 <= delay <= 3600 - 2160
    assert [type(event) for event in events] == [Refreshed]
    assert refresher.status.state == "fresh"


async def test_serves_until_the_last_second(refresher: Refresher, cloud: Pipeline, clock: Clock) -> None:
    """While the upstream is down, the last credentials are served until they expire, then NoCredentials."""
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


async def test_only_the_first_refresh_is_drawn_from_the_whole_life(
    refresher: Refresher, cloud: Pipeline, clock: Clock
) -> None:
    """A start, and the end of a failure, may be everybody's moment: what follows them is spread, and then it is not."""
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

    spread, routine = 1440 - (0.5 * 1260 + 180) * 23 / 24, 3600 - 2160 - 0.5 * 360
    assert delays == pytest.approx([spread, routine, spread, routine])


@pytest.mark.parametrize(("outage", "step"), [(1_300, 60), (2_700, 240), (4_700, 60), (7_200, 40)])
async def test_recovers_within_one_backoff_step(
    outage: float, step: float, refresher: Refresher, cloud: Pipeline, clock: Clock
) -> None:
    """When the upstream is back, the next attempt succeeds: at most 240 s away, and 40 with nothing to serve."""
    async with running(refresher):
        await clock.wake()
        cloud.errors = [Unreachable("down")] * 10_000
        await clock.advance(outage)
        cloud.errors.clear()

        await clock.advance(step)

    assert refresher.status.state == "fresh"
    assert refresher.status.failures == 0


@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999])
@pytest.mark.parametrize("served", [False, True])
@pytest.mark.parametrize(
    ("error", "most"),
    [
        (Refused("no", status=401, code="x"), 1 + 3600 // 150),
        (ConfigError("no such file"), 1 + 3600 // 150),
        (Unreachable("down"), 6 + 3600 // 20),
        (Unreachable("quota", code="Throttling.User", throttled=True), 6 + 3600 // 20),
        (Unreachable("slow", retry_after=90), 1 + 3600 // 90),
        (Unreachable("soon", retry_after=0), 6 + 3600 // 20),
        (RuntimeError("a bug"), 6 + 3600 // 20),
    ],
    ids=lambda value: str(value),
)
async def test_calls_of_an_hour_are_bounded(
    chance: float, served: bool, error: Exception, most: int, cloud: Pipeline, clock: Clock
) -> None:
    """Whatever fails for hours and however chance falls, an hour has at most 186 calls; 25 after a definite no."""
    refresher = failing(cloud, clock, chance)
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

    assert 0 < max(calls) <= most


def failing(cloud: Pipeline, clock: Clock, chance: float) -> Refresher:
    """A refresher whose first attempt fails."""
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


async def test_retry_after_is_honoured(refresher: Refresher, cloud: Pipeline, clock: Clock) -> None:
    """A throttled attempt waits as long as it was told to."""
    cloud.errors = [Unreachable("slow down", retry_after=42.0)]
    async with running(refresher):
        assert await clock.asleep() == pytest.approx(42.75)


async def test_a_throttled_start_makes_room(refresher: Refresher, cloud: Pipeline, clock: Clock) -> None:
    """Who finds the shared quota used up waits for longer than who finds nobody there."""
    pauses = []
    cloud.errors = [Unreachable("quota", throttled=True), Unreachable("down")]
    async with running(refresher):
        pauses.append(await clock.asleep())
        await clock.wake()
        pauses.append(await clock.asleep())

    assert pauses == pytest.approx([6, 1.5])


async def test_a_crowd_shares_the_attempt(refresher: Refresher, cloud: Pipeline, clock: Clock) -> None:
    """Two hundred who ask before the first answer cause one call and all get its outcome."""
    cloud.open.clear()
    async with running(refresher):
        crowd = [asyncio.create_task(refresher.settled()) for _ in range(200)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in crowd)
        cloud.open.set()
        await asyncio.gather(*crowd)

    assert cloud.calls == 1
    assert refresher.credentials().access_key_id == "STS.1"


async def test_between_attempts_nobody_waits(refresher: Refresher, cloud: Pipeline, clock: Clock) -> None:
    """In a pause after a failure readers are told at once, and when to come back."""
    cloud.errors = [Unreachable("down", retry_after=20.0)]
    async with running(refresher):
        await clock.asleep()
        await asyncio.wait_for(refresher.settled(), 1)

        with pytest.raises(NoCredentials) as caught:
            refresher.credentials()

    assert caught.value.retry_after == pytest.approx(20.75)


async def test_nobody_waits_for_a_loop_that_was_ended(refresher: Refresher, cloud: Pipeline) -> None:
    """Who waits for an attempt is let go when the loop is cancelled, as when a profile is configured no more."""
    cloud.open.clear()
    async with running(refresher):
        waiting = asyncio.create_task(refresher.settled())
        for _ in range(3):
            await asyncio.sleep(0)
    done, _ = await asyncio.wait((waiting,), timeout=1)

    assert (cloud.calls, done) == (1, {waiting})


async def test_a_refresh_never_blocks_a_reader(refresher: Refresher, cloud: Pipeline, clock: Clock) -> None:
    """While a refresh hangs, the credentials held are read as before."""
    async with running(refresher):
        await clock.asleep()
        cloud.open.clear()
        clock.skip(1300)
        waking = asyncio.create_task(clock.advance(0))
        await asyncio.sleep(0)

        assert refresher.credentials().access_key_id == "STS.1"

        cloud.open.set()
        await waking


async def test_restored_at_once(refresher: Refresher, cloud: Pipeline, clock: Clock) -> None:
    """Who came before a session of before the restart was read has it then, though the cloud hangs."""
    cloud.open.clear()
    early = asyncio.create_task(refresher.settled())
    await asyncio.sleep(0)
    kept = Credentials("STS.0", "secret", "token", clock.time() - 600, clock.time() + 3000)
    refresher.restore(kept)
    await early
    async with running(refresher):
        await asyncio.sleep(0)

        assert refresher.credentials() == kept
        assert cloud.calls == 1
        clock.skip(3000)
        with pytest.raises(NoCredentials):
            refresher.credentials()


async def test_restored_by_a_clock_that_stood_wrong(refresher: Refresher, clock: Clock) -> None:
    """A wall clock that is far behind at the start prolongs no session beyond one whole life of it."""
    refresher.restore(Credentials("STS.0", "secret", "token", clock.time() + 80_000, clock.time() + 83_600))
    clock.skip(3600)

    assert refresher.left() == 0


async def test_a_bug_in_a_refresh_does_not_end_the_loop(
    refresher: Refresher, cloud: Pipeline, clock: Clock, events: list[Event]
) -> None:
    """An unexpected exception is a failure like another; its text, which may hold anything, is not repeated."""
    cloud.errors = [RuntimeError("secret words")]
    async with running(refresher):
        await clock.asleep()
        failed = events[-1]
        await clock.wake()

    assert isinstance(failed, RefreshFailed)
    assert refresher.credentials().access_key_id == "STS.2"


async def test_a_bugs_words_stay_inside(refresher: Refresher, cloud: Pipeline, clock: Clock) -> None:
    """A foreign exception's message never reaches a reader or the status."""
    cloud.errors = [RuntimeError("secret words")] * 2
    async with running(refresher):
        await clock.asleep()

    assert refresher.status.last_error == "internal error (RuntimeError)"
    with pytest.raises(NoCredentials, match=r"internal error \(RuntimeError\)"):
        refresher.credentials()


async def test_what_an_error_came_through_is_let_go(refresher: Refresher, cloud: Pipeline, clock: Clock) -> None:
    """The error that is kept until the next attempt keeps no frame of its way: an answer's body is in one."""

    class Body:
        """What a frame on the error's way holds."""

    async def fetch() -> Credentials:
        body = Body()
        kept.append(weakref.ref(body))
        try:
            raise ValueError("the library's")
        except ValueError:
            raise Unreachable("away") from None

    kept: list[weakref.ref[Body]] = []
    refresher._fetch = fetch
    gc.disable()
    try:
        async with running(refresher):
            await clock.asleep()

            assert str(refresher.last_error) == "away"
            assert [body() for body in kept] == [None]
    finally:
        gc.enable()


def test_repr_hides_the_secrets() -> None:
    """Neither the secret nor the token shows in a credential's repr."""
    shown = repr(Credentials("STS.id", "the-secret", "the-token", issued_at=0, expires_at=1))

    assert "the-secret" not in shown
    assert "the-token" not in shown
    assert "STS.id" in shown
