"""`onDenied`: what happens to a session whose role is withdrawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from app.config.loader import Loaded
from app.core.errors import Refused
from app.core.events import Dropped, RefreshFailed
from app.emulator import Emulator
from app.emulator.world.world import CHAINED_ROLE_ARN

from ..conftest import configuration, exchange, identity, with_developer_api
from ..simulated_loop import simulated
from .client import Client
from .faults import CONNECTION_FAULTS, Switch, connection_fault, longest_pause, response_fault
from .simulated import Time, sidecar

CHAINED = {"identity": identity(), "exchange": exchange(), "chain": [{"roleArn": CHAINED_ROLE_ARN}]}


async def refuse_the_chained_role(request: httpx.Request, inner: httpx.AsyncBaseTransport) -> httpx.Response:
    """Refuse AssumeRole with NoPermission, and pass every other request on."""
    if request.headers.get("x-acs-action") != "AssumeRole":
        return await inner.handle_async_request(request)
    return httpx.Response(403, stream=httpx.ByteStream(b'{"Code": "NoPermission", "RequestId": "REQ-1"}'))


WITHDRAWN: dict[str, tuple[dict[str, Any], Switch]] = {
    "trust": (
        configuration()["profiles"]["default"],
        response_fault("sts", {"code": "AuthenticationFail.NoPermission"}),
    ),
    "role": (configuration()["profiles"]["default"], response_fault("sts", {"code": "EntityNotExist.Role"})),
    "chain": (CHAINED, connection_fault("sts", refuse_the_chained_role)),
    "DeveloperAPI": (
        with_developer_api()["profiles"]["default"],
        response_fault("developerapi", {"status": 403, "code": "Forbidden"}),
    ),
}


@pytest.mark.parametrize("name", WITHDRAWN)
@pytest.mark.parametrize("rule", ["stop", "serve"])
@simulated
async def test_on_denied_decides_what_a_withdrawn_role_serves(
    rule: str, name: str, loaded: Callable[..., Loaded], cloud: Emulator, time: Time
) -> None:
    """`stop` drops a session as soon as its role is known to be withdrawn; `serve` serves it until it expires."""
    profile, (start, stop) = WITHDRAWN[name]
    config = configuration() | {"profiles": {"default": profile | {"onDenied": rule}}}
    async with sidecar(loaded(config), cloud, time) as running:
        await time.advance(100)
        start(running)
        while not running.events(RefreshFailed):
            await time.advance(1)
        error, read = running.events(RefreshFailed)[0].error, await running.read()
        dropped = running.events(Dropped)
        stop(running)
        await time.advance(longest_pause("permanent", served=False))

        assert isinstance(error, Refused)
        assert (read.status, len(dropped)) == ((503, 1) if rule == "stop" else (200, 0))
        assert (await running.read()).status == 200
        assert running.profiles.refresher("default").healthy


@pytest.mark.parametrize(
    "fault",
    [
        response_fault("sts", {"code": "Throttling.User"}),
        response_fault("sts", {"code": "AuthenticationFail.OIDCToken.AudienceNotMatch"}),
        response_fault("sts", {"status": 403, "body": b"<html>a firewall", "content_type": "text/html"}),
        response_fault("token", {"code": "access_denied"}),
        connection_fault("sts", CONNECTION_FAULTS["connection refused"]),
    ],
    ids=["throttled", "audience", "firewall", "token endpoint", "unreachable"],
)
@simulated
async def test_other_errors_do_not_drop_a_session(
    fault: Switch, loaded: Callable[..., Loaded], cloud: Emulator, time: Time
) -> None:
    """With `stop`, an error that is not a withdrawn role leaves the session served to its last second."""
    config = configuration() | {"profiles": {"default": configuration()["profiles"]["default"] | {"onDenied": "stop"}}}
    async with sidecar(loaded(config), cloud, time) as running:
        client = Client(running)
        await client.read_for(100)
        fault[0](running)
        await client.read_for(3_400)

        assert client.unavailable == 0
        assert running.events(RefreshFailed)
        assert running.events(Dropped) == []
