"""
A machine's clock that is wrong, is stepped, drifts, or stands still while the machine is suspended.

A session is served while both clocks of this machine say that it is valid. So it is never served longer than the cloud
accepts it, and never with an Expiration that clients, who have only the wall clock, take for expired.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from app.config.loader import Loaded
from app.core.clocks import CHECK_SECONDS
from app.core.events import Refreshed, RefreshFailed
from app.emulator import Emulator, Fault
from app.emulator.world.world import OIDC_AUDIENCE, WORKLOAD_PROVIDER_ARN
from app.exchange.sts import instant
from app.observe.event_log import EventLog
from app.observe.log import Log

from ..conftest import configuration, exchange, with_client_auth
from ..simulated_loop import simulated
from .simulated import START, Sidecar, Time, sidecar

HOUR, DAY = 3_600.0, 86_400.0
SESSION_SECONDS = 3_600.0
READ_INTERVAL = 7.0
"""Seconds between two reads."""


@dataclass
class Client:
    """
    Read all the time and check each response.

    `least_left` is the least lifetime left, in seconds of the wall clock. `unavailable` counts responses with 503.
    """

    sidecar: Sidecar
    least_left: float = 1e9
    unavailable: int = 0

    async def read_for(self, seconds: float) -> None:
        """Read every `READ_INTERVAL` seconds for `seconds`."""
        end = self.sidecar.time.monotonic() + seconds
        while self.sidecar.time.monotonic() < end:
            await self.read()
            await self.sidecar.time.advance(READ_INTERVAL)

    async def read(self) -> int:
        """Read once, check the response against the promises, and return its status."""
        read, time = await self.sidecar.read(), self.sidecar.time
        if read.status == 503:
            assert read.retry_after >= 1
            self.unavailable += 1
            return 503
        left = (instant(json.loads(read.response.body)["Expiration"]) or 0) - time.wall()
        assert left > 0, "promise 1: an Expiration in the future"
        assert read.status == 200
        assert self.cloud_expiry() > time.true(), "the cloud no longer accepts the session"
        self.least_left = min(self.least_left, left)
        return 200

    def cloud_expiry(self) -> float:
        """Return when the cloud ends the last session that it issued, cut to whole seconds as an Expiration is."""
        issued = [item.at for item in self.sidecar.timed_events if isinstance(item.event, Refreshed)]
        time = self.sidecar.time
        return max((time.true() - time.monotonic() + at + SESSION_SECONDS for at in issued), default=0.0)


# --- the wall clock is stepped ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["CLIENT_SECRET_POST", "CLIENT_SECRET_JWT"])
@pytest.mark.parametrize("seconds", [-HOUR, -DAY, -600, 600])
@simulated
async def test_clock_step_within_a_session_is_not_noticed(
    seconds: float, method: str, loaded: Callable[..., Loaded], cloud: Emulator, time: Time
) -> None:
    """No client notices a clock that is set back, or ahead by less than a session lasts, nor its correction."""
    async with sidecar(loaded(with_client_auth(method)), cloud, time) as running:
        client = Client(running)
        await client.read_for(700)
        time.step_wall_clock(seconds)
        await client.read_for(3 * HOUR)
        time.step_wall_clock(-seconds)
        await client.read_for(HOUR)

    assert client.unavailable == 0
    assert running.events(RefreshFailed) == []
    assert len(running.events(Refreshed)) < 30


@pytest.mark.parametrize("seconds", [HOUR, DAY])
@simulated
async def test_clock_ahead_by_more_than_a_session_gives_503(
    seconds: float, loaded: Callable[..., Loaded], cloud: Emulator, time: Time
) -> None:
    """By such a clock no session is valid: 503 names the clock, calls stay few, and the correction restores service."""
    async with sidecar(loaded(), cloud, time) as running:
        client = Client(running)
        await client.read_for(700)
        time.step_wall_clock(seconds)
        statuses = [await client.read() for _ in range(3)]
        await client.read_for(2 * HOUR)
        message = (await running.read()).response.body.decode()
        calls = running.emulator.totals["sts"]
        time.step_wall_clock(-seconds)
        await client.read_for(CHECK_SECONDS + READ_INTERVAL)
        status_after = await client.read()

    assert statuses == [503] * 3
    assert f"{seconds:.0f} s ahead of the cloud's; set the clock" in message
    assert calls < 2 * 186
    assert status_after == 200
    assert running.profiles.refresher("default").healthy


@pytest.mark.parametrize("minutes", [31, 40, 50, 55, 59])
@simulated
async def test_clock_ahead_by_almost_a_session_is_served(
    minutes: float, loaded: Callable[..., Loaded], cloud: Emulator, time: Time
) -> None:
    """Sessions with little lifetime left by this machine's clock are served, and the number of calls is bounded."""
    async with sidecar(loaded(), cloud, time) as running:
        client = Client(running)
        await client.read_for(700)
        time.step_wall_clock(60 * minutes)
        await client.read_for(60)
        before = running.emulator.totals["sts"]
        client.unavailable = 0
        await client.read_for(HOUR)

    assert client.unavailable == 0
    assert running.emulator.totals["sts"] - before < 186


