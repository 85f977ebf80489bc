"""The last attempts of each profile."""

from __future__ import annotations

import sys

from app.core.errors import Refused
from app.core.events import Dropped, Refreshed, RefreshFailed, StageTimed
from app.core.values import Credentials
from app.observe.recent_attempts import KEPT, MOST_STAGES, RecentAttempts

SESSION = Credentials("id", "secret", "token", issued_at=0.0, expires_at=3600.0)


def success(profile: str = "default", took: float = 0.5) -> Refreshed:
    """Return the event of a successful attempt."""
    return Refreshed(profile, SESSION, next_refresh_at=0.0, took=took)


def test_an_attempt_has_its_stages() -> None:
    """An attempt has its time, outcome, duration, error code, and each stage since the last attempt of its profile."""
    recent = RecentAttempts(lambda: 7.0)
    recent.observe(StageTimed("default", "token", 0.1))
    recent.observe(StageTimed("other", "token", 9.0))
    recent.observe(StageTimed("default", "exchange", 0.2))
    recent.observe(RefreshFailed("default", Refused("no", status=403, code="Denied"), 1, 5.0, 0.3))
    recent.observe(StageTimed("default", "token", 0.4))
    recent.observe(success())
    newest, oldest = recent.of("default")

    assert (newest.at, newest.outcome, newest.seconds, newest.code) == (7.0, "success", 0.5, "")
    assert newest.durations() == [("token", 0.4)]
    assert (oldest.outcome, oldest.code) == ("refused", "Denied")
    assert oldest.durations() == [("token", 0.1), ("exchange", 0.2)]
    assert recent.of("other") == ()


def test_internal_errors_have_no_code() -> None:
    """The attempt of an internal error has the outcome `internal`, and nothing of the error's text."""
    recent = RecentAttempts(lambda: 0.0)
    recent.observe(RefreshFailed("default", ValueError("secret"), 1, 5.0, 0.3))
    recent.observe(Dropped("default", ValueError()))

    assert [(item.outcome, item.code, item.stages) for item in recent.of("default")] == [("internal", "", ())]


def test_attempts_are_bounded() -> None:
    """The last five attempts are kept, each with at most 16 stages, in less than 2 KiB per profile."""
    recent = RecentAttempts(lambda: 0.0)
    for number in range(100):
        for stage in ("token", "exchange"):
            recent.observe(StageTimed("default", stage, number + 0.1))
        recent.observe(success(took=float(number)))
    for _ in range(100):
        recent.observe(StageTimed("default", "token", 0.1))
    found = recent.of("default")
    size = sys.getsizeof(found) + sum(
        sys.getsizeof(item) + sys.getsizeof(item.stages) + 24 * (2 + len(item.stages) // 2) for item in found
    )

    assert [item.seconds for item in found] == [99.0, 98.0, 97.0, 96.0, 95.0]
    assert len(found) == KEPT
    assert size < 2048
    recent.observe(success())
    assert len(recent.of("default")[0].durations()) == MOST_STAGES


def test_removed_profiles_are_forgotten() -> None:
    """The attempts of a profile that was removed from the configuration are dropped."""
    recent = RecentAttempts(lambda: 0.0)
    for name in ("default", "old"):
        recent.observe(success(name))
        recent.observe(StageTimed(name, "token", 0.1))
    recent.forget_others(["default"])
    recent.observe(success("old"))

    assert len(recent.of("default")) == 1
    assert [item.stages for item in recent.of("old")] == [()]
