"""
Clocks that are wrong, that somebody sets, that drift, and that stand still while the machine sleeps.

A session is served while both clocks of this machine say that it lives: never longer than the cloud honours it, and
never with an Expiration that clients, who have the wall clock alone, would take for over.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from app.config.loader import Loaded
from app.core.clocks import CHECK_SECONDS, Clocks, CloudClock, JumpDetector
from app.core.events import Refreshed, RefreshFailed
from app.emulator import Emulator, Fault, World
from app.emulator.world.world import OIDC_AUDIENCE, WORKLOAD_PROVIDER_ARN
from app.exchange.sts import instant
from app.observe.event_log import EventLog
from app.observe.log import Log

from ..conftest import configuration, exchange, identity
from ..refresh.simulated import START, Sidecar, Time, sidecar, simulated

HOUR, DAY = 3_600.0, 86_400.0
SESSION = 3_600.0
READS = 7.0
"""Seconds between two clients' reads."""


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def cloud(time: Time, signing_key: rsa.RSAPrivateKey) -> Emulator:
    return Emulator(World.default(profiles=("default",)), now=time.cloud, sleep=asyncio.sleep, signing_key=signing_key)


def proving_by(method: str) -> dict[str, Any]:
    authentication = {"authnMethod": method, "clientSecretEnvVarName": "IDAAS_SECRET"}
    profile = {"identity": identity(authnConfiguration=authentication), "exchange": exchange()}
    return configuration() | {"profiles": {"default": profile}}


@dataclass
class Client:
    """Reads all the time. `least`: the smallest life left that it saw by the wall clock; `refused` counts 503."""

    sidecar: Sidecar
    least: float = 1e9
    refused: int = 0

    async def reads_for(self, seconds: float) -> None:
        end = self.sidecar.time.monotonic() + seconds
        while self.sidecar.time.monotonic() < end:
            await self.reads()
            await self.sidecar.time.passes(READS)

    async def reads(self) -> int:
        """One answer against the promises; its status."""
        read, time = await self.sidecar.read(), self.sidecar.time
        if read.status == 503:
            assert read.retry_after >= 1
            self.refused += 1
            return 503
        left = (instant(json.loads(read.response.body)["Expiration"]) or 0) - time.wall()
        assert left > 0, "promise 1: an Expiration in the future"
        assert read.status == 200
        assert self.true_end() > time.true(), "the cloud does not honour it any more"
        self.least = min(self.least, left)
        return 200

    def true_end(self) -> float:
        """When the cloud ends the last session that it issued; cut to whole seconds, as an Expiration is."""
        issued = [item.at for item in self.sidecar.heard if isinstance(item.event, Refreshed)]
        time = self.sidecar.time
        return max((time.true() - time.monotonic() + at + SESSION for at in issued), default=0.0)


# --- somebody sets the clock ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["CLIENT_SECRET_POST", "CLIENT_SECRET_JWT"])
@pytest.mark.parametrize("seconds", [-HOUR, -DAY, -600, 600])
@simulated
async def test_the_clock_is_set_and_sessions_still_fit(
    seconds: float, method: str, loaded: Callable[..., Loaded], cloud: Emulator, time: Time
) -> None:
    """Set back, or ahead by less than sessions last: no client notices, nor when it is set right."""
    async with sidecar(loaded(proving_by(method)), cloud, time) as running:
        client = Client(running)
        await client.reads_for(700)
        time.set(seconds)
        await client.reads_for(3 * HOUR)
        time.set(-seconds)
        await client.reads_for(HOUR)

    assert client.refused == 0
    assert running.seen(RefreshFailed) == []
    assert len(running.seen(Refreshed)) < 30


@pytest.mark.parametrize("seconds", [HOUR, DAY])
@simulated
async def test_the_clock_is_set_ahead_beyond_sessions(
    seconds: float, loaded: Callable[..., Loaded], cloud: Emulator, time: Time
) -> None:
    """No session lives by such a clock: 503 that says so, few calls; all is well as soon as it is set right."""
    async with sidecar(loaded(), cloud, time) as running:
        client = Client(running)
        await client.reads_for(700)
        time.set(seconds)
        served = [await client.reads() for _ in range(3)]
        await client.reads_for(2 * HOUR)
        why = (await running.read()).response.body.decode()
        calls = running.emulator.totals["sts"]
        time.set(-seconds)
        await client.reads_for(CHECK_SECONDS + READS)
        back = await client.reads()

    assert served == [503] * 3
    assert f"{seconds:.0f} s ahead of the cloud's; set the clock" in why
    assert calls < 2 * 186
    assert back == 200
    assert running.profiles.refresher("default").healthy


