"""The status and the events of one profile's refresher, and unexpected errors."""

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

from ..clock import Clock
from ..conftest import running
from .fake_cloud import FakeCloud, refreshed_now

# --- what is known ----------------------------------------------------------------------------------------------------


def status(**changes: object) -> Status:
    """Return the status of a profile before its first attempt, with changes."""
    first = {"profile": "default", "required": True, "state": "starting", "expires_at": None, "left": 0.0}
    return Status(**first | {"next_refresh_at": None, "failures": 0, "last_error": None} | changes)  # type: ignore[arg-type]


async def test_status_of_a_healthy_profile(refresher: Refresher, fake_cloud: FakeCloud, clock: Clock) -> None:
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
    fake_cloud: FakeCloud,
    clock: Clock,
) -> None:
    """
    The status has the number of failures, the last error with its code, and whether a repetition can succeed.

    The state is `starting` only if a repetition can succeed. Other states say that a person must act.
    """
    fake_cloud.errors = [error] * 2
    async with running(refresher):
        await clock.asleep()
        await clock.wake()
        found, pause = refresher.status, await clock.asleep()
        healthy, kept = refresher.healthy, str(refresher.last_error)
        with pytest.raises(NoCredentials, match=f"^profile default: {re.escape(words)}$") as held:
            refresher.credentials()
        clock.skip(pause)
        await clock.wake()

    expected = status(state=state, failures=2, last_error=words, last_error_permanent=permanent, last_error_code=code)
    assert found == replace(expected, next_refresh_at=pytest.approx(clock.time(), abs=0.01))
    assert (healthy, kept, held.value.error_code) == (False, words, code)
    assert (refresher.healthy, refresher.last_error, refresher.status.last_error) == (True, None, None)


@pytest.mark.parametrize("required", [True, False])
def test_policy_says_whether_a_profile_is_required(required: bool, refresher: Refresher) -> None:
    """Start-up and readiness wait for a profile if its policy says so."""
    refresher.use(Policy(Schedule(), required=required))

    assert refresher.required is refresher.status.required is required


async def test_retry_after_is_at_least_a_second(refresher: Refresher, fake_cloud: FakeCloud, clock: Clock) -> None:
    """A client is sent away until the next attempt, and for one second at least."""
    fake_cloud.errors = [Unreachable("down", retry_after=20.0)]
    async with running(refresher):
        await clock.asleep()
        found = [refresher.retry_after()]
        for seconds in (19.25, 0.5, 1.0, 100.0):
            clock.skip(seconds)
            found.append(refresher.retry_after())

    assert found == pytest.approx([20.375, 1.125, 1, 1, 1])


# --- events -----------------------------------------------------------------------------------------------------------


async def test_events_have_the_times_of_an_attempt(
    refresher: Refresher, fake_cloud: FakeCloud, clock: Clock, events: list[Event]
) -> None:
    """The events have the number of failures in a row, the pause, the next refresh, and how long the attempt took."""
    errors = [Unreachable("down"), Unreachable("still down")]
    fake_cloud.errors, fake_cloud.takes = [*errors], 2.0
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
    fake_cloud: FakeCloud,
    clock: Clock,
    events: list[Event],
) -> None:
    """With `onDenied: stop`, a withdrawn role ends its session, which an event reports with the error."""
    refresher.use(Policy(Schedule(), drop_when_withdrawn=drops))
    async with running(refresher):
        await clock.asleep()
        fake_cloud.errors = [error]
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
    refresher: Refresher, fake_cloud: FakeCloud, clock: Clock, events: list[Event]
) -> None:
    """Without a session nothing is dropped: the profile is denied."""
    refresher.use(Policy(Schedule(), drop_when_withdrawn=True))
    fake_cloud.errors = [Refused("gone", status=404, code="x", withdrawn=True)]
    async with running(refresher):
        await clock.asleep()

    assert ([type(event) for event in events], refresher.status.state) == ([RefreshFailed], "denied")


@pytest.mark.parametrize(
    ("passed", "pause"),
    [(0, 0.75 * 1740 / 32), (1700, 0.75 * 40 / 32), (1800, 0.75 * 1800 / 32), (3590, 0.75), (3700, 0.75)],
)
async def test_first_pause_is_a_part_of_the_slack(
    passed: float, pause: float, refresher: Refresher, fake_cloud: FakeCloud, clock: Clock
) -> None:
    """The first pause is up to a 32nd of the time until readers notice, by the clock that says the earlier end."""
    async with running(refresher):
        await clock.asleep()
        fake_cloud.errors = [Unreachable("down")]
        clock.jump(passed)

        assert await refreshed_now(refresher, clock) == pytest.approx(pause)


async def test_failing_observer_costs_no_session(fake_cloud: FakeCloud, clock: Clock) -> None:
    """An observer that fails is reported to the loop's exception handler, and the session is served."""
    error, reports = RuntimeError("an observer's bug"), list[dict[str, object]]()

    def observe(_event: Event) -> None:
        raise error

    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reports.append(context))
    arguments = {"policy": Policy(Schedule()), "clocks": clock.clocks, "sleep": clock.sleep, "random": lambda: 0.5}
    refresher = Refresher("default", fake_cloud.fetch, observe=observe, **arguments)  # type: ignore[arg-type]
    async with running(refresher):
        await clock.asleep()

    assert refresher.credentials().access_key_id == "STS.1"
    assert reports == [{"message": "an observer failed", "exception": error}]


async def test_fetch_that_ends_as_cancelled_is_a_failure(
    refresher: Refresher, fake_cloud: FakeCloud, clock: Clock
) -> None:
    """A fetch that raises CancelledError although the loop was not cancelled is a failure like any other."""
    fake_cloud.errors = [asyncio.CancelledError()]  # type: ignore[list-item]
    async with running(refresher):
        await clock.asleep()
        failed = refresher.status.last_error
        await clock.wake()

    assert failed == "internal error (FetchCancelled)"
    assert refresher.credentials().access_key_id == "STS.2"


async def test_unexpected_exception_does_not_end_the_loop(
    refresher: Refresher, fake_cloud: FakeCloud, clock: Clock, events: list[Event]
) -> None:
    """An unexpected exception counts as a failed attempt, and the next attempt succeeds."""
    fake_cloud.errors = [RuntimeError("secret words")]
    async with running(refresher):
        await clock.asleep()
        failed = events[-1]
        await clock.wake()

    assert isinstance(failed, RefreshFailed)
    assert refresher.credentials().access_key_id == "STS.2"


async def test_text_of_an_unexpected_exception_is_not_shown(
    refresher: Refresher, fake_cloud: FakeCloud, clock: Clock
) -> None:
    """The text of an unexpected exception, which may hold anything, reaches neither a reader nor the status."""
    fake_cloud.errors = [RuntimeError("secret words")] * 2
    async with running(refresher):
        await clock.asleep()

    assert refresher.status.last_error == "internal error (RuntimeError)"
    with pytest.raises(NoCredentials, match=r"internal error \(RuntimeError\)"):
        refresher.credentials()


async def test_last_error_keeps_no_frames(refresher: Refresher, events: list[Event], clock: Clock) -> None:
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

            events.clear()  # the test's own list of events, which have the original error
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
