"""The callers that were served or refused last."""

from __future__ import annotations

from app.observe.recent_callers import KEPT, Caller, RecentCallers, Seen


def caller(uid: int | None = 1000, reason: str = "") -> Caller:
    """Return a caller of the profile `default`."""
    return Caller("credentials", "default", reason, uid)


def test_equal_callers_are_counted() -> None:
    """The same caller is one entry with its count, last time and last known executable; the last one is first."""
    times = iter((1.0, 2.0, 3.0))
    recent = RecentCallers(lambda: next(times))
    recent.record(caller(), executable="/bin/a")
    recent.record(caller(1001))
    recent.record(caller(), count=4)

    assert recent.served() == [(caller(), Seen(5, 3.0, "/bin/a")), (caller(1001), Seen(1, 2.0, ""))]
    assert recent.refused() == []


def test_a_flood_of_refusals_keeps_the_served_callers() -> None:
    """Refused callers are bounded by themselves: those seen longest ago make room."""
    recent = RecentCallers(lambda: 0.0)
    recent.record(caller())
    for uid in range(1000):
        recent.record(caller(uid, "Caller"))

    assert [found.uid for found, _ in recent.served()] == [1000]
    assert [found.uid for found, _ in recent.refused()] == list(range(999, 999 - KEPT, -1))