@pytest.mark.parametrize("seconds", [-HOUR, -DAY, 1_000])
@simulated
async def test_clock_step_in_an_outage_does_not_extend_a_session(
    seconds: float, loaded: Callable[..., Loaded], cloud: Emulator, time: Time
) -> None:
    """In an outage a session ends by the earlier of both clocks; setting the wall clock back does not extend it."""
    async with sidecar(loaded(), cloud, time) as running:
        client = Client(running)
        await time.advance(100)
        cloud.faults.add(Fault(times=None, drop=True))
        issued = running.events(Refreshed)[-1].credentials
        time.step_wall_clock(seconds)
        seconds_left = SESSION_SECONDS - 100 - max(0.0, seconds)
        await client.read_for(seconds_left - 30)
        assert client.unavailable == 0
        await client.read_for(60)

        assert client.unavailable > 0
        assert running.events(Refreshed)[-1].credentials is issued


@simulated
async def test_clock_correction_ends_a_pause(loaded: Callable[..., Loaded], cloud: Emulator, time: Time) -> None:
    """After a failure that the clock caused, the next attempt follows the detected correction, not the pause."""
    async with sidecar(loaded(), cloud, time) as running:
        await time.advance(100)
        cloud.faults.add(Fault("sts", times=None, code="InvalidTimeStamp.Expired"))
        while not running.events(RefreshFailed):
            await time.advance(1)
        cloud.faults.clear()
        time.step_wall_clock(-30)
        await time.advance(CHECK_SECONDS + 1)

        assert running.events(RefreshFailed)[0].retry_in > 2 * CHECK_SECONDS
        assert running.profiles.refresher("default").healthy


@simulated
async def test_calls_are_bounded_when_the_clock_jumps_at_every_check(
    loaded: Callable[..., Loaded], cloud: Emulator, time: Time
) -> None:
    """In an outage, with a clock that is set before every check, an hour still has at most 186 calls."""
    async with sidecar(loaded(), cloud, time) as running:
        await time.advance(100)
        cloud.faults.add(Fault(times=None, drop=True))
        before = running.emulator.totals["token"]
        for number in range(120):
            time.step_wall_clock(300 if number % 2 else -300)
            await time.advance(30)

        assert running.emulator.totals["token"] - before <= 186


# --- the machine is suspended -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [2 * HOUR, DAY])
@simulated
async def test_suspend_for_longer_than_a_session(
    seconds: float, loaded: Callable[..., Loaded], cloud: Emulator, time: Time
) -> None:
    """The first read after a suspend gets a new session and waits only for the round trips."""
    async with sidecar(loaded(), cloud, time) as running:
        client = Client(running)
        await client.read_for(700)
        time.suspend(seconds)
        read = await running.read()
        await client.read_for(HOUR)

    assert (read.status, 0 < read.waited < 1) == (200, True)
    assert client.unavailable == 0
    assert running.events(RefreshFailed) == []


