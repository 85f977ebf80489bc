"""A clock of the cloud is wrong: the token endpoint's, STS's, or both."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import formatdate

import httpx
import pytest

from app.config.loader import Loaded
from app.core.events import Refreshed, RefreshFailed
from app.emulator import Emulator
from app.emulator.world.world import CHAINED_ROLE_ARN

from ..conftest import with_client_auth
from ..simulated_loop import simulated
from .client import Client
from .faults import server_clock
from .simulated import START, Interceptor, Time, sidecar

LONGER_THAN_A_SESSION = 5_400.0


@pytest.mark.parametrize("method", ["CLIENT_SECRET_POST", "CLIENT_SECRET_JWT"])
@pytest.mark.parametrize("ahead", [-600, 600])
@pytest.mark.parametrize("endpoints", [("token",), ("sts",), ("token", "sts")], ids="+".join)
@simulated
async def test_cloud_clock_off_by_ten_minutes(
    endpoints: tuple[str, ...], ahead: float, method: str, loaded: Callable[..., Loaded], cloud: Emulator, time: Time
) -> None:
    """Ten minutes off at either endpoint or both: clients are served; only a token from STS's future has to wait."""
    token_from_the_future = (endpoints, ahead) in ((("token",), 600), (("sts",), -600))
    async with sidecar(loaded(with_client_auth(method)), cloud, time) as running:
        client = Client(running)
        await client.read_for(1_500)
        running.interceptors.update(dict.fromkeys(endpoints, server_clock(time, ahead)))
        await client.read_for(LONGER_THAN_A_SESSION)
        running.interceptors.clear()
        await client.read_for(LONGER_THAN_A_SESSION)

    assert client.unavailable == 0
    assert client.least_left >= (1_860 - 600 if token_from_the_future else 1_860)
    assert bool(running.events(RefreshFailed)) == token_from_the_future


@simulated
async def test_token_endpoint_ahead_by_3_seconds(loaded: Callable[..., Loaded], cloud: Emulator, time: Time) -> None:
    """A token from 3 s in STS's future is sent again after 3 s, so a start is late by seconds, not minutes."""
    async with sidecar(loaded(), cloud, time) as running:
        running.interceptors["token"] = server_clock(time, 3)
        client = Client(running)
        await client.read_until_fresh(at_most=6)

    assert [event.error.retry_after for event in running.events(RefreshFailed)] == [pytest.approx(3, abs=0.1)]
    assert running.emulator.totals == {"token": 1, "sts": 2}


def says(date: str | None) -> Interceptor:
    """Return an interceptor: the real response, with another Date header or none."""

    async def intercept(request: httpx.Request, inner: httpx.AsyncBaseTransport) -> httpx.Response:
        response = await inner.handle_async_request(request)
        if "date" in response.headers:
            del response.headers["date"]
        if date is not None and request.url.host == "127.0.0.2":
            response.headers["date"] = date
        return response

    return intercept


@pytest.mark.parametrize("method", ["CLIENT_SECRET_POST", "CLIENT_SECRET_JWT"])
@pytest.mark.parametrize("ahead", [-10 * 365 * 86_400, -86_400, -3_600, 3_600, 86_400, 10 * 365 * 86_400])
@simulated
async def test_absurd_date_of_another_cloud(
    ahead: float, method: str, loaded: Callable[..., Loaded], cloud: Emulator, time: Time
) -> None:
    """One cloud whose Date is absurd does not affect a profile whose cloud sends none: no refresh of it fails."""
    config = with_client_auth(method)
    healthy = config["profiles"]["default"]
    elsewhere = healthy["identity"]["tokenEndpoint"].replace("127.0.0.1", "127.0.0.2")
    absurd = {**healthy, "identity": healthy["identity"] | {"tokenEndpoint": elsewhere}}
    config["profiles"] = {"absurd": absurd, "default": healthy}
    async with sidecar(loaded(config), cloud, time) as running:
        running.interceptors.update(dict.fromkeys(("token", "sts"), says(formatdate(START + ahead, usegmt=True))))
        await time.advance(LONGER_THAN_A_SESSION)

        assert [event.error for event in running.events(RefreshFailed) if event.profile == "default"] == []
        assert len([event for event in running.events(Refreshed) if event.profile == "default"]) > 2
        assert running.profiles.refresher("default").left() >= 1_860


@pytest.mark.parametrize("wrong", [-86_400, -1_200, 1_200, 86_400])
@simulated
async def test_signed_request_to_another_server_at_a_start(
    wrong: float, loaded: Callable[..., Loaded], cloud: Emulator, time: Time
) -> None:
    """With a wrong clock of ours, a signed request to a server that has not answered yet is repeated by its clock."""
    config = with_client_auth("CLIENT_SECRET_POST")
    role = {"roleArn": CHAINED_ROLE_ARN, "endpoints": ["http://127.0.0.3:7080"]}
    config["profiles"]["default"]["chain"] = [role]
    time.step_wall_clock(wrong)
    async with sidecar(loaded(config), cloud, time) as running:
        await time.advance(1)
        failures = [str(event.error) for event in running.events(RefreshFailed)]

    # A clock that is ahead by a day refuses the session, which is another matter: it has expired by that clock.
    assert [failure for failure in failures if "InvalidTimeStamp" in failure] == []
    assert bool(failures) == (wrong == 86_400)
