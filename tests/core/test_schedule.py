"""When a session is refreshed, and the pauses between attempts. All figures are seconds."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given, strategies

from app.core.errors import ConfigError
from app.core.schedule import Schedule, horizon, lead, servable, slack, soonest
from app.core.values import Credentials


def session(life: float, issued_at: float = 1000.0) -> Credentials:
    """Return a session that lasts `life` seconds."""
    return Credentials("STS.x", "secret", "token", issued_at=issued_at, expires_at=issued_at + life)


@pytest.mark.parametrize(
    ("life", "expected"),
    [(900, 540), (1800, 1080), (3600, 2160), (7200, 4320), (7834, 4700), (14_100, 4700), (43_200, 14_400)],
)
def test_lead_depends_on_the_lifetime(life: float, expected: float) -> None:
    """Sessions are replaced early enough for every client's refresh margin and to outlast an outage."""
    assert lead(life) == pytest.approx(expected)


@pytest.mark.parametrize("chance", [0.0, 0.3, 0.999])
def test_default_sessions_keep_the_guaranteed_lifetime(chance: float) -> None:
    """With 3600 s sessions a refresh starts at least 300 s before 1860 s are left (promise 2), whatever the jitter."""
    held = session(3600)

    begins = Schedule().refresh_at(held, chance)

    assert held.expires_at - begins >= 1860 + 300


def test_jitter_only_makes_a_refresh_earlier() -> None:
    """Jitter moves a refresh forward by at most a tenth of the lifetime, never back."""
    held = session(3600)
    latest, earliest = (Schedule().refresh_at(held, chance) for chance in (0.0, 1.0))

    assert latest == held.expires_at - 2160
    assert latest - earliest == pytest.approx(360)


@given(
    chance=strategies.floats(0, 1, exclude_max=True),
    life=strategies.floats(1, 43_200),
    jitter=strategies.floats(0, 0.2),
)
def test_spread_refresh_is_within_bounds(chance: float, life: float, jitter: float) -> None:
    """A spread refresh is never later than the latest time, and never immediately after the session was issued."""
    held = session(life)
    latest = held.expires_at - lead(life)

    begins = Schedule(jitter=jitter).refresh_at(held, chance, spread=True)

    shortest = min(60, (latest - held.issued_at) / 24)
    assert held.issued_at + shortest - 0.001 <= begins <= latest + 0.001


@pytest.mark.parametrize(
    ("chance", "jitter", "age"),
    [
        (0.0, 0.1, 1440),
        (0.1, 0.1, 1440 - (2 * 360 * 0.1 * 1260) ** 0.5 * 23 / 24),
        (1 / 7, 0.1, 1440 - 360 * 23 / 24),
        (0.5, 0.1, 1440 - (0.5 * 1260 + 180) * 23 / 24),
        (1.0, 0.1, 60),
        (0.0, 0.0, 1440),
        (0.5, 0.0, 1440 - 720 * 23 / 24),
    ],
)
def test_spread_refresh_is_drawn_from_the_whole_interval(chance: float, jitter: float, age: float) -> None:
    """A spread refresh of a 3600 s session is due 60 to 1440 s after its issue, by the equilibrium distribution."""
    assert Schedule(jitter=jitter).refresh_at(session(3600), chance, spread=True) == pytest.approx(1000 + age)


@pytest.mark.parametrize(
    ("life", "shortest"), [(43_200, 60), (7200, 60), (3600, 60), (1800, 30), (900, 15)], ids=lambda value: str(value)
)
def test_new_session_is_not_replaced_while_a_fleet_rolls_out(life: float, shortest: float) -> None:
    """A spread refresh comes at the earliest 60 s after the session's issue; sooner for short sessions."""
    assert Schedule().refresh_at(session(life), 1.0, spread=True) == pytest.approx(1000 + shortest)


@pytest.mark.parametrize(
    ("life", "left", "expected"),
    [(3600, 3600, 720), (3600, 200, 40), (3600, 100, 20), (3600, 50, 20), (50, 50, 10), (50, 5, 10), (90, 0, 18)],
)
def test_new_session_is_left_alone_for_a_while(life: float, left: float, expected: float) -> None:
    """A new session is kept for a fifth of what is left, at least for 20 s or a fifth of its lifetime."""
    assert soonest(life, left) == pytest.approx(expected)