@pytest.mark.parametrize("minutes", [31, 40, 50, 55, 59])
@simulated
async def test_the_clock_is_set_ahead_so_that_little_is_left(
    minutes: float, loaded: Callable[..., Loaded], cloud: Emulator, time: Time
) -> None:
    """Sessions that are born with little life by this machine's clock are served, and asked for in bounded number."""
    async with sidecar(loaded(), cloud, time) as running:
        client = Client(running)
        await client.reads_for(700)
        time.set(60 * minutes)
        await client.reads_for(60)
        before = running.emulator.totals["sts"]
        client.refused = 0
        await client.reads_for(HOUR)

    assert client.refused == 0
    assert running.emulator.totals["sts"] - before < 186


@pytest.mark.parametrize("seconds", [-HOUR, -DAY, 1_000])
@simulated
async def test_a_jump_in_an_outage_prolongs_nothing(
    seconds: float, loaded: Callable[..., Loaded], cloud: Emulator, time: Time
) -> None:
    """With the cloud away a session ends when the earlier clock says so: a clock set back gives it no second more."""
    async with sidecar(loaded(), cloud, time) as running:
        client = Client(running)
        await time.passes(100)
        cloud.faults.add(Fault(times=None, drop=True))
        issued = running.seen(Refreshed)[-1].credentials
        time.set(seconds)
        lives = SESSION - 100 - max(0.0, seconds)
        await client.reads_for(lives - 30)
        assert client.refused == 0
        await client.reads_for(60)

        assert client.refused > 0
        assert running.seen(Refreshed)[-1].credentials is issued


@simulated
async def test_a_clock_set_right_ends_a_pause(loaded: Callable[..., Loaded], cloud: Emulator, time: Time) -> None:
    """Who failed for the clock's sake asks again as soon as it is seen to be set, whatever the pause."""
    async with sidecar(loaded(), cloud, time) as running:
        await time.passes(100)
        cloud.faults.add(Fault("sts", times=None, code="InvalidTimeStamp.Expired"))
        while not running.seen(RefreshFailed):
            await time.passes(1)
        cloud.faults.clear()
        time.set(-30)
        await time.passes(CHECK_SECONDS + 1)

        assert running.seen(RefreshFailed)[0].retry_in > 2 * CHECK_SECONDS
        assert running.profiles.refresher("default").healthy


@simulated
async def test_a_clock_that_jumps_all_the_time(loaded: Callable[..., Loaded], cloud: Emulator, time: Time) -> None:
    """A clock that is set at every look, with the cloud away: the calls of an hour are bounded all the same."""
    async with sidecar(loaded(), cloud, time) as running:
        await time.passes(100)
        cloud.faults.add(Fault(times=None, drop=True))
        before = running.emulator.totals["token"]
        for number in range(120):
            time.set(300 if number % 2 else -300)
            await time.passes(30)

        assert running.emulator.totals["token"] - before <= 186


# --- the machine sleeps -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [2 * HOUR, DAY])
@simulated
async def test_asleep_for_longer_than_a_session(
    seconds: float, loaded: Callable[..., Loaded], cloud: Emulator, time: Time
) -> None:
    """The first who asks after it has woken gets a session of now, and waits for no more than the round trips."""
    async with sidecar(loaded(), cloud, time) as running:
        client = Client(running)
        await client.reads_for(700)
        time.suspend(seconds)
        read = await running.read()
        await client.reads_for(HOUR)

    assert (read.status, 0 < read.waited < 1) == (200, True)
    assert client.refused == 0
    assert running.seen(RefreshFailed) == []


@simulated
async def test_asleep_for_a_part_of_a_session(loaded: Callable[..., Loaded], cloud: Emulator, time: Time) -> None:
    """What aged in its sleep is replaced as soon as that is noticed, and served meanwhile."""
    async with sidecar(loaded(), cloud, time) as running:
        client = Client(running)
        await client.reads_for(100)
        time.suspend(2_000)
        await client.reads_for(CHECK_SECONDS + READS)
        client.least = 1e9
        await client.reads_for(2 * HOUR)

    assert client.refused == 0
    assert client.least >= 1_860