@simulated
async def test_suspend_for_part_of_a_session(loaded: Callable[..., Loaded], cloud: Emulator, time: Time) -> None:
    """A session that aged during a suspend is served, and is replaced as soon as the suspend is detected."""
    async with sidecar(loaded(), cloud, time) as running:
        client = Client(running)
        await client.read_for(100)
        time.suspend(2_000)
        await client.read_for(CHECK_SECONDS + READ_INTERVAL)
        client.least_left = 1e9
        await client.read_for(2 * HOUR)

    assert client.unavailable == 0
    assert client.least_left >= 1_860


@pytest.mark.parametrize("code", ["ServiceUnavailable", "AuthenticationFail.NoPermission"])
@simulated
async def test_suspend_during_an_outage(code: str, loaded: Callable[..., Loaded], cloud: Emulator, time: Time) -> None:
    """A suspend that is detected ends a pause, so a failure from before the suspend is retried at once."""
    async with sidecar(loaded(), cloud, time) as running:
        await time.advance(100)
        cloud.faults.add(Fault("sts", times=None, code=code))
        await time.advance(2_000)
        cloud.faults.clear()
        time.suspend(8 * HOUR)
        assert (await running.read()).status == 503
        await time.advance(CHECK_SECONDS + 1)

        assert (await running.read()).status == 200


# --- the wall clock drifts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [-0.05, -0.001, 0.001, 0.05])
@simulated
async def test_drift_keeps_the_guaranteed_lifetime(
    rate: float, loaded: Callable[..., Loaded], cloud: Emulator, time: Time
) -> None:
    """With a drift of up to 3 minutes per hour, promise 2 (1860 s left) also holds by the wall clock."""
    async with sidecar(loaded(), cloud, time) as running:
        client = Client(running)
        await client.read_for(700)
        time.drift(rate)
        await client.read_for(4 * HOUR)

    assert client.unavailable == 0
    assert client.least_left >= 1_860
    assert len(running.events(Refreshed)) < 30


@pytest.mark.parametrize("rate", [-0.2, 0.2])
@simulated
async def test_drift_in_an_outage_does_not_extend_a_session(
    rate: float, loaded: Callable[..., Loaded], cloud: Emulator, time: Time
) -> None:
    """In an outage a slow wall clock does not extend a session, and a fast one ends it early, as clients see it."""
    async with sidecar(loaded(), cloud, time) as running:
        client = Client(running)
        await time.advance(100)
        time.drift(rate)
        cloud.faults.add(Fault(times=None, drop=True))
        await client.read_for((SESSION_SECONDS - 100) / (1 + max(0.0, rate)) - 30)
        assert client.unavailable == 0
        await client.read_for(60)

        assert client.unavailable > 0


# --- the cloud's clock ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [-DAY, -HOUR, -600, -90, 90, 600])
@simulated
async def test_assertions_use_the_clouds_clock(
    offset: float, loaded: Callable[..., Loaded], cloud: Emulator, time: Time
) -> None:
    """However wrong our clock is, the first response shows the cloud's, and each later `iat` and `exp` follows it."""
    time.step_wall_clock(offset)
    async with sidecar(loaded(with_client_auth("CLIENT_SECRET_JWT")), cloud, time) as running:
        client = Client(running)
        await client.read_for(2 * HOUR)
        requests = [request for request in cloud.journal if request.kind == "token"]

    assert client.unavailable == 0
    assert running.events(RefreshFailed) == []
    accepted = [request for request in requests if request.outcome == "ok"]
    assert len(requests) - len(accepted) <= 1, "only the very first may be refused"
    for request in accepted:
        payload = claims(request.fields["client_assertion"])
        assert abs(payload["iat"] - request.at) <= 2 or request is accepted[0]
        assert payload["exp"] - payload["iat"] == 600


