"""The DeveloperAPI: one request is accepted, and each single change to it is refused."""

from dataclasses import replace
from typing import Any

import pytest

from app.emulator import Fault
from app.emulator.world.world import CLIENT_ID, INSTANCE_ID, MANAGED_ROLE_ARN, PAM_SCOPE, SCOPE

from .conftest import Changes, Cloud, changed

PATH = f"/v2/{INSTANCE_ID}/cloudAccountRoles/_/actions/obtainAccessCredential"


async def obtain(cloud: Cloud, *, scope: str = PAM_SCOPE, path: str = PATH, **changes: Any) -> tuple[int, Any]:
    """Status and body of a request for the managed role."""
    token = (await cloud.ask(scope=scope)).json()["access_token"]
    authorization = changes.pop("authorization", f"{changes.pop('scheme', 'Bearer')} {token}")
    headers = {"authorization": authorization} if authorization else {}
    params = changed({"cloudAccountRoleExternalId": MANAGED_ROLE_ARN}, changes)
    answer = await cloud.http.get(path, params=params, headers=headers)
    return answer.status_code, answer.json()


async def test_accepted(cloud: Cloud) -> None:
    """The session of the role, its end told twice and alike."""
    status, body = await obtain(cloud, durationSeconds="1800")

    found = body["cloudAccountRoleAccessCredential"]
    assert status == 200
    assert body["cloudAccountRoleExternalId"] == MANAGED_ROLE_ARN
    assert found["accessCredentialExpiresAt"] == cloud.clock.at + 1800
    assert found["alibabaCloudStsToken"]["expiration"] == "2026-01-02T03:34:05Z"
    assert found["alibabaCloudStsToken"]["accessKeyId"].startswith("STS.")


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
    """The bearer, its scope, the instance, the role and the duration."""
    found, body = await obtain(cloud, **changes)

    assert (found, body["error"]) == (status, error)


async def test_an_expired_token(cloud: Cloud) -> None:
    """A token is good to its last second."""
    token = (await cloud.ask(scope=PAM_SCOPE)).json()["access_token"]
    cloud.clock.at += 1200

    assert (await obtain(cloud, authorization=f"Bearer {token}"))[0] == 401


@pytest.mark.parametrize("token", ["workload", "old key"])
async def test_another_issuers_token(token: str, cloud: Cloud) -> None:
    """A token of the second issuer, or by a key that IDaaS no longer has, is none."""
    if token == "workload":
        text = cloud.emulator.workload_token(aud="urn:cloud:idaas:pam", iss=cloud.emulator.world.issuer)
    else:
        text = (await cloud.ask(scope=PAM_SCOPE)).json()["access_token"]
        cloud.emulator.rotate(retire=True)

    assert (await obtain(cloud, authorization=f"Bearer {text}"))[0] == 401


async def test_a_dynamic_issuer_is_compared(cloud: Cloud) -> None:
    """A token whose issuer is another host's is another issuer's."""
    token = (await cloud.ask(scope=PAM_SCOPE)).json()["access_token"]
    cloud.emulator.world = replace(cloud.emulator.world, issuer_mode="dynamic")

    assert (await obtain(cloud, authorization=f"Bearer {token}"))[0] == 401


@pytest.mark.parametrize(
    ("role", "status", "word"),
    [
        ({"clients": ("app_other",)}, 403, "access_denied"),
        ({"broken": True}, 400, "invalid_client_credential"),
        ({"vendor": "aws"}, 200, "awsStsToken"),
        ({"vendor": "tencent_cloud"}, 200, "tencentCloudStsToken"),
        ({"max_session_duration": 900}, 200, "alibabaCloudStsToken"),
    ],
)
async def test_roles(role: Changes, status: int, word: str, cloud: Cloud) -> None:
    """A role that is not this application's, that the vendor refuses, or of another vendor."""
    world = cloud.emulator.world
    managed = replace(world.managed_roles[MANAGED_ROLE_ARN], **role)
    cloud.emulator.world = replace(world, managed_roles={MANAGED_ROLE_ARN: managed})

    found, body = await obtain(cloud)

    assert found == status
    assert word in (body.get("error"), *body.get("cloudAccountRoleAccessCredential", ()))


async def test_the_roles_own_maximum(cloud: Cloud) -> None:
    """A longer session than the role's is cut, not refused."""
    _, body = await obtain(cloud, durationSeconds="7200")

    assert body["cloudAccountRoleAccessCredential"]["accessCredentialExpiresAt"] == cloud.clock.at + 3600


async def test_faults(cloud: Cloud) -> None:
    """The DeveloperAPI fails on demand."""
    cloud.emulator.faults.add(Fault("developerapi", status=503))

    assert (await obtain(cloud))[0] == 503
    assert cloud.emulator.world.clients[CLIENT_ID]
