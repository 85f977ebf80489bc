"""One profile's refresher, with a fake fetch and a clock that the test moves."""

from __future__ import annotations

import asyncio
import gc
import re
import weakref

import pytest
from msgspec.structs import replace

from app.core.errors import ConfigError, NoCredentials, NotThereYet, Refused, Unreachable
from app.core.events import Dropped, Event, Refreshed, RefreshFailed
from app.core.schedule import Schedule
from app.core.values import Credentials, Status
from app.refresh.refresher import Policy, Refresher
from app.system.sleep import InterruptibleSleep

from ..clock import Clock
from ..conftest import running


class FakeCloud:
    """
    Return sessions of one hour, or raise the errors that are queued in `errors`.

    All in seconds: `life` of a session, `behind` is how far the cloud's clock is behind, one fetch `takes` its time.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.calls = 0
        self.life = 3600.0
        self.behind = 0.0
        self.takes = 0.0
        self.errors: list[Exception] = []
        self.open = asyncio.Event()
        self.open.set()
        self.asked = asyncio.Event()

    async def fetch(self) -> Credentials:
        """Return a session, or raise the next queued error, as soon as `open` is set."""
        self.calls += 1
        self.asked.set()
        await self.open.wait()
        self.clock.skip(self.takes)
        if self.errors:
            raise self.errors.pop(0)
        now = self.clock.time() - self.behind
        return Credentials(f"STS.{self.calls}", "secret", "token", issued_at=now, expires_at=now + self.life)


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
    sleep = InterruptibleSleep(clock.sleep)
    return Refresher(
        "default",
        cloud.fetch,
        policy=Policy(Schedule()),
        observe=events.append,
        clocks=clock.clocks,
        sleep=sleep.sleep,
        wake=sleep.wake,
        random=lambda: 0.5,
    )


async def refreshed_now(refresher: Refresher, clock: Clock) -> float:
    """Order a refresh and wait for it. Return the seconds until the next one."""
    refresher.refresh_now()
    await refresher.settled()
    return await clock.asleep()


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


async def test_refresh_is_spread_after_an_order(refresher: Refresher, cloud: FakeCloud, clock: Clock) -> None:
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
    behind: float, pauses: list[float], refresher: Refresher, cloud: FakeCloud, clock: Clock
) -> None:
    """
    If this machine's clock is ahead, a session is kept for a fifth of what is left, and at least 20 s.

    The first session after a start is replaced sooner: the order of a fleet would otherwise stay as it was.
    """
    cloud.behind = behind
    async with running(refresher):
        found = [await clock.asleep()]
        await clock.wake()
        found.append(await clock.asleep())

    assert found == pytest.approx(pauses)


@pytest.mark.parametrize(("behind", "served"), [(40, True), (41, False)])
async def test_very_short_session_is_served_with_a_fifth_left(
    behind: float, served: bool, refresher: Refresher, cloud: FakeCloud, clock: Clock
) -> None:
    """A session of 50 s is served if a fifth of it is left on arrival."""
    cloud.life, cloud.behind = 50.0, behind
    async with running(refresher):
        await clock.asleep()

    assert (refresher.left() > 0) is served


@pytest.mark.parametrize("behind", [3580.5, 3600, 5000])
async def test_session_that_has_expired_on_arrival_is_a_failure(
    behind: float, refresher: Refresher, cloud: FakeCloud, clock: Clock
) -> None:
    """A session with less than 20 s left on arrival is not served, and the error names the difference of the clocks."""
    cloud.behind = behind
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
        await asyncio.wait_for(refresher.settled(), 60)

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
    done, _ = await asyncio.wait((waiting,), timeout=60)

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


async def test_restored_session_is_not_served_after_a_purge(refresher: Refresher, clock: Clock) -> None:
    """A purge during the restore from the cache wins: the session from before the restart is not served."""
    refresher.purge()
    restored = refresher.restore(Credentials("STS.0", "secret", "token", clock.time(), clock.time() + 3600))

    assert not restored
    assert refresher.held is None
    assert refresher.status.state == "dropped"


async def test_purge_drops_what_an_attempt_under_way_brings(
    refresher: Refresher, cloud: FakeCloud, clock: Clock, events: list[Event]
) -> None:
    """A session that was requested before a purge is never served, stored or reported; another attempt follows."""
    cloud.open.clear()
    async with running(refresher):
        await cloud.asked.wait()
        refresher.purge()
        cloud.open.set()
        await clock.asleep()

    assert refresher.credentials().access_key_id == "STS.2"
    assert [event.credentials.access_key_id for event in events if isinstance(event, Refreshed)] == ["STS.2"]


# --- orders and clock jumps -------------------------------------------------------------------------------------------


async def test_ordered_refresh_is_immediate(refresher: Refresher, cloud: FakeCloud, clock: Clock) -> None:
    """An order between two attempts starts one immediately, and `settled` waits for it."""
    async with running(refresher):
        await clock.asleep()
        await refreshed_now(refresher, clock)

        assert refresher.credentials().access_key_id == "STS.2"
        assert cloud.calls == 2


async def test_orders_during_an_attempt_lead_to_one_more(refresher: Refresher, cloud: FakeCloud, clock: Clock) -> None:
    """Orders during an attempt lead to one more attempt, and `settled` waits for the result of that one."""
    cloud.open.clear()
    async with running(refresher):
        await asyncio.sleep(0)
        for _ in range(3):
            refresher.refresh_now()
        cloud.open.set()
        await refresher.settled()

        assert (refresher.credentials().access_key_id, cloud.calls) == ("STS.2", 2)


async def test_readers_wait_for_the_second_attempt_too(refresher: Refresher, cloud: FakeCloud, clock: Clock) -> None:
    """During a later attempt `settled` waits for its end, and the status has no time of the next one."""
    async with running(refresher):
        await clock.asleep()
        planned = refresher.status.next_refresh_at
        cloud.open.clear()
        clock.skip(1300)
        waking = asyncio.create_task(clock.advance(0))
        for _ in range(5):
            await asyncio.sleep(0)
        reader = asyncio.create_task(refresher.settled())
        await asyncio.sleep(0)

        assert (planned is None, refresher.status.next_refresh_at, reader.done()) == (False, None, False)

        cloud.open.set()
        await asyncio.gather(waking, reader)


async def test_purged_session_is_not_served(refresher: Refresher, cloud: FakeCloud, clock: Clock) -> None:
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


async def test_restored_session_is_replaced_immediately(refresher: Refresher, cloud: FakeCloud, clock: Clock) -> None:
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
    jump: float, pause: float, calls: int, refresher: Refresher, cloud: FakeCloud, clock: Clock
) -> None:
    """After a jump the next refresh is when 2160 s are left, without jitter; immediately if less is left."""
    async with running(refresher):
        await clock.asleep()
        clock.jump(jump)
        refresher.clock_jumped()
        for _ in range(10):
            await asyncio.sleep(0)

        assert (await clock.asleep(), cloud.calls) == (pytest.approx(pause), calls)


async def test_failed_attempt_is_repeated_after_a_clock_jump(
    refresher: Refresher, cloud: FakeCloud, clock: Clock
) -> None:
    """What failed may have failed because of the clock, so it is tried again immediately."""
    cloud.errors = [Refused("no", status=400, code="x")]
    async with running(refresher):
        await clock.asleep()
        refresher.clock_jumped()
        await refresher.settled()

        assert refresher.credentials().access_key_id == "STS.2"


async def test_clock_jump_during_an_attempt_orders_nothing(
    refresher: Refresher, cloud: FakeCloud, clock: Clock
) -> None:
    """During an attempt a clock jump has no effect: the attempt itself schedules the next one."""
    cloud.errors = [Unreachable("down")]
    async with running(refresher):
        await clock.asleep()
        cloud.open.clear()
        refresher.refresh_now()
        for _ in range(5):
            await asyncio.sleep(0)
        refresher.clock_jumped()
        assert not refresher.overdue()
        cloud.open.set()
        await refresher.settled()
        await clock.asleep()

    assert cloud.calls == 2


async def test_clock_jump_without_a_session_orders_nothing(
    refresher: Refresher, cloud: FakeCloud, clock: Clock
) -> None:
    """After a purge a clock jump changes nothing: the next refresh comes when it was due."""
    async with running(refresher):
        pause = await clock.asleep()
        refresher.purge()
        refresher.clock_jumped()
        for _ in range(5):
            await asyncio.sleep(0)

        assert (await clock.asleep(), cloud.calls) == (pause, 1)


@pytest.mark.parametrize(
    ("errors", "purged", "expected"),
    [([], False, True), ([Unreachable("down")], False, False), ([], True, False)],
    ids=["healthy", "failed", "purged"],
)
async def test_overdue_session_is_replaced(
    errors: list[Exception], purged: bool, expected: bool, refresher: Refresher, cloud: FakeCloud, clock: Clock
) -> None:
    """A held session that expired unnoticed is replaced immediately; a failed profile keeps its pace of retries."""
    async with running(refresher):
        await clock.asleep()
        cloud.errors = errors
        if errors:
            await clock.wake()
        if purged:
            refresher.purge()
        calls = cloud.calls

        assert refresher.overdue() is expected
        for _ in range(10):
            await asyncio.sleep(0)
        assert cloud.calls == calls + expected


# --- what is known ----------------------------------------------------------------------------------------------------


def status(**changes: object) -> Status:
    """Return the status of a profile before its first attempt, with changes."""
    first = {"profile": "default", "required": True, "state": "starting", "expires_at": None, "left": 0.0}
    return Status(**first | {"next_refresh_at": None, "failures": 0, "last_error": None} | changes)  # type: ignore[arg-type]


async def test_status_of_a_healthy_profile(refresher: Refresher, cloud: FakeCloud, clock: Clock) -> None:
    """The status has the session's end, the remaining lifetime and the time of the next refresh."""
    before = refresher.status
    async with running(refresher):
        pause = await clock.asleep()
        issued = clock.time()
        clock.skip(100)
        after = refresher.status
        clock.skip(2000)
        late = refresher.status

    assert before == status()
    expected = {"state": "fresh", "expires_at": issued + 3600, "left": 3500.0, "life": 3600.0}
    assert after == status(**expected, next_refresh_at=pytest.approx(issued + pause, abs=0.01))
    assert late.next_refresh_at == issued + 2100  # overdue: due now


