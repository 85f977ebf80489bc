"""Clients that come before the first credentials: how long they wait, and what they share."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest

from app.config.loader import Loaded
from app.emulator import Emulator, Fault
from app.serve.request import Request
from app.serve.responses import Response

from ..simulated_loop import simulated
from .simulated import Sidecar, Time, sidecar

URI, ECS = b"/credentials", b"/latest/meta-data/ram/security-credentials/default"


async def read(sidecar: Sidecar, target: bytes) -> tuple[Response, float]:
    """Send one GET; return the response and the seconds that the client waited for it."""
    began = sidecar.time.monotonic()
    outcome = sidecar.dispatcher(Request(b"GET", target, [(b"host", b"127.0.0.1")]))
    response = outcome if isinstance(outcome, Response) else await outcome
    return response, sidecar.time.monotonic() - began


@pytest.mark.parametrize(("target", "delay"), [(URI, 1.0), (URI, 3.9), (ECS, 0.1), (ECS, 0.7)])
@simulated
async def test_client_gets_the_first_credentials_when_they_arrive(
    target: bytes, delay: float, loaded: Callable[..., Loaded], cloud: Emulator, time: Time
) -> None:
    """A client that comes before the first credentials gets them as soon as they arrive."""
    cloud.faults.add(Fault("token", delay=delay))
    async with sidecar(loaded(), cloud, time) as starting:
        response, waited = await read(starting, target)

    assert (response.status, json.loads(response.body)["Code"]) == (200, "Success")
    assert waited == pytest.approx(delay, abs=0.1)


@pytest.mark.parametrize(("target", "patience"), [(URI, 4.0), (ECS, 0.8)])
@simulated
async def test_client_waits_for_a_limited_time(
    target: bytes, patience: float, loaded: Callable[..., Loaded], cloud: Emulator, time: Time
) -> None:
    """Without credentials a client gets 503 before its own time limit: after 4 s (URI), or 0.8 s (ECS)."""
    cloud.faults.add(Fault("token", delay=30))
    async with sidecar(loaded(), cloud, time) as starting:
        response, waited = await read(starting, target)

    assert response.status == 503
    assert waited == pytest.approx(patience)


@simulated
async def test_two_hundred_first_requests_share_one_fetch(
    loaded: Callable[..., Loaded], cloud: Emulator, time: Time
) -> None:
    """Two hundred clients at a cold start get the same credentials, for one token call and one STS call."""
    cloud.faults.add(Fault("token", delay=1.5))
    async with sidecar(loaded(), cloud, time) as starting:
        reads = await asyncio.gather(*(read(starting, URI) for _ in range(200)))

    assert {response.status for response, _ in reads} == {200}
    assert len({response.body for response, _ in reads}) == 1
    assert (cloud.totals["token"], cloud.totals["sts"]) == (1, 1)


@simulated
async def test_outage_from_start_to_end(loaded: Callable[..., Loaded], cloud: Emulator, time: Time) -> None:
    """In an outage a session is served to its end, then requests get 503 with Retry-After, and 200 after the outage."""
    async with sidecar(loaded(), cloud, time) as running:
        await time.advance(1)
        cloud.faults.add(Fault("*", times=None, drop=True))
        held = running.profiles.refresher("default")
        await time.advance(held.left() - 0.01)
        last = await running.read()
        await time.advance(0.02)
        refused = await running.read()
        cloud.faults.clear()
        await time.advance(refused.retry_after)
        after = await running.read()

    assert (last.status, refused.status, after.status) == (200, 503, 200)
    assert json.loads(refused.response.body)["Code"] == "CredentialsUnavailable"
    assert 1 <= refused.retry_after <= 41