@pytest.mark.parametrize("code", ["ServiceUnavailable", "AuthenticationFail.NoPermission"])
@simulated
async def test_asleep_in_an_outage(code: str, loaded: Callable[..., Loaded], cloud: Emulator, time: Time) -> None:
    """What failed before the sleep is tried as soon as that is noticed: a pause of the evening says nothing now."""
    async with sidecar(loaded(), cloud, time) as running:
        await time.passes(100)
        cloud.faults.add(Fault("sts", times=None, code=code))
        await time.passes(2_000)
        cloud.faults.clear()
        time.suspend(8 * HOUR)
        assert (await running.read()).status == 503
        await time.passes(CHECK_SECONDS + 1)

        assert (await running.read()).status == 200


# --- drift ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [-0.05, -0.001, 0.001, 0.05])
@simulated
async def test_drift(share: float, loaded: Callable[..., Loaded], cloud: Emulator, time: Time) -> None:
    """A wall clock that gains or loses up to 3 min an hour, for hours: promise 2 holds by that clock too."""
    async with sidecar(loaded(), cloud, time) as running:
        client = Client(running)
        await client.reads_for(700)
        time.drift(share)
        await client.reads_for(4 * HOUR)

    assert client.refused == 0
    assert client.least >= 1_860
    assert len(running.seen(Refreshed)) < 30


@pytest.mark.parametrize("share", [-0.2, 0.2])
@simulated
async def test_drift_in_an_outage(share: float, loaded: Callable[..., Loaded], cloud: Emulator, time: Time) -> None:
    """A session that outlives an outage by a slow clock ends all the same, and by a fast one ends for clients."""
    async with sidecar(loaded(), cloud, time) as running:
        client = Client(running)
        await time.passes(100)
        time.drift(share)
        cloud.faults.add(Fault(times=None, drop=True))
        await client.reads_for((SESSION - 100) / (1 + max(0.0, share)) - 30)
        assert client.refused == 0
        await client.reads_for(60)

        assert client.refused > 0


# --- the cloud's clock ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [-DAY, -HOUR, -600, -90, 90, 600])
@simulated
async def test_assertions_are_dated_by_the_cloud(
    wrong: float, loaded: Callable[..., Loaded], cloud: Emulator, time: Time
) -> None:
    """However wrong this machine's clock is: its first answer teaches the cloud's, and each iat and exp follows it."""
    time.set(wrong)
    async with sidecar(loaded(proving_by("CLIENT_SECRET_JWT")), cloud, time) as running:
        client = Client(running)
        await client.reads_for(2 * HOUR)
        calls = [call for call in cloud.journal if call.kind == "token"]

    assert client.refused == 0
    assert running.seen(RefreshFailed) == []
    accepted = [call for call in calls if call.outcome == "ok"]
    assert len(calls) - len(accepted) <= 1, "only the very first may be refused"
    for call in accepted:
        made = claims(call.fields["client_assertion"])
        assert abs(made["iat"] - call.at) <= 2 or call is accepted[0]
        assert made["exp"] - made["iat"] == 600


def claims(assertion: str) -> dict[str, Any]:
    payload = assertion.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


@pytest.mark.parametrize("wrong", [-DAY, -HOUR, -61, -59, 0, 59, 61, 600])
@simulated
async def test_the_offset_is_told(wrong: float, loaded: Callable[..., Loaded], cloud: Emulator, time: Time) -> None:
    """The metric has the cloud's clock minus ours; above 60 s it is warned about once, until it is right again."""
    said = io.StringIO()
    log = EventLog(Log(said, level="info", json_lines=True, now=time.wall), lambda _profile: {})
    time.set(wrong)
    async with sidecar(loaded(), cloud, time, listen=log.observe) as running:
        await time.passes(2 * HOUR)
        offset = running.refreshes.clock_offset
        warned = said.getvalue().count('"clock_offset"')
        time.set(-wrong)
        await time.passes(HOUR)
        time.set(wrong)
        await time.passes(2 * HOUR)

    assert offset == pytest.approx(-wrong, abs=1)
    assert warned == (abs(wrong) > 60)
    assert said.getvalue().count('"clock_offset"') == 2 * warned
    if warned:
        line = next(line for line in said.getvalue().splitlines() if '"clock_offset"' in line)
        assert json.loads(line)["level"] == "warning"
        assert abs(json.loads(line)["seconds"] + wrong) <= 1