def test_refreshes_of_a_fleet_are_even() -> None:
    """When 4000 sidecars start together, no five minutes of three hours have more than 1.2 times the mean calls."""
    rng = random.Random(1)
    calls = Counter(int(at // 300) for _ in range(4_000) for at in refreshes(rng, until=10_800))

    busiest, mean = max(calls.values()), calls.total() / 36

    assert busiest <= 1.2 * mean
    assert mean == pytest.approx(4_000 * 300 / 1260, rel=0.02)


def refreshes(rng: random.Random, until: float) -> Iterator[float]:
    """Yield the refresh times of one sidecar that starts at 0 and never fails."""
    at, spread = 0.0, True
    while True:
        at = Schedule().refresh_at(session(3600, issued_at=at), rng.random(), spread=spread)
        spread = False
        if at >= until:
            return
        yield at


@pytest.mark.parametrize(
    ("failures", "chance", "expected"),
    [(1, 1.0, 1.0), (2, 1.0, 2.0), (4, 0.5, 6.0), (7, 1.0, 40.0), (1000, 1.0, 40.0), (5, 0.0, 8.0)],
)
def test_pauses_without_a_session_are_short(failures: int, chance: float, expected: float) -> None:
    """Without a session the n-th pause is drawn from the upper half below min(40, 2^(n-1)) seconds."""
    assert Schedule().retry_after(failures, chance) == expected


@pytest.mark.parametrize(
    ("failures", "slack", "expected"),
    [
        *[(1, 300, 9.375), (2, 300, 18.75), (5, 300, 150), (9, 300, 150), (9, 1200, 240), (9, 100, 50), (9, 20, 40)],
        *[(1, 480, 15), (9, 480, 240), (9, 482, 240), (9, 80, 40), (9, 82, 41)],
    ],
)
def test_pauses_depend_on_the_slack(failures: int, slack: float, expected: float) -> None:
    """A pause is at most half of the slack and between 40 and 240 s; the first one is a 32nd of the slack."""
    assert Schedule().retry_after(failures, 1.0, slack=slack) == expected


def test_first_pause_is_the_shortest_retry() -> None:
    """Without a session and without throttling, the first pause is up to `min_retry`."""
    assert [Schedule(min_retry=0.1).retry_after(1, chance) for chance in (0.0, 1.0)] == [0.05, 0.1]


def test_first_pause_after_throttling_is_longer() -> None:
    """After throttling at the start the first pause is 4 to 8 s instead of 0.5 s."""
    schedule = Schedule()

    assert [schedule.retry_after(1, chance, throttled=True) for chance in (0.0, 1.0)] == [4, 8]


@pytest.mark.parametrize(
    ("at", "expected"), [(1000, 1740), (2700, 40), (2740, 1860), (4000, 600), (4600, 0), (9000, 0)]
)
def test_slack_counts_to_the_next_limit(at: float, expected: float) -> None:
    """The slack counts down to the guaranteed lifetime, then to the end of the session, then it is 0."""
    assert slack(session(3600), at) == expected


@pytest.mark.parametrize(("at", "expected"), [(1000, 360), (1359, 1), (1360, 540), (1899, 1), (1900, 0)])
def test_slack_of_a_short_session_counts_to_its_lead(at: float, expected: float) -> None:
    """A session of 900 s guarantees 540 s, which is its lead."""
    assert slack(session(900), at) == expected


@given(
    failures=strategies.integers(1, 10_000),
    chance=strategies.floats(0, 1, exclude_max=True),
    slack=strategies.floats(0, 43_200),
    throttled=strategies.booleans(),
    max_retry=strategies.floats(1, 300),
    min_retry=strategies.floats(0.1, 1),
)
def test_pauses_are_bounded(
    failures: int, chance: float, slack: float, throttled: bool, max_retry: float, min_retry: float
) -> None:
    """Without a Retry-After no pause exceeds `max_retry` or falls below half of `min_retry`."""
    schedule = Schedule(min_retry=min_retry, max_retry=max_retry)

    pause = schedule.retry_after(failures, chance, slack=slack, throttled=throttled)

    assert min_retry / 2 <= pause <= max_retry


@given(seed=strategies.integers(0, 2**32), fault=strategies.floats(0, 260))
def test_fault_of_260_seconds_keeps_the_guaranteed_lifetime(seed: int, fault: float) -> None:
    """With any jitter, a fault of up to 260 s is over and retried before 1860 s are left."""
    rng = random.Random(seed)
    held = session(3600)
    began = Schedule().refresh_at(held, rng.choice((0.0, rng.random())))

    at, failures = began, 0
    while at < began + fault:
        failures += 1
        at += Schedule().retry_after(failures, rng.random(), slack=slack(held, at))

    assert held.expires_at - at >= 1860


def test_retry_after_is_honoured_up_to_300_seconds() -> None:
    """While a session lasts, Retry-After is a lower bound of the pause with jitter added, and is limited to 300 s."""
    schedule = Schedule()

    assert schedule.retry_after(1, 0.5, hint=30, left=3600) == 30.75
    assert schedule.retry_after(1, 0.5, hint=86_400, left=340) == 300.75


@pytest.mark.parametrize("failures", [1, 3, 60])
@pytest.mark.parametrize("left", [1.0, 100.0, 170.0, 200.0, 259.0, 300.0, 440.0, 800.0])
def test_retry_after_in_mid_life_costs_no_more_than_a_cold_start(left: float, failures: int) -> None:
    """However long a server wants to be left alone, the next attempt comes at most 40 s after the session's end."""
    for chance in (0.0, 0.5, 1.0):
        for hint in (290.0, 300.0, 1e30):
            pause = Schedule().retry_after(failures, chance, hint=hint, slack=left, left=left)
            assert pause <= left + 40


@pytest.mark.parametrize("left", [0.0, 1.0, 100.0, 259.0])
@pytest.mark.parametrize("hint", [0.0, 2.0, 30.0, 90.0, 86_400.0, 1e30])
@pytest.mark.parametrize("failures", [1, 5, 500])
def test_no_wish_of_a_server_outlasts_the_session_by_more_than_the_longest_pause(
    failures: int, hint: float, left: float
) -> None:
    """Without a session no pause is longer than 40 s, whatever the server asks for, and the last quarter is random."""
    pauses = [Schedule().retry_after(failures, chance, hint=hint, left=left) for chance in (0.0, 0.5, 1.0)]

    assert pauses == sorted(set(pauses))
    assert pauses[0] >= min(hint, left + 30)
    assert pauses[-1] <= left + 40


def test_refusal_at_a_start_is_retried_within_the_start_gate() -> None:
    """Before any session was held, a refusal is repeated after 2 to 4 s at first, and every 8 to 16 s later."""
    schedule = Schedule()
    pauses = [schedule.retry_after(failures, 1.0, permanent=True, at_start=True) for failures in range(1, 6)]

    assert pauses == [4, 8, 16, 16, 16]
    assert schedule.retry_after(1, 0.0, permanent=True, at_start=True) == 2


def test_outage_at_a_start_is_retried_every_few_seconds() -> None:
    """Before any session was held, pauses after an outage end at 5 s; throttling and Retry-After are obeyed."""
    schedule = Schedule()
    pauses = [schedule.retry_after(failures, 1.0, at_start=True) for failures in range(1, 7)]

    assert pauses == [1, 2, 4, 5, 5, 5]
    assert schedule.retry_after(9, 0.0, at_start=True) == 2.5
    assert schedule.retry_after(9, 1.0, throttled=True, at_start=True) == 40
    assert schedule.retry_after(1, 1.0, hint=20.0, at_start=True) == schedule.retry_after(1, 1.0, hint=20.0) > 20
    assert Schedule(min_retry=8.0).retry_after(9, 1.0, at_start=True) == 8


def test_permanent_errors_are_retried_slowly() -> None:
    """Permanent errors are retried every 150 to 300 s."""
    schedule = Schedule()

    assert [schedule.retry_after(1, chance, permanent=True) for chance in (0.0, 1.0)] == [150, 300]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"jitter": 0.5}, "refresh.jitter: 0.5 is not between 0 and 0.2"),
        ({"jitter": -0.01}, "refresh.jitter: -0.01 is not between 0 and 0.2"),
        (
            {"min_retry": 290.0},
            "refresh: minRetrySeconds 290 must be at least 0.1 and not above maxRetrySeconds 240",
        ),
        (
            {"min_retry": 0.09},
            "refresh: minRetrySeconds 0.09 must be at least 0.1 and not above maxRetrySeconds 240",
        ),
        (
            {"permanent_retry": 30.0},
            "refresh.permanentRetrySeconds: 30 is below maxRetrySeconds 240; a refusal must not be retried faster than "
            "an outage",
        ),
    ],
)
def test_contradictory_schedule_is_refused(changes: dict[str, float], message: str) -> None:
    """A schedule with contradictory settings is refused when it is created, with the values in the message."""
    with pytest.raises(ConfigError) as caught:
        Schedule(**changes)

    assert str(caught.value) == message


@pytest.mark.parametrize(
    "changes",
    [{"jitter": 0.0}, {"jitter": 0.2}, {"min_retry": 0.1}, {"min_retry": 240.0}, {"permanent_retry": 240.0}],
)
def test_limits_of_a_schedule_are_allowed(changes: dict[str, float]) -> None:
    """Each setting may have the value of its limit."""
    Schedule(**changes)


@pytest.mark.parametrize(("at", "expected"), [(999.0, True), (4599.99, True), (4600.0, False), (5000.0, False)])
def test_session_is_servable_until_it_expires(at: float, expected: bool) -> None:
    """A session is servable until its expiry and not after it."""
    assert servable(session(3600), at) is expected


def test_missing_session_is_not_servable() -> None:
    """Without a session there is nothing to serve."""
    assert not servable(None, 0.0)


@pytest.mark.parametrize(("life", "expected"), [(3600, 1860), (43_200, 1860), (900, 540)])
def test_horizon_is_the_guaranteed_lifetime_or_the_lead(life: float, expected: float) -> None:
    """The horizon is the guaranteed 1860 s (promise 2), or the lead of a session that is too short for it."""
    assert horizon(life) == expected