@pytest.mark.parametrize(
    ("error", "state", "permanent", "words", "code"),
    [
        (Refused("no", status=403, code="x", error_code="IDS-401"), "denied", True, "no", "IDS-401"),
        (ConfigError("no such file", error_code="IDS-102"), "misconfigured", True, "no such file", "IDS-102"),
        (NotThereYet("not yet"), "starting", False, "not yet", "IDS-124"),
        (Unreachable("down"), "starting", False, "down", "IDS-200"),
        (RuntimeError("secret"), "starting", False, "internal error (RuntimeError)", "IDS-901"),
    ],
)
async def test_status_of_a_failed_profile(
    error: Exception,
    state: str,
    permanent: bool,
    words: str,
    code: str,
    refresher: Refresher,
    cloud: FakeCloud,
    clock: Clock,
) -> None:
    """
    The status has the number of failures, the last error with its code, and whether a repetition can succeed.

    `starting` is for what a repetition can end: a profile that waits for a person says so.
    """
    cloud.errors = [error] * 2
    async with running(refresher):
        await clock.asleep()
        await clock.wake()
        found, pause = refresher.status, await clock.asleep()
        healthy, kept = refresher.healthy, refresher.last_error
        with pytest.raises(NoCredentials, match=f"^profile default: {re.escape(words)}$") as held:
            refresher.credentials()
        clock.skip(pause)
        await clock.wake()

    expected = status(state=state, failures=2, last_error=words, last_error_permanent=permanent, last_error_code=code)
    assert found == replace(expected, next_refresh_at=pytest.approx(clock.time(), abs=0.01))
    assert (healthy, kept, held.value.error_code) == (False, error, code)
    assert (refresher.healthy, refresher.last_error, refresher.status.last_error) == (True, None, None)


