"""GenerateOauthToken: a correct request is accepted, and each single change to it is refused."""

from dataclasses import replace

import pytest

from app.emulator import Fault
from app.emulator.world.world import ACCESS_KEY_ID, CLIENT_ID, INSTANCE_ID

from .conftest import Changes, Cloud, changed
from .signed_requests import acs3, session_keys

PARAMETERS = {
    "InstanceId": INSTANCE_ID,
    "ApplicationId": CLIENT_ID,
    "Audience": "api.demo.example",
    "ScopeValues.1": "read",
    "ScopeValues.2": "write",
}
GENERATE = ("GenerateOauthToken", "2021-12-01")


async def test_generate(cloud: Cloud) -> None:
    """A user's key and a session's key obtain the application's token, which STS accepts."""
    by_user = await acs3(cloud, query=PARAMETERS, action=GENERATE)
    by_session = await acs3(cloud, await session_keys(cloud), query=PARAMETERS, action=GENERATE)

    for response in (by_user, by_session):
        token = response["TokenResponse"]
        assert (token["TokenType"], token["ExpiresIn"]) == ("Bearer", 1200)
        assert (await cloud.assume_role_with_oidc(OIDCToken=token["AccessToken"])).status_code == 200
    assert cloud.emulator.totals["openapi"] == 2


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"InstanceId": "idaas_other"}, "EntityNotExist.Instance"),
        ({"InstanceId": None}, "MissingInstanceId"),
        ({"ApplicationId": "app_other"}, "EntityNotExist.Application"),
        ({"ApplicationId": None}, "MissingApplicationId"),
        ({"Audience": None}, "MissingAudience"),
        ({"Audience": "elsewhere"}, "InvalidParameter.Scope"),
        ({"ScopeValues.1": None}, "MissingScopeValues"),
        ({"ScopeValues.2": "delete"}, "InvalidParameter.Scope"),
    ],
)
async def test_generate_refused(changes: Changes, code: str, cloud: Cloud) -> None:
    """A missing or wrong parameter is refused with its code."""
    assert (await acs3(cloud, query=changed(PARAMETERS, changes), action=GENERATE))["Code"] == code


async def test_generate_needs_permission_and_method(cloud: Cloud) -> None:
    """The caller needs eiam:GenerateOauthToken, the application PLUGIN, the request its version and a signature."""
    world = cloud.emulator.world
    key = replace(world.access_keys[ACCESS_KEY_ID], may=("sts:AssumeRole",))
    cloud.emulator.world = replace(world, access_keys={ACCESS_KEY_ID: key})
    no_permission = (await acs3(cloud, query=PARAMETERS, action=GENERATE))["Code"]
    client = replace(world.clients[CLIENT_ID], methods=("OIDC",))
    cloud.emulator.world = replace(world, clients={CLIENT_ID: client})
    no_method = (await acs3(cloud, query=PARAMETERS, action=GENERATE, signed={"x-acs-signature-nonce": "2"}))["Code"]
    cloud.emulator.world = world
    version = (await acs3(cloud, query=PARAMETERS, action=(GENERATE[0], "2020-01-01")))["Code"]
    unsigned = (await acs3(cloud, query=PARAMETERS, action=GENERATE, authorization=None))["Code"]

    assert (no_permission, no_method) == ("NoPermission", "NoPermission")
    assert (version, unsigned) == ("InvalidVersion", "MissingAccessKeyId")


async def test_openapi_faults(cloud: Cloud) -> None:
    """A fault applies to the OpenAPI, with the codes of its kind."""
    cloud.emulator.faults.add(Fault("openapi", status=503))

    assert (await acs3(cloud, query=PARAMETERS, action=GENERATE))["Code"] == "ServiceUnavailable"
