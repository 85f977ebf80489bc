"""The start-up gate, and the required profiles without usable credentials."""

from __future__ import annotations

import pytest

from app.core.values import STATES, State
from app.serve.handlers.gate import Gate, missing

from ..clock import Clock
from .sources import FakeSource


@pytest.mark.parametrize(
    ("kind", "states", "expected"),
    [
        ("listening", ["starting"], [True, True, True]),
        ("credentials", ["starting"], [False, False, False]),
        ("credentials", ["fresh"], [True, True, True]),
        ("credentials", ["fresh", "denied"], [False, False, False]),
        ("timeout", ["starting"], [False, False, True]),
        ("timeout", ["stale"], [True, True, True]),
    ],
)
def test_gate(clock: Clock, kind: str, states: list[State], expected: list[bool]) -> None:
    """The gate opens at once, with all credentials, or at the end of the time limit."""
    sources = [FakeSource(state=state) for state in states]
    gate = Gate(kind, timeout=60, started_at=clock.time(), sources=sources, now=clock.time)
    found = []
    for seconds in (0.0, 59.9, 0.1):
        clock.skip(seconds)
        found.append(gate.open())

    assert found == expected


def test_open_gate_stays_open(clock: Clock) -> None:
    """Credentials that expire later do not close the gate."""
    source = FakeSource(state="fresh")
    gate = Gate("credentials", timeout=60, started_at=clock.time(), sources=[source], now=clock.time)
    assert gate.open()
    source.state = "expired"

    assert gate.open()


def test_missing_profiles() -> None:
    """Required profiles without usable credentials are missing, in order; usable means fresh or stale."""
    sources = [FakeSource(f"{state} {need}", required=need, state=state) for state in STATES for need in (True, False)]

    assert [item.profile for item in missing(sources)] == [
        "starting True",
        "denied True",
        "misconfigured True",
        "expired True",
        "dropped True",
    ]