@pytest.mark.parametrize("required", [True, False])
def test_policy_says_whether_a_profile_is_required(required: bool, refresher: Refresher) -> None:
    """Start-up and readiness wait for a profile if its policy says so."""
    refresher.use(Policy(Schedule(), required=required))

    assert refresher.required is refresher.status.required is required


async def test_retry_after_is_at_least_a_second(refresher: Refresher, cloud: FakeCloud, clock: Clock) -> None:
    """A client is sent away until the next attempt, and for one second at least."""
    cloud.errors = [Unreachable("down", retry_after=20.0)]
    async with running(refresher):
        await clock.asleep()
        found = [refresher.retry_after()]
        for seconds in (19.25, 0.5, 1.0, 100.0):
            clock.skip(seconds)
            found.append(refresher.retry_after())

    assert found == pytest.approx([20.375, 1.125, 1, 1, 1])


# --- events -----------------------------------------------------------------------------------------------------------


async def test_events_have_the_times_of_an_attempt(
    refresher: Refresher, cloud: FakeCloud, clock: Clock, events: list[Event]
) -> None:
    """The events have the number of failures in a row, the pause, the next refresh, and how long the attempt took."""
    errors = [Unreachable("down"), Unreachable("still down")]
    cloud.errors, cloud.takes = [*errors], 2.0
    async with running(refresher):
        await clock.asleep()
        await refreshed_now(refresher, clock)
        planned = await refreshed_now(refresher, clock) + clock.time()

    assert events == [
        RefreshFailed("default", errors[0], 1, pytest.approx(0.75), pytest.approx(2.0)),
        RefreshFailed("default", errors[1], 2, pytest.approx(1.5), pytest.approx(2.0)),
        Refreshed("default", refresher.credentials(), pytest.approx(planned, abs=0.01), pytest.approx(2.0)),
    ]


