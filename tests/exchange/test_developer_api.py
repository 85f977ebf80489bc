"""The DeveloperAPI of IDaaS: its request, its answer, its errors, and the endpoint that is used."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from app.core.errors import ConfigError, Refused, Unreachable
from app.core.values import Credentials, Token
from app.emulator import Fault
from app.emulator.world.world import MANAGED_ROLE_ARN, role_arn
from app.exchange.developer_api import ObtainAccessCredential

from ..conftest import Offline, managed_exchange
from ..identity.identities import client_secret, one_profile, token_file
from ..upstream.fake_http import FakeHttp, Sent, answer
from ..workload import Workload

Build = Callable[..., Offline]

ERRORS: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"clients": ("other",)}, {}, "HTTP 403 access_denied.*grant the application the DeveloperAPI"),
    ({"broken": True}, {}, "invalid_client_credential.*let IDaaS's administrator correct"),
    ({"vendor": "aws"}, {}, "without alibabaCloudStsToken: that role belongs to another cloud"),
    ({}, {"roleArn": role_arn("nobody")}, "cloud_account_role_not_found.*correct roleArn and idaasInstanceId"),
    ({}, {"idaasInstanceId": "idaas_other"}, "HTTP 404 not_found"),
]


@pytest.mark.parametrize(("role", "changes", "message"), ERRORS)
async def test_error_names_its_remedy(
    role: dict[str, Any], changes: dict[str, Any], message: str, workload: Workload, offline: Build
) -> None:
    """Each documented error is permanent, names its remedy, and is not retried with a new token."""
    world = workload.emulator.world
    managed = replace(world.managed_roles[MANAGED_ROLE_ARN], **role)
    workload.emulator.world = replace(world, managed_roles={MANAGED_ROLE_ARN: managed})
    workload.scope = ""

    with pytest.raises(Refused, match=message):
        await offline(
            one_profile(client_secret("CLIENT_SECRET_POST")(workload), managed_exchange(**changes)), workload.environ
        ).fetch()

    assert workload.emulator.totals["token"] == 1


async def test_refused_token_is_replaced_once(workload: Workload, offline: Build) -> None:
    """After 401 a new token is fetched once, and the request succeeds."""
    workload.scope = ""
    sidecar = offline(one_profile(client_secret("CLIENT_SECRET_POST")(workload), managed_exchange()), workload.environ)
    await sidecar.fetch()
    workload.emulator.rotate(retire=True)

    await sidecar.fetch()

    assert (workload.emulator.totals["token"], workload.emulator.totals["developerapi"]) == (2, 3)


ABSURD_END = {
    "accessCredentialExpiresAt": 10**400,
    "alibabaCloudStsToken": {"accessKeyId": "STS.x", "accessKeySecret": "s", "securityToken": "t"},
}


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        json.dumps({"cloudAccountRoleAccessCredential": ABSURD_END}).encode(),
        b'{"cloudAccountRoleAccessCredential": 1}',
        b"[]",
    ],
)
async def test_response_without_credentials_is_an_error(body: bytes, workload: Workload, offline: Build) -> None:
    """A 200 without credentials is a transient error."""
    workload.scope = ""
    workload.emulator.faults.add(Fault("developerapi", body=body))

    with pytest.raises(Unreachable):
        await offline(
            one_profile(client_secret("CLIENT_SECRET_POST")(workload), managed_exchange()), workload.environ
        ).fetch()


def test_identity_outside_idaas_needs_the_instance_id(workload: Workload, loaded: Callable[..., Any]) -> None:
    """An identity that is not an application of IDaaS must name the instance of the DeveloperAPI."""
    with pytest.raises(
        ConfigError, match=r"exchange.idaasInstanceId: required where the identity is not an application"
    ):
        loaded(one_profile(token_file(workload), managed_exchange()), workload.environ)


@pytest.mark.parametrize(
    ("changes", "url"),
    [
        ({"regionId": "cn-hangzhou"}, "https://eiam-developerapi.cn-hangzhou.aliyuncs.com"),
        ({"regionId": "eu-central-1", "vpc": True}, "https://eiam-developerapi-eu.vpc-proxy.aliyuncs.com"),
        ({"endpoint": "api.example.com/x"}, "https://api.example.com"),
        ({}, "https://of-the-identity.example.com"),
    ],
)
async def test_endpoint_is_selected(changes: dict[str, Any], url: str, workload: Workload, offline: Build) -> None:
    """The exchange's own endpoint is used, else its region's, else the identity's."""
    workload.scope = ""
    identity = client_secret("CLIENT_SECRET_POST")(workload) | {"developerApiEndpoint": "of-the-identity.example.com"}
    exchange = {"type": "developerApi", "roleArn": MANAGED_ROLE_ARN, **changes}

    with pytest.raises(Unreachable, match=f"{url}/v2/.*an emulator's answer from an address"):
        await offline(one_profile(identity, exchange), workload.environ).fetch()


NOW = 1_767_323_045.0
EXPIRATION = "2026-01-02T04:04:05Z"
END = 1_767_326_645
"""EXPIRATION in seconds since the epoch."""

WHERE = "https://api.example.com/v2/idaas%2F1/cloudAccountRoles/_/actions/obtainAccessCredential"
VALUES = {"accessKeyId": "STS.id", "accessKeySecret": "secret", "securityToken": "token"}


def action(http: FakeHttp, duration_seconds: int | None = None) -> ObtainAccessCredential:
    """Return the action for a role whose name and instance need encoding."""
    return ObtainAccessCredential(
        http, "https://api.example.com", "idaas/1", "acs:ram::1:role/a", duration_seconds, lambda _: NOW
    )


