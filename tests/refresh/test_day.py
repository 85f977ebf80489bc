"""A simulated day: promises 1 to 4 of the contract, checked in every second in which a client reads."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from app.core.schedule import LONGEST_PAUSE_WITHOUT_SESSION, Schedule
from app.emulator import Emulator, Fault
from app.exchange.sts import instant
from app.serve.handlers.outcome import Pending
from app.serve.request import Request

from ..clock import Clock
from ..conftest import Offline, configuration, running

GET_CREDENTIALS = Request(b"GET", b"/credentials", [(b"host", b"127.0.0.1")])
DAY = 86_400

FAULTS = (
    Fault("token", status=503),
    Fault("sts", status=500),
    Fault("sts", code="Throttling.User"),
    Fault("token", drop=True),
    Fault("sts", body=b"<html>", content_type="text/html"),
    Fault("sts", body=b'{"Credentials":{}}'),
    Fault("sts", code="AuthenticationFail.OIDCToken.Expired"),
    Fault("token", status=429, headers={"retry-after": "5"}),
    Fault("sts", expiration_offset=-5),
)
OUTAGE = (Fault("*", times=None, drop=True), Fault("*", times=None, status=503))


@dataclass
class Day:
    """
    What clients got during the day.

    `least_left` is the least lifetime left in seconds while the cloud responds. `served` counts responses with 200.
    `unavailable` has the seconds with a 503.
    """

    least_left: float = 1e9
    served: int = 0
    unavailable: list[int] = field(default_factory=list)


def outages(rng: random.Random) -> list[tuple[int, int]]:
    """Return two outages: one shorter than what a session outlasts, and one longer than any session."""
    first, second = rng.randrange(7_200, 20_000), rng.randrange(40_000, 50_000)
    return [(first, first + 1_500), (second, second + 5_400)]


def within(second: int, outage_windows: list[tuple[int, int]]) -> bool:
    """Return whether `second` is in one of the outages."""
    return any(start <= second < end for start, end in outage_windows)


def in_or_after(second: int, outage_windows: list[tuple[int, int]], pause: float) -> bool:
    """Return whether `second` is in an outage, or at most `pause` seconds after one."""
    return any(start <= second <= end + pause for start, end in outage_windows)


def read_times(rng: random.Random) -> Iterator[int]:
    """Yield the seconds in which a client reads: one read every few seconds, all day."""
    second = 0
    while second < DAY:
        yield second
        second += rng.choice((1, 1, 2, 5))


@pytest.mark.parametrize("seed", range(2))
async def test_promises_hold_for_a_day(
    seed: int, offline: Callable[..., Offline], emulator: Emulator, clock: Clock
) -> None:
    """With random upstream failures and two outages in 24 h, every response keeps promises 1 to 4."""
    rng = random.Random(seed)
    outage_windows, start = outages(rng), clock.time()
    sidecar = offline(configuration(), chance=rng.random)
    refresher = sidecar.refreshers["default"]
    day = Day()
    async with running(refresher):
        await clock.asleep()
        for second in read_times(rng):
            set_faults(emulator, rng, within(second, outage_windows))
            await clock.advance(start + second - clock.time())
            read_and_check(sidecar, second, outage_windows, day)

    assert day.served > 20_000
    assert day.least_left >= 1860
    assert all(in_or_after(second, outage_windows, LONGEST_PAUSE_WITHOUT_SESSION) for second in day.unavailable)
    assert day.unavailable, "the long outage must outlast a session, or promise 3 was not tested"
    assert emulator.totals["sts"] < 1_000


def set_faults(emulator: Emulator, rng: random.Random, outage: bool) -> None:
    """In an outage every request fails; otherwise a random request fails in one of many ways."""
    pending = list(emulator.faults)
    if outage:
        if not pending or pending[0].times is not None:
            emulator.faults.clear()
            emulator.faults.add(rng.choice(OUTAGE))
        return
    if pending and pending[0].times is None:
        emulator.faults.clear()
    elif not pending and rng.random() < 0.002:
        emulator.faults.add(rng.choice(FAULTS))


def read_and_check(sidecar: Offline, second: int, outage_windows: list[tuple[int, int]], day: Day) -> None:
    """Read once and check the response against the promises."""
    now, held = sidecar.clock.time(), sidecar.refreshers["default"].held
    outcome = sidecar.handler.decide(GET_CREDENTIALS)
    valid = held is not None and held.expires_at > now
    assert not (valid and isinstance(outcome, Pending)), (
        "promise 4: a GET waits although a valid credential is in memory"
    )
    if isinstance(outcome, Pending):
        outcome = sidecar.handler.decide(GET_CREDENTIALS, waited=True)
    body = json.loads(outcome.response.body)
    if outcome.response.status != 200:
        assert not valid, "promise 3: what was issued is served to its last second"
        assert outcome.response.status == 503
        assert dict(outcome.response.headers)[b"Retry-After"].isdigit()
        day.unavailable.append(second)
        return
    day.served += 1
    left = (instant(body["Expiration"]) or 0) - now
    assert left > 0, "promise 1: an Expiration in the future"
    assert all(body[key] for key in ("AccessKeyId", "AccessKeySecret", "SecurityToken"))
    if not in_or_after(second, outage_windows, Schedule().max_retry):
        day.least_left = min(day.least_left, left)