@pytest.mark.parametrize(
    ("error", "drops", "events_seen", "state"),
    [
        (Refused("gone", status=404, code="x", withdrawn=True), True, [Refreshed, Dropped, RefreshFailed], "dropped"),
        (Refused("gone", status=404, code="x", withdrawn=True), False, [Refreshed, RefreshFailed], "stale"),
        (Refused("no", status=400, code="x"), True, [Refreshed, RefreshFailed], "stale"),
        (Unreachable("down"), True, [Refreshed, RefreshFailed], "stale"),
    ],
)
async def test_session_of_a_withdrawn_role_is_dropped_by_policy(
    error: Exception,
    drops: bool,
    events_seen: list[type[Event]],
    state: str,
    refresher: Refresher,
    cloud: FakeCloud,
    clock: Clock,
    events: list[Event],
) -> None:
    """With `onDenied: stop`, a withdrawn role ends its session, which an event reports with the error."""
    refresher.use(Policy(Schedule(), drop_when_withdrawn=drops))
    async with running(refresher):
        await clock.asleep()
        cloud.errors = [error]
        await clock.wake()

    assert [type(event) for event in events] == events_seen
    assert refresher.status.state == state
    assert [event for event in events if isinstance(event, Dropped)] == (
        [Dropped("default", error)] * (len(events) - 2)
    )


def test_withdrawn_role_is_served_by_default() -> None:
    """Unless the configuration says otherwise, a profile is required and its session is served to its end."""
    assert Policy(Schedule()) == Policy(Schedule(), required=True, drop_when_withdrawn=False)


async def test_withdrawn_role_without_a_session_drops_nothing(
    refresher: Refresher, cloud: FakeCloud, clock: Clock, events: list[Event]
) -> None:
    """Without a session nothing is dropped: the profile is denied."""
    refresher.use(Policy(Schedule(), drop_when_withdrawn=True))
    cloud.errors = [Refused("gone", status=404, code="x", withdrawn=True)]
    async with running(refresher):
        await clock.asleep()

    assert ([type(event) for event in events], refresher.status.state) == ([RefreshFailed], "denied")


@pytest.mark.parametrize(
    ("passed", "pause"),
    [(0, 0.75 * 1740 / 32), (1700, 0.75 * 40 / 32), (1800, 0.75 * 1800 / 32), (3590, 0.75), (3700, 0.75)],
)
async def test_first_pause_is_a_part_of_the_slack(
    passed: float, pause: float, refresher: Refresher, cloud: FakeCloud, clock: Clock
) -> None:
    """The first pause is up to a 32nd of the time until readers notice, by the clock that says the earlier end."""
    async with running(refresher):
        await clock.asleep()
        cloud.errors = [Unreachable("down")]
        clock.jump(passed)

        assert await refreshed_now(refresher, clock) == pytest.approx(pause)


async def test_failing_observer_costs_no_session(cloud: FakeCloud, clock: Clock) -> None:
    """An observer that fails is reported to the loop's exception handler, and the session is served."""
    error, reports = RuntimeError("an observer's bug"), list[dict[str, object]]()

    def observe(_event: Event) -> None:
        raise error

    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reports.append(context))
    arguments = {"policy": Policy(Schedule()), "clocks": clock.clocks, "sleep": clock.sleep, "random": lambda: 0.5}
    refresher = Refresher("default", cloud.fetch, observe=observe, **arguments)  # type: ignore[arg-type]
    async with running(refresher):
        await clock.asleep()

    assert refresher.credentials().access_key_id == "STS.1"
    assert reports == [{"message": "an observer failed", "exception": error}]


async def test_fetch_that_ends_as_cancelled_is_a_failure(refresher: Refresher, cloud: FakeCloud, clock: Clock) -> None:
    """A fetch that raises CancelledError although the loop was not cancelled is a failure like any other."""
    cloud.errors = [asyncio.CancelledError()]  # type: ignore[list-item]
    async with running(refresher):
        await clock.asleep()
        failed = refresher.status.last_error
        await clock.wake()

    assert failed == "internal error (FetchCancelled)"
    assert refresher.credentials().access_key_id == "STS.2"


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
