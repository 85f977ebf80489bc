"""Responses of the credential handler without a socket: routes, cold start, outages, the horizon."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from app.emulator import Emulator, Fault
from app.serve.handlers.outcome import Pending
from app.serve.request import Request

from ..clock import Clock
from ..conftest import Offline, configuration, handler, running
from .credential_requests import HOST, PATH_TOKEN, ROLES, code, request


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"/credentials", 200),
        (b"/credentials/", 200),
        (b"/credentials?", 200),
        (b"/credentials?user=a+b&x=2", 200),
        (b"/credentials/default", 200),
        (b"/credentials/p2/", 200),
        (b"/credentials/nobody", 404),
        (b"/credentials//", 404),
        (b"//credentials", 404),
        (b"/Credentials", 404),
        (b"/credentials/P2", 404),
        (b"/%63redentials", 404),
        (b"/credentials%00", 404),
        (b"/credentials/../credentials", 404),
        (b"/credentials#x", 404),
        (b"/", 404),
        (b"/metrics", 404),
        (b"/status.json", 404),
        (b"/healthz", 200),
        (ROLES, 200),
        (ROLES + b"/", 200),
        (ROLES + b"/?", 200),
        (ROLES + b"/p2", 200),
        (ROLES + b"/p2?", 200),
        (b"/latest/meta-data/Ram/security-credentials/default", 200),
        (b"/Latest/Meta-Data/RAM/Security-Credentials/default", 200),
        (ROLES + b"/Default", 404),
        (ROLES + b"/nobody", 404),
        (ROLES + b"x/default", 404),
        (b"/latest/meta-data/region-id", 404),
        (b"/latest/dynamic/instance-identity/document", 404),
        (b"/latest/", 404),
    ],
)
async def test_routes(ready: Offline, target: bytes, status: int) -> None:
    """Only the documented paths are served; they are compared without decoding; only the ECS prefix ignores case."""
    assert request(ready.handler, target).response.status == status


async def test_profiles_get_their_own(ready: Offline) -> None:
    """Each profile's path returns that profile's credentials, by URI and by ECS role."""
    first, second = (
        json.loads(request(ready.handler, path).response.body) for path in (b"/credentials", b"/credentials/p2")
    )
    role = json.loads(request(ready.handler, ROLES + b"/p2").response.body)

    assert first["AccessKeyId"] == ready.refreshers["default"].credentials().access_key_id
    assert second == role
    assert first["AccessKeyId"] != second["AccessKeyId"]


@pytest.mark.parametrize("path", [b"/aws/p2", b"/aws/p2/", b"/aws/p2?x"])
async def test_document_for_the_sdks_of_aws(ready: Offline, path: bytes) -> None:
    """`/aws/{profile}` returns the profile's session as the AWS SDKs read it, with the token under both names."""
    ours = json.loads(request(ready.handler, b"/credentials/p2").response.body)
    answer = request(ready.handler, path)

    assert json.loads(answer.response.body) == {
        "Version": 1,
        "AccessKeyId": ours["AccessKeyId"],
        "SecretAccessKey": ours["AccessKeySecret"],
        "SessionToken": ours["SecurityToken"],
        "Token": ours["SecurityToken"],
        "Expiration": ours["Expiration"],
    }
    assert (answer.label, answer.profile) == ("aws", "p2")


@pytest.mark.parametrize("path", [b"/aws", b"/aws/", b"/aws/nobody", b"/AWS/p2", b"/awsp2"])
async def test_paths_that_are_not_aws(ready: Offline, path: bytes) -> None:
    """Other paths than `/aws/{profile}` are not found."""
    assert request(ready.handler, path).response.status == 404


async def test_aws_needs_the_path_token(ready: Offline) -> None:
    """The path token applies to the document for AWS SDKs as to every other one."""
    at = handler(ready.refreshers, ready.clock, path_token=PATH_TOKEN)

    assert request(at, b"/aws/p2").response.status == 403
    assert request(at, b"/" + PATH_TOKEN + b"/aws/p2").response.status == 200
    assert request(at, b"/aws/p2", method=b"POST").response.status == 403


@pytest.mark.parametrize("target", [b"/credentials", b"/aws/p2", ROLES, ROLES + b"/default"])
@pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE", b"HEAD", b"OPTIONS", b"PATCH", b"TRACE"])
async def test_other_methods(ready: Offline, target: bytes, method: bytes) -> None:
    """A path that can only be read answers every method but GET with 405 and Allow: GET."""
    response = request(ready.handler, target, method=method).response

    assert response.status == 405
    assert dict(response.headers)[b"Allow"] == b"GET"


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
async def test_healthz_can_be_read(ready: Offline, method: bytes) -> None:
    """The liveness of the credentials listener answers GET and HEAD, which `wget --spider` sends."""
    assert request(ready.handler, b"/healthz", method=method).response.status == 200


