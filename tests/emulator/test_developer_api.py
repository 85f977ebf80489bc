"""The DeveloperAPI: a correct request is accepted, and each single change to it is refused."""

from dataclasses import replace
from typing import Any

import pytest

from app.emulator import Fault, ResourceServer
from app.emulator.world.world import AUDIENCE, CLIENT_ID, INSTANCE_ID, MANAGED_ROLE_ARN, PAM_AUDIENCE, PAM_SCOPE, SCOPE

from .conftest import Changes, Cloud, changed

PATH = f"/v2/{INSTANCE_ID}/cloudAccountRoles/_/actions/obtainAccessCredential"


async def obtain(cloud: Cloud, *, scope: str = PAM_SCOPE, path: str = PATH, **changes: Any) -> tuple[int, Any]:
    """Request the credentials of the managed role; return status and body."""
    token = (await cloud.request_token(scope=scope)).json()["access_token"]
    authorization = changes.pop("authorization", f"{changes.pop('scheme', 'Bearer')} {token}")
    headers = {"authorization": authorization} if authorization else {}
    params = changed({"cloudAccountRoleExternalId": MANAGED_ROLE_ARN}, changes)
    response = await cloud.http.get(path, params=params, headers=headers)
    return response.status_code, response.json()


async def test_accepted(cloud: Cloud) -> None:
    """The response contains the role's session, with the same expiration in both members that state it."""
    status, body = await obtain(cloud, durationSeconds="1800")

    credential = body["cloudAccountRoleAccessCredential"]
    assert status == 200
    assert body["cloudAccountRoleExternalId"] == MANAGED_ROLE_ARN
    assert credential["accessCredentialExpiresAt"] == cloud.clock.at + 1800
    assert credential["alibabaCloudStsToken"]["expiration"] == "2026-01-02T03:34:05Z"
    assert credential["alibabaCloudStsToken"]["accessKeyId"].startswith("STS.")


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"authorization": None}, 401, "invalid_token"),
        ({"authorization": "Bearer no.to.ken"}, 401, "invalid_token"),
        ({"authorization": "Basic abc"}, 401, "invalid_token"),
        ({"scheme": "Token"}, 401, "invalid_token"),
        ({"scope": SCOPE}, 403, "insufficient_scope"),
        ({"path": PATH.replace(INSTANCE_ID, "idaas_other")}, 404, "not_found"),
        ({"cloudAccountRoleExternalId": "acs:ram::1:role/x"}, 404, "cloud_account_role_not_found"),
        ({"cloudAccountRoleExternalId": None}, 404, "cloud_account_role_not_found"),
        ({"durationSeconds": "899"}, 400, "invalid_request"),
        ({"durationSeconds": "43201"}, 400, "invalid_request"),
        ({"durationSeconds": "x"}, 400, "invalid_request"),
    ],
)
async def test_refused(changes: Changes, status: int, error: str, cloud: Cloud) -> None:
    """A wrong bearer token, scope, instance, role or duration is refused."""
    actual, body = await obtain(cloud, **changes)

    assert (actual, body["error"]) == (status, error)


@pytest.mark.parametrize(
    ("scope", "status"),
    [
        (f"{PAM_AUDIENCE}|cloud_account_role:obtain_access_credential", 200),
        (f"{PAM_AUDIENCE}|read", 403),
        (f"{AUDIENCE}|cloud_account_role:obtain_access_credential", 403),
    ],
)
async def test_audience_and_scope(scope: str, status: int, cloud: Cloud) -> None:
    """The token needs both the audience and the scope value, each of which another token may have."""
    world = cloud.emulator.world
    values = ("read", "cloud_account_role:obtain_access_credential")
    audiences = (AUDIENCE, PAM_AUDIENCE)
    client = replace(world.clients[CLIENT_ID], grants=dict.fromkeys(audiences, values))
    servers = dict.fromkeys(audiences, ResourceServer(values))
    cloud.emulator.world = replace(world, clients={CLIENT_ID: client}, resource_servers=servers)

    assert (await obtain(cloud, scope=scope))[0] == status


async def test_an_expired_token(cloud: Cloud) -> None:
    """A token is refused from the second of its exp."""
    token = (await cloud.request_token(scope=PAM_SCOPE)).json()["access_token"]
    cloud.clock.at += 1200

    assert (await obtain(cloud, authorization=f"Bearer {token}"))[0] == 401


@pytest.mark.parametrize("token", ["workload", "old key"])
async def test_another_issuers_token(token: str, cloud: Cloud) -> None:
    """A token signed by the second issuer, or by a retired key of IDaaS, is refused."""
    if token == "workload":
        text = cloud.emulator.workload_token(aud="urn:cloud:idaas:pam", iss=cloud.emulator.world.issuer)
    else:
        text = (await cloud.request_token(scope=PAM_SCOPE)).json()["access_token"]
        cloud.emulator.rotate(retire=True)

    assert (await obtain(cloud, authorization=f"Bearer {text}"))[0] == 401


async def test_a_dynamic_issuer_is_compared(cloud: Cloud) -> None:
    """With dynamic issuers, a token whose iss names another host is refused."""
    token = (await cloud.request_token(scope=PAM_SCOPE)).json()["access_token"]
    cloud.emulator.world = replace(cloud.emulator.world, issuer_mode="dynamic")

    assert (await obtain(cloud, authorization=f"Bearer {token}"))[0] == 401


@pytest.mark.parametrize(
    ("role", "status", "name"),
    [
        ({"clients": ("app_other",)}, 403, "access_denied"),
        ({"broken": True}, 400, "invalid_client_credential"),
        ({"vendor": "aws"}, 200, "awsStsToken"),
        ({"vendor": "tencent_cloud"}, 200, "tencentCloudStsToken"),
        ({"max_session_duration": 900}, 200, "alibabaCloudStsToken"),
    ],
)
async def test_roles(role: Changes, status: int, name: str, cloud: Cloud) -> None:
    """A role of another application, or with a vendor error, is refused; each vendor has its own credential member."""
    world = cloud.emulator.world
    managed = replace(world.managed_roles[MANAGED_ROLE_ARN], **role)
    cloud.emulator.world = replace(world, managed_roles={MANAGED_ROLE_ARN: managed})

    actual, body = await obtain(cloud)

    assert actual == status
    assert name in (body.get("error"), *body.get("cloudAccountRoleAccessCredential", ()))


async def test_the_roles_own_maximum(cloud: Cloud) -> None:
    """A duration above the role's maximum is shortened, not refused."""
    _, body = await obtain(cloud, durationSeconds="7200")

    assert body["cloudAccountRoleAccessCredential"]["accessCredentialExpiresAt"] == cloud.clock.at + 3600


async def test_faults(cloud: Cloud) -> None:
    """A fault applies to the DeveloperAPI."""
    cloud.emulator.faults.add(Fault("developerapi", status=503))

    assert (await obtain(cloud))[0] == 503
    assert cloud.emulator.world.clients[CLIENT_ID]
