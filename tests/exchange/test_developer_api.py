"""The DeveloperAPI of IDaaS: its errors, and the endpoint that is used."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from app.core.errors import ConfigError, Refused, Unreachable
from app.emulator import Fault
from app.emulator.world.world import MANAGED_ROLE_ARN, role_arn

from ..conftest import Offline, managed_exchange
from ..identity.identities import client_secret, one_profile, token_file
from ..workload import Workload

Build = Callable[..., Offline]

ERRORS: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"clients": ("other",)}, {}, "HTTP 403 access_denied"),
    ({"broken": True}, {}, "invalid_client_credential.*IDaaS's own access to the target account is set up wrongly"),
    ({"vendor": "aws"}, {}, "without alibabaCloudStsToken: that role belongs to another cloud"),
    ({}, {"roleArn": role_arn("nobody")}, "cloud_account_role_not_found.*IDaaS does not manage that role"),
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