async def test_healthz_takes_no_other_method(ready: Offline) -> None:
    """The liveness of the credentials listener answers 405 to other methods."""
    response = request(ready.handler, b"/healthz", method=b"POST").response

    assert (response.status, dict(response.headers)[b"Allow"]) == (405, b"GET, HEAD")


async def test_every_answer_has_length_and_type(ready: Offline) -> None:
    """Every answer has a Content-Length that equals the body, Content-Type and no-store; errors too."""
    targets = (b"/credentials", b"/nowhere", ROLES, ROLES + b"/default", b"/healthz", b"/latest/api/token")
    for target in targets:
        response = request(ready.handler, target).response
        headers = dict(response.headers)
        assert int(headers[b"Content-Length"]) == len(response.body) > 0
        assert headers[b"Content-Type"]
        assert headers[b"Cache-Control"] == b"no-store"


async def test_answers_are_made_once(ready: Offline) -> None:
    """All requests get the same bytes object until the next refresh."""
    before = request(ready.handler, b"/credentials").response
    assert request(ready.handler, b"/credentials").response is before

    await ready.clock.advance(1400)

    assert request(ready.handler, b"/credentials").response is not before


async def test_role_list_is_one_name_without_newline(ready: Offline) -> None:
    """The role list has no newline: Python's SDK uses the body in its next path as it is."""
    assert request(ready.handler, ROLES + b"/").response.body == b"default"


async def test_role_list_without_default(offline: Callable[..., Offline]) -> None:
    """Without a profile `default` the role list names the first profile of the file."""
    sidecar = offline(configuration("p3", "p2"))

    assert request(sidecar.handler, ROLES).response.body == b"p3"


# --- cold start and outages -------------------------------------------------------------------------------------------


async def test_cold_start_waits(offline: Callable[..., Offline]) -> None:
    """Before the first attempt has ended, a request waits for the patience of its protocol: 4 s (URI), 0.8 s (ECS)."""
    sidecar = offline()

    uri = sidecar.handler.decide(Request(b"GET", b"/credentials", [HOST]))
    ecs = sidecar.handler.decide(Request(b"GET", ROLES + b"/default", [HOST]))

    assert isinstance(uri, Pending)
    assert isinstance(ecs, Pending)
    assert (uri.patience, ecs.patience) == (4.0, 0.8)


async def test_503_says_why_and_when(offline: Callable[..., Offline], emulator: Emulator, clock: Clock) -> None:
    """Without credentials the answer is 503 with Retry-After and the upstream's code, but not its message."""
    emulator.faults.add(Fault("sts", code="AuthenticationFail.NoPermission", message="upstream message"))
    sidecar = offline()
    async with running(*sidecar.refreshers.values()):
        await clock.asleep()
        answer = sidecar.handler.decide(Request(b"GET", b"/credentials", [HOST]), waited=True)

    assert (answer.response.status, code(answer)) == (503, "CredentialsUnavailable")
    assert dict(answer.response.headers)[b"Retry-After"] == b"225"
    assert b"AuthenticationFail.NoPermission" in answer.response.body
    assert b"upstream message" not in answer.response.body


async def test_failure_of_one_profile(offline: Callable[..., Offline], clock: Clock) -> None:
    """A profile that fails answers 503, and the other profile answers 200."""
    config = configuration("default", "p2")
    config["profiles"]["p2"]["exchange"]["roleArn"] = "acs:ram::1234567890123456:role/absent"
    sidecar = offline(config)
    async with running(*sidecar.refreshers.values()):
        await clock.asleep(2)
        good = sidecar.handler.decide(Request(b"GET", b"/credentials", [HOST]), waited=True)
        bad = sidecar.handler.decide(Request(b"GET", b"/credentials/p2", [HOST]), waited=True)

    assert (good.response.status, bad.response.status) == (200, 503)


@pytest.mark.parametrize(
    ("passed", "outage", "expected"), [(1740, False, False), (1741, False, True), (1741, True, False)]
)
async def test_short_lifetime_in_an_outage_is_no_violation(
    passed: float, outage: bool, expected: bool, ready: Offline, clock: Clock
) -> None:
    """Less than 1860 s left is a violation only while the cloud answers: the promise does not cover an outage."""
    if outage:
        ready.emulator.faults.add(Fault("*", status=503, times=None))
        await clock.advance(1500)
        passed -= 1500
    clock.skip(passed)

    assert request(ready.handler, b"/credentials").below_horizon is expected


async def test_read_below_the_horizon_is_counted(ready: Offline, clock: Clock) -> None:
    """A session with less life than promised, although the last refresh succeeded, is marked as a violation."""
    assert request(ready.handler, b"/credentials").below_horizon is False

    clock.skip(1800)

    assert request(ready.handler, b"/credentials").below_horizon is True
