"""
Every fault of the upstream at each endpoint, for half an hour and for longer than a session lasts.

Promises 1, 3 and 4 of the contract are checked all the time, and promise 2 while the cloud responds. When the fault
ends, the next attempt, at most one pause away, restores service.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest

from app.config.loader import Loaded
from app.core.events import RefreshFailed
from app.emulator import Emulator

from ..conftest import with_developer_api
from ..simulated_loop import simulated
from .client import READ_INTERVAL, Client
from .faults import CONNECTION_FAULTS, Switch, connection_fault, longest_pause, response_fault
from .simulated import Sidecar, Time, sidecar

HALF_AN_HOUR = 1_800.0
LONGER_THAN_A_SESSION = 5_400.0

FaultMembers = Mapping[str, Any]
"""Members of a `Fault`."""

BAD_RESPONSES: dict[str, FaultMembers] = {
    "429": {"status": 429},
    "429, Retry-After 2 s": {"status": 429, "headers": {"Retry-After": "2"}},
    "429, Retry-After 90 s": {"status": 429, "headers": {"Retry-After": "90"}},
    "429, Retry-After 1 day": {"status": 429, "headers": {"Retry-After": "86400"}},
    "429, x-acs-retry-after 1500 ms": {"status": 429, "headers": {"x-acs-retry-after": "1500"}},
    "500": {"status": 500},
    "502": {"status": 502, "body": b"<html>bad gateway", "content_type": "text/html"},
    "503": {"status": 503},
    "503, Retry-After 30 s": {"status": 503, "headers": {"Retry-After": "30"}},
    "504": {"status": 504, "body": b""},
    "302": {"status": 302, "headers": {"Location": "https://elsewhere.example/"}},
    "login page": {"body": b"<html>log in", "content_type": "text/html"},
    "truncated JSON": {"body": b'{"access_token": "eyJ'},
    "array": {"body": b"[]"},
    "empty": {"body": b""},
    "empty fields": {
        "body": b'{"access_token": "", "Credentials": {"AccessKeyId": "", "AccessKeySecret": "", "SecurityToken": "",'
        b' "Expiration": ""}, "cloudAccountRoleAccessCredential": {}}'
    },
    "expired session": {"expiration_offset": -60},
    "image": {"body": b"GIF89a", "content_type": "image/gif"},
}

AUTH_FAIL = "AuthenticationFail"
STS_CODES = {
    f"{AUTH_FAIL}.NoPermission": "permanent",
    f"{AUTH_FAIL}.OIDCToken.AudienceNotMatch": "permanent",
    f"{AUTH_FAIL}.OIDCToken.IssuerNotMatch": "permanent",
    f"{AUTH_FAIL}.OIDCToken.Expired": "permanent",
    f"{AUTH_FAIL}.OIDCToken.Invalid": "permanent",
    f"{AUTH_FAIL}.OIDCToken.InvalidSignature": "permanent",
    f"{AUTH_FAIL}.OIDCToken.HttpsUrlInvalid": "permanent",
    f"{AUTH_FAIL}.OIDCToken.PublicKeyFingerprintMismatch": "permanent",
    f"{AUTH_FAIL}.OIDCToken.IssuerConfigurationBroken": "transient",
    "EntityNotExist.Role": "permanent",
    "InvalidParameter.RoleSessionName": "permanent",
    "InvalidParameter.DurationSeconds": "permanent",
    "InvalidParameter.PolicyGrammar": "permanent",
    "Throttling.User": "transient",
    "Throttling.Api": "transient",
    "Throttling": "transient",
    "InvalidTimeStamp.Expired": "permanent",
    "ServiceUnavailable": "transient",
    "InternalError": "transient",
}
"""Every documented error code of AssumeRoleWithOIDC, and whether the error is permanent or transient."""

OAUTH_CODES = {
    "invalid_client": "permanent",
    "invalid_request": "permanent",
    "invalid_scope": "permanent",
    "scope_not_found": "permanent",
    "access_denied": "permanent",
    "expired_token": "permanent",
    "operation_denied_by_license": "permanent",
    "authorization_pending": "transient",
    "slow_down": "transient",
}
"""The error codes of the token endpoint."""

DEVELOPER_API: dict[str, tuple[FaultMembers, str]] = {
    "401": ({"status": 401, "code": "expired_token"}, "permanent"),
    "403": ({"status": 403, "code": "Forbidden"}, "permanent"),
    "no such role": ({"status": 404, "code": "cloud_account_role_not_found"}, "permanent"),
    "not found": ({"status": 404, "code": "not_found"}, "permanent"),
    "invalid_client_credential": ({"status": 400, "code": "invalid_client_credential"}, "permanent"),
    "invalid_audience": ({"status": 400, "code": "invalid_audience"}, "permanent"),
    "licence": ({"status": 403, "code": "operation_denied_by_license"}, "permanent"),
    "throttled": ({"status": 400, "code": "Throttling.User"}, "transient"),
    "500": ({"status": 500}, "transient"),
    "502": ({"status": 502}, "transient"),
    "503": ({"status": 503}, "transient"),
}
"""The errors of the DeveloperAPI."""


async def run_with_fault(
    loaded: Loaded, cloud: Emulator, time: Time, fault: Switch, kind: str, hint: float = 0.0
) -> Sidecar:
    """Run half an hour of the fault, then 90 minutes of it, and check what must follow each."""
    start, stop = fault
    async with sidecar(loaded, cloud, time) as running:
        client = Client(running)
        await client.read_for(1_500)
        start(running)
        before = len(running.events(RefreshFailed))
        await client.read_for(HALF_AN_HOUR)
        assert len(running.events(RefreshFailed)) > before, "the fault had no effect"
        assert client.unavailable == 0
        stop(running)
        await client.read_until_fresh(longest_pause(kind, served=True) + hint)
        client.least_left = 1e9
        await client.read_for(3_600)
        assert client.least_left >= 1_860, "promise 2"
        start(running)
        await client.read_for(LONGER_THAN_A_SESSION)
        assert client.unavailable > 100, "the fault must outlast the session, or promise 3 was not tested"
        assert (await running.read()).status == 503
        stop(running)
        await client.read_until_fresh(longest_pause(kind, served=False) + hint)
        await client.read_for(READ_INTERVAL)
        assert calls_in_any_hour(running) <= 1 + (25 if kind == "permanent" else 186)
        return running


def calls_in_any_hour(running: Sidecar) -> int:
    """Return the largest number of failed attempts within an hour."""
    failures = [event.at for event in running.timed_events if isinstance(event.event, RefreshFailed)]
    return max(sum(1 for at in failures if start <= at < start + 3_600) for start in failures)


@pytest.mark.parametrize("endpoint", ["token", "sts"])
@pytest.mark.parametrize("name", CONNECTION_FAULTS)
@simulated
async def test_connection_fault(
    name: str, endpoint: str, loaded: Callable[..., Loaded], cloud: Emulator, time: Time
) -> None:
    """On any connection fault: 200 until the session expires, then 503, and 200 within one pause after the fault."""
    await run_with_fault(loaded(), cloud, time, connection_fault(endpoint, CONNECTION_FAULTS[name]), "transient")


@pytest.mark.parametrize("endpoint", ["token", "sts"])
@pytest.mark.parametrize("name", BAD_RESPONSES)
@simulated
async def test_bad_response(
    name: str, endpoint: str, loaded: Callable[..., Loaded], cloud: Emulator, time: Time
) -> None:
    """A bad response in place of a token or a session has the same effect as a connection fault."""
    hint = min(300.0, float(BAD_RESPONSES[name].get("headers", {}).get("Retry-After", 0)))
    await run_with_fault(loaded(), cloud, time, response_fault(endpoint, BAD_RESPONSES[name]), "transient", hint)


@pytest.mark.parametrize(("code", "kind"), STS_CODES.items())
@simulated
async def test_sts_error(code: str, kind: str, loaded: Callable[..., Loaded], cloud: Emulator, time: Time) -> None:
    """Each documented error of STS has the same effect, and a permanent one is retried at most 25 times per hour."""
    await run_with_fault(loaded(), cloud, time, response_fault("sts", {"code": code}), kind)


@pytest.mark.parametrize(("code", "kind"), OAUTH_CODES.items())
@simulated
async def test_token_endpoint_error(
    code: str, kind: str, loaded: Callable[..., Loaded], cloud: Emulator, time: Time
) -> None:
    """Each error of the token endpoint has the same effect as an error of STS."""
    await run_with_fault(loaded(), cloud, time, response_fault("token", {"code": code}), kind)


@pytest.mark.parametrize("name", DEVELOPER_API)
@simulated
async def test_developer_api_error(name: str, loaded: Callable[..., Loaded], cloud: Emulator, time: Time) -> None:
    """Each error of the DeveloperAPI has the same effect as an error of STS."""
    members, kind = DEVELOPER_API[name]
    await run_with_fault(loaded(with_developer_api()), cloud, time, response_fault("developerapi", members), kind)


@simulated
async def test_content_type_is_ignored(loaded: Callable[..., Loaded], cloud: Emulator, time: Time) -> None:
    """A valid response with the Content-Type text/plain, which some gateways set, is accepted."""

    async def as_plain_text(request: httpx.Request, inner: httpx.AsyncBaseTransport) -> httpx.Response:
        response = await inner.handle_async_request(request)
        response.headers["content-type"] = "text/plain"
        return response

    async with sidecar(loaded(), cloud, time) as running:
        running.interceptors.update(token=as_plain_text, sts=as_plain_text)
        client = Client(running)
        await client.read_for(LONGER_THAN_A_SESSION)

    assert client.unavailable == 0
    assert client.least_left >= 1_860