def session(expiration: Any, expires_at: Any = None) -> dict[str, Any]:
    """Return the body of a successful answer with its two ends; None: the answer does not name that end."""
    return {
        "cloudAccountRoleAccessCredential": {
            "accessCredentialExpiresAt": expires_at,
            "alibabaCloudStsToken": {**VALUES, "expiration": expiration},
        }
    }


@pytest.mark.parametrize(
    ("duration_seconds", "query"),
    [
        (None, "cloudAccountRoleExternalId=acs%3Aram%3A%3A1%3Arole%2Fa"),
        (900, "cloudAccountRoleExternalId=acs%3Aram%3A%3A1%3Arole%2Fa&durationSeconds=900"),
    ],
)
async def test_request_names_the_role(duration_seconds: int | None, query: str) -> None:
    """The token is in the header; without a configured length, the role's own applies."""
    http = FakeHttp(answer(session(EXPIRATION)))

    await action(http, duration_seconds).credentials(Token("e30.e30.c2ln", NOW + 60))

    assert http.sent == [Sent("GET", f"{WHERE}?{query}", {}, {"Authorization": "Bearer e30.e30.c2ln"})]


@pytest.mark.parametrize(
    ("expiration", "expires_at", "end"),
    [
        (EXPIRATION, None, END),
        (None, END - 60, END - 60),
        (EXPIRATION, END - 60, END - 60),
        (EXPIRATION, END + 60, END),
        (EXPIRATION, "1767326645", END),
        (EXPIRATION, True, END),
        ("soon", END, END),
    ],
)
async def test_session_ends_at_the_earlier_of_two_ends(expiration: Any, expires_at: Any, end: float) -> None:
    """The answer names the end twice; the earlier one counts, and one that can be read is enough."""
    http = FakeHttp(answer(session(expiration, expires_at)))

    found = await action(http).credentials(Token("e30.e30.c2ln", NOW + 60))

    assert found == Credentials("STS.id", "secret", "token", issued_at=NOW, expires_at=float(end))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (session(None), "HTTP 200 without complete credentials"),
        (session(None, True), "HTTP 200 without complete credentials"),
        (session("2026-01-02T03:04:05Z"), "the credentials have already expired by this machine's clock"),
        ({"cloudAccountRoleAccessCredential": {}}, "HTTP 200 without complete credentials"),
        ({"cloudAccountRoleAccessCredential": [1]}, "HTTP 200 without complete credentials"),
    ],
)
async def test_unusable_session_is_transient(body: dict[str, Any], message: str) -> None:
    """A 200 without a usable session may be followed by one with it."""
    with pytest.raises(Unreachable, match=f"^{re.escape(WHERE)}: {message}"):
        await action(FakeHttp(answer(body))).credentials(Token("e30.e30.c2ln", NOW + 60))


async def test_role_of_another_cloud_is_refused() -> None:
    """A credential without the keys of Alibaba Cloud belongs to another cloud, which a repetition does not change."""
    body = {"cloudAccountRoleAccessCredential": {"awsStsToken": {}}}

    with pytest.raises(Refused, match="that role belongs to another cloud") as caught:
        await action(FakeHttp(answer(body))).credentials(Token("e30.e30.c2ln", NOW + 60))

    assert (caught.value.status, caught.value.code) == (200, "another_vendor")
    assert (caught.value.endpoint, caught.value.error_code) == (WHERE, "IDS-424")


async def test_credential_counts_before_a_code_beside_it() -> None:
    """An answer with status 200 and a credential is a success, whatever code stands beside it."""
    body = {**session(EXPIRATION), "code": "Accepted"}

    assert (await action(FakeHttp(answer(body))).credentials(Token("e30.e30.c2ln", NOW + 60))).expires_at == END


OPERATOR = "let IDaaS's administrator correct identity provider and audience of the cloud account in IDaaS"
API_ERRORS = [
    (400, "invalid_client_credential", "", OPERATOR, "IDS-425"),
    (400, "invalid_audience", "", OPERATOR, "IDS-425"),
    (
        401,
        "invalid_token",
        "renew",
        "write the DeveloperAPI's scope of this instance into scope of the identity",
        "IDS-426",
    ),
    (
        403,
        "forbidden",
        "withdrawn",
        "grant the application the DeveloperAPI's scope and the role in IDaaS, and finish the role's set-up there",
        "IDS-427",
    ),
    (404, "unknown", "", "write the DeveloperAPI's host into endpoint of the exchange, or leave it out", "IDS-428"),
    (
        404,
        "not_found",
        "withdrawn",
        "correct roleArn and idaasInstanceId, or add the role to the cloud account in IDaaS",
        "IDS-423",
    ),
    (
        404,
        "cloud_account_role_not_found",
        "withdrawn",
        "correct roleArn and idaasInstanceId, or add the role to the cloud account in IDaaS",
        "IDS-423",
    ),
    (405, "unknown", "", "", "IDS-300"),
]


@pytest.mark.parametrize(
    ("status", "code", "effect", "cure", "error_code"), API_ERRORS, ids=[f"{e[0]} {e[1]}" for e in API_ERRORS]
)
async def test_error_of_the_api_has_an_effect_and_a_cure(
    status: int, code: str, effect: str, cure: str, error_code: str
) -> None:
    """The code or the status decides whether a new token may help, and whether the role no longer exists."""
    with pytest.raises(Refused) as caught:
        await action(FakeHttp(answer({"error": code}, status))).credentials(Token("e30.e30.c2ln", NOW + 60))

    assert str(caught.value).startswith(f"{WHERE}: HTTP {status} {code}")
    assert cure in str(caught.value)
    assert (caught.value.renew_token, caught.value.withdrawn) == (effect == "renew", effect == "withdrawn")
    assert caught.value.error_code == error_code
