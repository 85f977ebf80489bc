"""AssumeRole: the role's trust, the parameters, the permission and the quota."""

from dataclasses import replace

import pytest

from app.emulator.world.world import ACCESS_KEY_ID, EXTERNAL_ID, EXTERNAL_ROLE_ARN, role_arn

from .conftest import Changes, Cloud
from .signed_requests import ROLE, acs3

EXTERNAL = {**ROLE, "RoleArn": EXTERNAL_ROLE_ARN}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (EXTERNAL | {"ExternalId": EXTERNAL_ID}, None),
        (EXTERNAL, "NoPermission"),
        (EXTERNAL | {"ExternalId": "another"}, "NoPermission"),
        (EXTERNAL | {"ExternalId": "x"}, "InvalidParameter.ExternalId"),
        (EXTERNAL | {"ExternalId": "a b"}, "InvalidParameter.ExternalId"),
        ({**ROLE, "RoleArn": role_arn("default")}, "NoPermission"),
        ({**ROLE, "RoleArn": role_arn("nobody")}, "EntityNotExist.Role"),
        ({**ROLE, "RoleArn": ""}, "MissingRoleArn"),
        ({**ROLE, "RoleSessionName": ""}, "MissingRoleSessionName"),
        ({**ROLE, "RoleSessionName": "a b"}, "InvalidParameter.RoleSessionName"),
        ({**ROLE, "DurationSeconds": "3601"}, "InvalidParameter.DurationSeconds"),
        ({**ROLE, "Policy": "{"}, "InvalidParameter.PolicyGrammar"),
        ({**ROLE, "Policy": '{"Version": "1", "Statement": []} *~'}, "InvalidParameter.PolicyGrammar"),
        ({**ROLE, "Policy": '{"Version": "1", "Statement": []}'}, None),
    ],
)
async def test_assume_role(query: Changes, code: str | None, cloud: Cloud) -> None:
    """The role's trust policy, the external id, and the parameters of AssumeRoleWithOIDC are checked."""
    assert (await acs3(cloud, query=query)).get("Code") == code


async def test_the_caller_needs_the_permission(cloud: Cloud) -> None:
    """The caller needs the permission sts:AssumeRole, and the role must trust the caller's account."""
    world = cloud.emulator.world
    key = replace(world.access_keys[ACCESS_KEY_ID], may=())
    cloud.emulator.world = replace(world, access_keys={ACCESS_KEY_ID: key})
    no_permission = await acs3(cloud)
    key = replace(world.access_keys[ACCESS_KEY_ID], user_arn="acs:ram::2222222222222222:user/demo")
    cloud.emulator.world = replace(world, access_keys={ACCESS_KEY_ID: key})
    other_account = await acs3(cloud, signed={"x-acs-signature-nonce": "nonce-2"})

    assert (no_permission["Code"], other_account["Code"]) == ("NoPermission", "NoPermission")


async def test_the_quota_counts_both_actions(cloud: Cloud) -> None:
    """AssumeRole and AssumeRoleWithOIDC share the quota of the account."""
    cloud.emulator.world = replace(cloud.emulator.world, calls_per_second=1)
    await cloud.assume_role_with_oidc()

    assert (await acs3(cloud))["Code"] == "Throttling.User"
