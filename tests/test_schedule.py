"""When to refresh and how long to wait: tables of seconds."""

from __future__ import annotations

import pytest

from app.model import ConfigError, Credentials
from app.schedule import Schedule, horizon, lead, servable


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


@pytest.mark.parametrize(
    ("failures", "chance", "expected"),
    [(1, 1.0, 1.0), (2, 1.0, 2.0), (4, 0.5, 4.0), (7, 1.0, 60.0), (1000, 1.0, 60.0), (5, 0.0, 0.1)],
)
def test_backoff_is_exponential_with_full_jitter(failures: int, chance: float, expected: float) -> None:
    """The n-th wait is uniform between nearly nothing and min(60, 2^(n-1)) seconds."""
    assert Schedule().retry_after(failures, chance) == expected


def test_retry_after_is_a_lower_bound_that_is_bounded() -> None:
    """Retry-After is honoured, with jitter after it; an absurd one does not put us to sleep for a day."""
    schedule = Schedule()

    assert schedule.retry_after(1, 0.5, hint=30) == 30.5
    assert schedule.retry_after(1, 0.5, hint=86_400) == 300.5


def test_a_definite_no_is_retried_slowly() -> None:
    """Permanent errors are probed every 150 to 300 s."""
    schedule = Schedule()

    assert [schedule.retry_after(1, chance, permanent=True) for chance in (0.0, 1.0)] == [150, 300]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"jitter": 0.5}, "refresh.jitter: 0.5"),
        ({"min_retry": 90.0}, "minRetrySeconds 90"),
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
