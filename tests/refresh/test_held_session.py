"""How long a held session may be served, whatever happens to the clocks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.core.clocks import Clocks
from app.core.values import Credentials
from app.refresh.held_session import HeldSession, hold, hold_restored

from ..clock import Clock


def session(clock: Clock, issued: float, expires: float) -> Credentials:
    """Return a session with its times relative to the wall clock."""
    return Credentials("STS.x", "secret", "token", clock.time() + issued, clock.time() + expires)


@pytest.mark.parametrize(
    ("issued", "expires", "passed", "jumped", "left"),
    [
        (0, 3600, 0, 0, 3600),
        (0, 3600, 100, 0, 3500),
        (0, 3600, 100, 50, 3450),
        (0, 3600, 100, -50, 3500),
        (0, 3600, 3600, 0, 0),
        (600, 4200, 0, 0, 3600),  # the cloud's clock is ahead of this machine's
        (-600, 3000, 0, 0, 3000),
    ],
)
def test_new_session_ends_at_the_earlier_of_two_ends(
    issued: float, expires: float, passed: float, jumped: float, left: float, clock: Clock
) -> None:
    """A new session ends by the wall clock, or after its lifetime by the monotonic clock if that is earlier."""
    held = hold(session(clock, issued, expires), clock.clocks)
    clock.skip(passed)
    clock.jump(jumped)

    assert held.left(clock.clocks) == left


@pytest.mark.parametrize(
    ("issued", "expires", "passed", "jumped", "left"),
    [
        (-600, 3000, 0, 0, 3000),
        (-600, 3000, 100, -600, 2900),  # the clock is set back: the session still ends after 3000 s
        (-600, 3000, 100, 50, 2850),
        (-600, 3000, 3000, -10_000, 0),
        (80_000, 83_600, 100, 0, 3500),  # the clock is far behind: no session lasts longer than its lifetime
    ],
)
def test_restored_session_ends_at_the_earlier_of_two_ends(
    issued: float, expires: float, passed: float, jumped: float, left: float, clock: Clock
) -> None:
    """A restored session has the lifetime that is left by the wall clock, and never more than its whole lifetime."""
    held = hold_restored(session(clock, issued, expires), clock.clocks)
    clock.skip(passed)
    clock.jump(jumped)

    assert held.left(clock.clocks) == left


@pytest.mark.parametrize("make", [hold, hold_restored])
@pytest.mark.parametrize(("life", "promised"), [(3600, 1860), (900, 540)])
def test_session_knows_its_end_and_its_promised_lifetime(
    make: Callable[[Credentials, Clocks], HeldSession], life: float, promised: float, clock: Clock
) -> None:
    """A held session has its end by the wall clock, and the lifetime that readers were promised of its whole life."""
    credentials = session(clock, -100, life - 100)
    held = make(credentials, clock.clocks)

    assert (held.credentials, held.expires_at) == (credentials, clock.time() + life - 100)
    assert held.promised == promised