def claims(assertion: str) -> dict[str, Any]:
    """Return the claims of an assertion without verifying it."""
    payload = assertion.split(".")[1]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return decoded


@pytest.mark.parametrize("offset", [-DAY, -HOUR, -61, -59, 0, 59, 61, 600])
@simulated
async def test_clock_offset_is_measured_and_warned_about(
    offset: float, loaded: Callable[..., Loaded], cloud: Emulator, time: Time
) -> None:
    """The metric is the cloud's clock minus ours; above 60 s it is warned about once, and again after a correction."""
    stream = io.StringIO()
    log = EventLog(Log(stream, level="info", json_lines=True, now=time.wall), lambda _profile: {})
    time.step_wall_clock(offset)
    async with sidecar(loaded(), cloud, time, listener=log.observe) as running:
        await time.advance(2 * HOUR)
        measured = running.refreshes.clock_offset
        warnings = stream.getvalue().count('"clock_offset"')
        time.step_wall_clock(-offset)
        await time.advance(HOUR)
        time.step_wall_clock(offset)
        await time.advance(2 * HOUR)

    assert measured == pytest.approx(-offset, abs=1)
    assert warnings == (abs(offset) > 60)
    assert stream.getvalue().count('"clock_offset"') == 2 * warnings
    if warnings:
        line = next(line for line in stream.getvalue().splitlines() if '"clock_offset"' in line)
        assert json.loads(line)["level"] == "warning"
        assert abs(json.loads(line)["seconds"] + offset) <= 1


@simulated
async def test_lasting_clock_offset_is_warned_about_once(
    loaded: Callable[..., Loaded], cloud: Emulator, time: Time
) -> None:
    """A clock that stays wrong for a day adds no new line at each refresh."""
    stream = io.StringIO()
    log = EventLog(Log(stream, level="warning", json_lines=True, now=time.wall), lambda _profile: {})
    time.step_wall_clock(-1_000)
    async with sidecar(loaded(), cloud, time, listener=log.observe) as running:
        await time.advance(DAY)

    assert len(running.events(Refreshed)) > 50
    assert len(stream.getvalue().splitlines()) <= 2


@pytest.mark.parametrize("offset", [-DAY, -HOUR, 0, 600])
@simulated
async def test_retry_after_date_is_read_by_the_clouds_clock(
    offset: float, loaded: Callable[..., Loaded], cloud: Emulator, time: Time
) -> None:
    """A Retry-After date means the same number of seconds whatever this machine's clock says."""
    time.step_wall_clock(offset)
    until = formatdate(START + 30, usegmt=True)
    cloud.faults.add(Fault("token", status=429, headers={"Retry-After": until}))
    async with sidecar(loaded(), cloud, time) as running:
        await time.advance(1)

    assert running.events(RefreshFailed)[0].error.retry_after == pytest.approx(30, abs=1)


@simulated
async def test_token_file_is_not_judged_by_a_clock_that_was_stepped(
    loaded: Callable[..., Loaded], cloud: Emulator, time: Time, tmp_path: Path
) -> None:
    """A token that expired only by a clock just set ahead is still sent, because the cloud decides about its expiry."""
    file, now = tmp_path / "token", int(START)
    file.write_text(cloud.workload_token(iat=now, exp=now + 3_600, aud=OIDC_AUDIENCE))
    file_identity = {"type": "tokenFile", "tokenFile": str(file)}
    profile = {"identity": file_identity, "exchange": exchange(oidcProviderArn=WORKLOAD_PROVIDER_ARN)}
    async with sidecar(loaded(configuration(profiles={"default": profile})), cloud, time) as running:
        client = Client(running)
        await client.read_for(1_300)
        time.step_wall_clock(2_400)
        await client.read_for(1_800)
        assert client.unavailable == 0
        await client.read_for(2_400)  # the token has now expired by every clock

        assert client.unavailable > 0
        assert "the program that writes it is late" in (await running.read()).response.body.decode()
