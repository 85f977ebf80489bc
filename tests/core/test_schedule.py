"""When to refresh and how long to wait: tables of seconds."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given, strategies

from app.core.errors import ConfigError
from app.core.schedule import Schedule, horizon, lead, servable, slack
from app.core.values import Credentials


def session(life: float, issued_at: float = 1000.0) -> Credentials:
    return Credentials("STS.x", "secret", "token", issued_at=issued_at, expires_at=issued_at + life)


@pytest.mark.parametrize(
    ("life", "expected"),
    [(900, 540), (1800, 1080), (3600, 2160), (7200, 4320), (7834, 4700), (14_100, 4700), (43_200, 14_400)],
)
def test_lead(life: float, expected: float) -> None:
    """Sessions are replaced early enough for every client they can keep quiet, and to ride out an outage."""
    assert lead(life) == pytest.approx(expected, abs=1)


@pytest.mark.parametrize("chance", [0.0, 0.3, 0.999])
def test_default_sessions_never_fall_below_promise_2(chance: float) -> None:
    """With 3600 s sessions a refresh begins with at least 300 s of room above 1860 s, whatever the jitter."""
    held = session(3600)

    begins = Schedule().refresh_at(held, chance)

    assert held.expires_at - begins >= 1860 + 300


def test_jitter_only_makes_it_earlier() -> None:
    """Chance moves a refresh forward by at most a tenth of the life, never back."""
    held = session(3600)
    latest, earliest = (Schedule().refresh_at(held, chance) for chance in (0.0, 1.0))

    assert latest == held.expires_at - 2160
    assert latest - earliest == pytest.approx(360)


@given(
    chance=strategies.floats(0, 1, exclude_max=True),
    life=strategies.floats(1, 43_200),
    jitter=strategies.floats(0, 0.2),
)
def test_a_refresh_never_comes_late_nor_at_once(chance: float, life: float, jitter: float) -> None:
    """After a meeting of many the next refresh is anywhere between a moment from now and the latest, never outside."""
    held = session(life)
    latest = held.expires_at - lead(life)

    begins = Schedule(jitter=jitter).refresh_at(held, chance, spread=True)

    alone = min(60, (latest - held.issued_at) / 24)
    assert held.issued_at + alone - 0.001 <= begins <= latest + 0.001


def test_calls_come_evenly_from_the_start() -> None:
    """However many start in one moment, no five minutes of the next three hours have more than 1.2 times the mean."""
    rng = random.Random(1)
    asked = Counter(int(at // 300) for _ in range(4_000) for at in refreshes(rng, until=10_800))

    busiest, mean = max(asked.values()), asked.total() / 36

    assert busiest <= 1.2 * mean
    assert mean == pytest.approx(4_000 * 300 / 1260, rel=0.02)


def refreshes(rng: random.Random, until: float) -> Iterator[float]:
    """When one sidecar asks again that started at 0, every time with success."""
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
def test_with_nothing_to_serve_pauses_are_short(failures: int, chance: float, expected: float) -> None:
    """The n-th wait of a cold start is drawn from the upper half below min(40, 2^(n-1)) seconds."""
    assert Schedule().retry_after(failures, chance) == expected


@pytest.mark.parametrize(
    ("failures", "slack", "expected"),
    [(1, 300, 9.375), (2, 300, 18.75), (5, 300, 150), (9, 300, 150), (9, 1200, 240), (9, 100, 50), (9, 20, 40)],
)
def test_pauses_follow_what_is_left_to_lose(failures: int, slack: float, expected: float) -> None:
    """A pause is at most half of the slack, but at least 40 and at most 240 s, and the first a 32nd of the slack."""
    assert Schedule().retry_after(failures, 1.0, slack=slack) == expected


def test_a_throttled_start_makes_room() -> None:
    """Where others are at the quota the first pause is 4 to 8 s, not half a second."""
    schedule = Schedule()

    assert [schedule.retry_after(1, chance, throttled=True) for chance in (0.0, 1.0)] == [4, 8]


@pytest.mark.parametrize(
    ("at", "expected"), [(1000, 1740), (2700, 40), (2740, 1860), (4000, 600), (4600, 0), (9000, 0)]
)
def test_slack(at: float, expected: float) -> None:
    """First the life that readers are promised is at stake, then the session, then nothing."""
    assert slack(session(3600), at) == expected


@given(
    failures=strategies.integers(1, 10_000),
    chance=strategies.floats(0, 1, exclude_max=True),
    slack=strategies.floats(0, 43_200),
    throttled=strategies.booleans(),
    slowest=strategies.floats(1, 300),
    first=strategies.floats(0.1, 1),
)
def test_no_pause_is_longer_than_the_longest(
    failures: int, chance: float, slack: float, throttled: bool, slowest: float, first: float
) -> None:
    """Without a Retry-After no pause exceeds `max_retry`, and none is shorter than half of `min_retry`."""
    schedule = Schedule(min_retry=first, max_retry=slowest)

    pause = schedule.retry_after(failures, chance, slack=slack, throttled=throttled)

    assert first / 2 <= pause <= slowest


@given(seed=strategies.integers(0, 2**32), fault=strategies.floats(0, 260))
def test_faults_of_four_minutes_do_no_harm(seed: int, fault: float) -> None:
    """However chance falls, a fault of up to 260 s is over, and the next attempt made, before 1860 s are left."""
    rng = random.Random(seed)
    held = session(3600)
    began = Schedule().refresh_at(held, rng.choice((0.0, rng.random())))

    at, failures = began, 0
    while at < began + fault:
        failures += 1
        at += Schedule().retry_after(failures, rng.random(), slack=slack(held, at))

    assert held.expires_at - at >= 1860


def test_retry_after_is_a_lower_bound_that_is_bounded() -> None:
    """Retry-After is honoured, with jitter after it; an absurd one does not put us to sleep for a day."""
    schedule = Schedule()

    assert schedule.retry_after(1, 0.5, hint=30) == 30.75
    assert schedule.retry_after(1, 0.5, hint=86_400) == 300.75


def test_a_definite_no_is_retried_slowly() -> None:
    """Permanent errors are probed every 150 to 300 s."""
    schedule = Schedule()

    assert [schedule.retry_after(1, chance, permanent=True) for chance in (0.0, 1.0)] == [150, 300]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"jitter": 0.5}, "refresh.jitter: 0.5"),
        ({"min_retry": 290.0}, "minRetrySeconds 290"),
        ({"permanent_retry": 30.0}, "permanentRetrySeconds: 30"),
    ],
)
def test_impossible_settings_are_refused_with_the_numbers(changes: dict[str, float], words: str) -> None:
    """A pace that contradicts itself is refused when it is built, not when it is needed."""
    with pytest.raises(ConfigError, match=words):
        Schedule(**changes)


@pytest.mark.parametrize(("at", "expected"), [(999.0, True), (4599.99, True), (4600.0, False), (5000.0, False)])
def test_servable_to_the_last_second(at: float, expected: bool) -> None:
    """A session is served until it ends, and not a moment longer."""
    assert servable(session(3600), at) is expected


def test_nothing_is_not_servable() -> None:
    """Without a session there is nothing to serve."""
    assert not servable(None, 0.0)


@pytest.mark.parametrize(("life", "expected"), [(3600, 1860), (43_200, 1860), (900, 540)])
def test_horizon(life: float, expected: float) -> None:
    """Promise 2's floor, or the lead where a session is too short for it."""
    assert horizon(life) == expected
