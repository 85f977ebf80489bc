"""A simulated day: promises 1 to 4 of the contract, looked at in every second in which a client asks."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from app.core.schedule import IN_NEED, Schedule
from app.emulator import Emulator, Fault
from app.exchange.sts import instant
from app.serve.handlers.outcome import Pending
from app.serve.request import Request

from ..clock import Clock
from ..conftest import Offline, configuration, running

ASK = Request(b"GET", b"/credentials", [(b"host", b"127.0.0.1")])
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
    """What clients saw."""

    least: float = 1e9
    answered: int = 0
    refused: list[int] = field(default_factory=list)


def outages(rng: random.Random) -> list[tuple[int, int]]:
    """Two outages: one shorter than what a session rides out, one longer than any session."""
    first, second = rng.randrange(7_200, 20_000), rng.randrange(40_000, 50_000)
    return [(first, first + 1_500), (second, second + 5_400)]


def within(second: int, windows: list[tuple[int, int]]) -> bool:
    return any(start <= second < end for start, end in windows)


def near(second: int, windows: list[tuple[int, int]], pause: float) -> bool:
    """In an outage, or so soon after one that a `pause` which began in it may not have ended."""
    return any(start <= second <= end + pause for start, end in windows)


def asking(rng: random.Random) -> Iterator[int]:
    """The seconds in which some client asks: somebody every few seconds, all day."""
    second = 0
    while second < DAY:
        yield second
        second += rng.choice((1, 1, 2, 5))


@pytest.mark.parametrize("seed", range(2))
async def test_a_day(seed: int, offline: Callable[..., Offline], emulator: Emulator, clock: Clock) -> None:
    """24 h of refreshes with random upstream failures and two outages: every answer keeps the promises."""
    rng = random.Random(seed)
    windows, start = outages(rng), clock.time()
    sidecar = offline(configuration(), chance=rng.random)
    refresher = sidecar.refreshers["default"]
    day = Day()
    async with running(refresher):
        await clock.asleep()
        for second in asking(rng):
            set_weather(emulator, rng, within(second, windows))
            await clock.advance(start + second - clock.time())
            look(sidecar, second, windows, day)

    assert day.answered > 20_000
    assert day.least >= 1860
    assert all(near(second, windows, IN_NEED) for second in day.refused)
    assert day.refused, "the long outage must outlast a session, or promise 3 was not tried"
    assert emulator.totals["sts"] < 1_000


def set_weather(emulator: Emulator, rng: random.Random, outage: bool) -> None:
    """In an outage nothing works; otherwise now and then one call fails in one of many ways."""
    waiting = list(emulator.faults)
    if outage:
        if not waiting or waiting[0].times is not None:
            emulator.faults.clear()
            emulator.faults.add(rng.choice(OUTAGE))
        return
    if waiting and waiting[0].times is None:
        emulator.faults.clear()
    elif not waiting and rng.random() < 0.002:
        emulator.faults.add(rng.choice(FAULTS))


def look(sidecar: Offline, second: int, windows: list[tuple[int, int]], day: Day) -> None:
    """One client's answer against the promises."""
    now, held = sidecar.clock.time(), sidecar.refreshers["default"].held
    answer = sidecar.handler.answer(ASK)
    valid = held is not None and held.expires_at > now
    assert not (valid and isinstance(answer, Pending)), "promise 4: a GET waits though a valid credential is in memory"
    if isinstance(answer, Pending):
        answer = sidecar.handler.answer(ASK, waited=True)
    body = json.loads(answer.response.body)
    if answer.response.status != 200:
        assert not valid, "promise 3: what was issued is served to its last second"
        assert answer.response.status == 503
        assert dict(answer.response.headers)[b"Retry-After"].isdigit()
        day.refused.append(second)
        return
    day.answered += 1
    left = (instant(body["Expiration"]) or 0) - now
    assert left > 0, "promise 1: an Expiration in the future"
    assert all(body[key] for key in ("AccessKeyId", "AccessKeySecret", "SecurityToken"))
    if not near(second, windows, Schedule().max_retry):
        day.least = min(day.least, left)