@simulated
async def test_a_wrong_clock_is_warned_about_once(loaded: Callable[..., Loaded], cloud: Emulator, time: Time) -> None:
    """A clock that stays wrong for a day makes no new line at each refresh."""
    said = io.StringIO()
    log = EventLog(Log(said, level="warning", json_lines=True, now=time.wall), lambda _profile: {})
    time.set(-1_000)
    async with sidecar(loaded(), cloud, time, listen=log.observe) as running:
        await time.passes(DAY)

    assert len(running.seen(Refreshed)) > 50
    assert len(said.getvalue().splitlines()) <= 2


@pytest.mark.parametrize("wrong", [-DAY, -HOUR, 0, 600])
@simulated
async def test_a_date_to_come_back_at(wrong: float, loaded: Callable[..., Loaded], cloud: Emulator, time: Time) -> None:
    """A Retry-After that is a date is a date of the cloud's clock: it means the same seconds by a wrong one here."""
    time.set(wrong)
    until = formatdate(START + 30, usegmt=True)
    cloud.faults.add(Fault("token", status=429, headers={"Retry-After": until}))
    async with sidecar(loaded(), cloud, time) as running:
        await time.passes(1)

    assert running.seen(RefreshFailed)[0].error.retry_after == pytest.approx(30, abs=1)


# --- the pieces -------------------------------------------------------------------------------------------------------


class Hands:
    """Two clocks that a test moves by hand."""

    def __init__(self) -> None:
        self.wall = 1_000_000.0
        self.monotonic = 10.0

    def clocks(self) -> Clocks:
        return Clocks(lambda: self.wall, lambda: self.monotonic)

    def tick(self, seconds: float, drift: float = 0.0) -> None:
        self.wall += seconds * (1 + drift)
        self.monotonic += seconds


@pytest.mark.parametrize(
    ("moved", "seen"), [(0, None), (4.9, None), (-4.9, None), (5.1, 5.1), (-5.1, -5.1), (3_600, 3_600)]
)
def test_a_jump_is_seen_once(moved: float, seen: float | None) -> None:
    """More than 5 s between two looks is a jump, told once with its size; less is slewing."""
    hands = Hands()
    looks = JumpDetector(hands.clocks())
    hands.tick(30)
    assert looks.jumped() is None
    hands.wall += moved
    hands.tick(30)

    assert looks.jumped() == (pytest.approx(seen) if seen is not None else None)
    hands.tick(30)
    assert looks.jumped() is None


def test_slow_drift_is_no_jump() -> None:
    """A clock that gains 1 % is no jump, however long it does."""
    hands = Hands()
    looks = JumpDetector(hands.clocks())
    for _ in range(1_000):
        hands.tick(30, drift=0.01)
        assert looks.jumped() is None


def test_the_clouds_clock() -> None:
    """Ours until the first answer, then the cloud's; ours again when ours was set, until the next answer."""
    hands = Hands()
    clock = CloudClock(hands.clocks())
    assert (clock.now(), clock.is_synchronised()) == (hands.wall, False)
    clock.learn(600.0)
    hands.tick(1_000)
    assert (clock.now(), clock.is_synchronised()) == (hands.wall + 600, True)
    hands.wall += 600
    assert (clock.now(), clock.is_synchronised()) == (hands.wall, False)
    clock.learn(-30.0)
    assert clock.now() == hands.wall - 30
    clock.learn(1.5)

    assert clock.now() == hands.wall


@simulated
async def test_a_token_file_is_not_judged_by_a_clock_that_was_set(
    loaded: Callable[..., Loaded], cloud: Emulator, time: Time, tmp_path: Path
) -> None:
    """A token that has expired by a clock just set ahead is presented all the same: whether it has, the cloud knows."""
    file, now = tmp_path / "token", int(START)
    file.write_text(cloud.workload_token(iat=now, exp=now + 3_600, aud=OIDC_AUDIENCE))
    file_identity = {"type": "tokenFile", "tokenFile": str(file)}
    profile = {"identity": file_identity, "exchange": exchange(oidcProviderArn=WORKLOAD_PROVIDER_ARN)}
    async with sidecar(loaded(configuration(profiles={"default": profile})), cloud, time) as running:
        client = Client(running)
        await client.reads_for(1_300)
        time.set(2_400)
        await client.reads_for(1_800)
        assert client.refused == 0
        await client.reads_for(2_400)  # by now it has, by every clock

        assert client.refused > 0
        assert "the program that writes it is late" in (await running.read()).response.body.decode()
