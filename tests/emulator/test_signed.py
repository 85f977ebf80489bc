"""AssumeRole and GenerateOauthToken: both signatures; each single change is refused with the documented code."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest

from app.emulator import Fault
from app.emulator.world.world import (
    ACCESS_KEY_ID,
    ACCESS_KEY_SECRET,
    CHAINED_ROLE_ARN,
    CLIENT_ID,
    EXTERNAL_ID,
    EXTERNAL_ROLE_ARN,
    INSTANCE_ID,
    role_arn,
)

from .conftest import BASE, Changes, Cloud, changed

HOST = BASE.removeprefix("http://")
USER = (ACCESS_KEY_ID, ACCESS_KEY_SECRET, None)
EMPTY = hashlib.sha256(b"").hexdigest()
Keys = tuple[str, str, str | None]


def percent_encoded(text: str) -> str:
    """Return `text` encoded by the rules of both signatures."""
    return quote(text, safe="~")


def canonical_query(fields: Changes) -> str:
    """Return the sorted and encoded query of `fields`."""
    return "&".join(f"{percent_encoded(name)}={percent_encoded(fields[name])}" for name in sorted(fields))


def rpc_signature(method: str, fields: Changes, secret: str) -> str:
    """Return the RPC signature of a request."""
    text = f"{method}&%2F&{percent_encoded(canonical_query(fields))}"
    return base64.b64encode(hmac.digest(f"{secret}&".encode(), text.encode(), "sha1")).decode()


def acs3_signature(query: Changes, headers: Changes, secret: str) -> str:
    """Return the ACS3 signature of a POST request without a body."""
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    request = "\n".join(("POST", "/", canonical_query(query), lines, ";".join(sorted(headers)), EMPTY))
    text = f"ACS3-HMAC-SHA256\n{hashlib.sha256(request.encode()).hexdigest()}"
    return hmac.new(secret.encode(), text.encode(), "sha256").hexdigest()


ROLE = {"RoleArn": CHAINED_ROLE_ARN, "RoleSessionName": "sidecar-1"}
VECTOR = {
    "RoleArn": "acs:ram::1234567890123456:role/second-role",
    "RoleSessionName": "sidecar-1",
    "DurationSeconds": "3600",
}


def test_the_signer_of_these_tests() -> None:
    """The signatures made here are equal to the vectors of upstream-protocols.md section 12."""
    fields = {
        **VECTOR,
        "AccessKeyId": "STS.exampleAccessKeyId",
        "Action": "AssumeRole",
        "Format": "JSON",
        "SecurityToken": "example+Security/Token==",
        "SignatureMethod": "HMAC-SHA1",
        "SignatureNonce": "00000000-0000-4000-8000-000000000001",
        "SignatureVersion": "1.0",
        "Timestamp": "2026-01-02T03:04:05Z",
        "Version": "2015-04-01",
    }
    headers = {
        "host": "sts.cn-hangzhou.aliyuncs.com",
        "x-acs-accesskey-id": "STS.exampleAccessKeyId",
        "x-acs-action": "AssumeRole",
        "x-acs-content-sha256": EMPTY,
        "x-acs-date": "2026-01-02T03:04:05Z",
        "x-acs-security-token": "example+Security/Token==",
        "x-acs-signature-nonce": "00000000000040008000000000000001",
        "x-acs-version": "2015-04-01",
    }

    assert rpc_signature("GET", fields, "exampleAccessKeySecret") == "2iCZfWnluIH7bF/MoK3m53VV1d0="
    assert rpc_signature("POST", fields, "exampleAccessKeySecret") == "WDyPVDWNNJySAmByk9VNSm2NbZU="
    assert acs3_signature(VECTOR, headers, "exampleAccessKeySecret") == (
        "5c9cdadc0f1120c128f32ade521f23917844ec7dc63caeb5153e84921d15ca5e"
    )


async def rpc(cloud: Cloud, keys: Keys = USER, *, signed: Changes | None = None, **sent: Any) -> Any:
    """Send AssumeRole with an RPC signature. `signed` changes the signed fields, `sent` the fields after signing."""
    fields = {
        **ROLE,
        "Action": "AssumeRole",
        "Version": "2015-04-01",
        "Format": "JSON",
        "AccessKeyId": keys[0],
        "SecurityToken": keys[2],
        "SignatureMethod": "HMAC-SHA1",
        "SignatureNonce": "nonce-1",
        "SignatureVersion": "1.0",
        "Timestamp": "2026-01-02T03:04:05Z",
    }
    fields = changed(fields, signed or {})
    fields["Signature"] = rpc_signature("POST", fields, keys[1])
    return (await cloud.http.post("/", data=changed(fields, sent))).json()


async def acs3(
    cloud: Cloud,
    keys: Keys = USER,
    *,
    query: Changes | None = None,
    signed: Changes | None = None,
    action: tuple[str, str] = ("AssumeRole", "2015-04-01"),
    **sent: Any,
) -> Any:
    """Send a request with an ACS3 signature. `signed` changes the signed headers, `sent` the headers after signing."""
    query = ROLE if query is None else query
    headers = {
        "host": HOST,
        "x-acs-action": action[0],
        "x-acs-content-sha256": EMPTY,
        "x-acs-date": "2026-01-02T03:04:05Z",
        "x-acs-security-token": keys[2],
        "x-acs-signature-nonce": "nonce-1",
        "x-acs-version": action[1],
    }
    headers = changed(headers, signed or {})
    signature = acs3_signature(query, headers, keys[1])
    names = ";".join(sorted(headers))
    authorization = f"ACS3-HMAC-SHA256 Credential={keys[0]},SignedHeaders={names},Signature={signature}"
    headers = changed({**headers, "authorization": authorization, "accept": "application/json"}, sent)
    return (await cloud.http.post(f"/?{canonical_query(query)}", headers=headers)).json()


CALLS = pytest.mark.parametrize("call", [rpc, acs3], ids=["rpc", "acs3"])
Call = Callable[..., Any]


async def session(cloud: Cloud) -> Keys:
    """Return the keys of a role session."""
    credentials = (await cloud.assume_role_with_oidc()).json()["Credentials"]
    return credentials["AccessKeyId"], credentials["AccessKeySecret"], credentials["SecurityToken"]


@CALLS
async def test_accepted(call: Call, cloud: Cloud) -> None:
    """A user's key and a session's key are accepted with either signature; the response has no OIDCTokenInfo."""
    by_user = await call(cloud)
    by_session = await call(cloud, await session(cloud))

    assert by_user["AssumedRoleUser"]["Arn"] == by_session["AssumedRoleUser"]["Arn"] == f"{CHAINED_ROLE_ARN}/sidecar-1"
    assert "OIDCTokenInfo" not in by_user


@CALLS
async def test_who_signs(call: Call, cloud: Cloud) -> None:
    """An unknown key, a wrong secret, and a session with a missing or wrong security token have a code each."""
    key_id, secret, token = await session(cloud)
    codes = [
        (await call(cloud, ("LTAIother", "x", None)))["Code"],
        (await call(cloud, (ACCESS_KEY_ID, "wrong", None)))["Code"],
        (await call(cloud, (key_id, secret, None)))["Code"],
        (await call(cloud, (key_id, secret, "CAISother")))["Code"],
        (await call(cloud, (key_id, "wrong", token)))["Code"],
    ]

    assert codes == [
        "InvalidAccessKeyId.NotFound",
        "SignatureDoesNotMatch",
        "MissingSecurityToken",
        "InvalidSecurityToken.Malformed",
        "SignatureDoesNotMatch",
    ]


@CALLS
async def test_an_ended_session(call: Call, cloud: Cloud) -> None:
    """A session's key is refused from the second of its expiration."""
    cloud.emulator.world = replace(cloud.emulator.world, session_seconds=60)
    keys = await session(cloud)
    cloud.clock.at += 60

    assert (await call(cloud, keys))["Code"] == "InvalidSecurityToken.Expired"


@CALLS
async def test_an_inactive_key(call: Call, cloud: Cloud) -> None:
    """An inactive key has another code than an unknown key."""
    key = replace(cloud.emulator.world.access_keys[ACCESS_KEY_ID], active=False)
    cloud.emulator.world = replace(cloud.emulator.world, access_keys={ACCESS_KEY_ID: key})

    assert (await call(cloud))["Code"] == "InvalidAccessKeyId.Inactive"


@CALLS
async def test_a_nonce_is_used_once(call: Call, cloud: Cloud) -> None:
    """A request with a used nonce is refused."""
    await call(cloud)

    assert (await call(cloud))["Code"] == "SignatureNonceUsed"


@pytest.mark.parametrize(
    ("call", "seconds", "accepted"),
    [
        (rpc, 1860, True),
        (rpc, 1861, False),
        (rpc, -1861, False),
        (acs3, 900, True),
        (acs3, 901, False),
        (acs3, -901, False),
    ],
)
async def test_time(call: Call, seconds: float, accepted: bool, cloud: Cloud) -> None:
    """The time may differ by 31 minutes with RPC and by 15 minutes with ACS3, in either direction."""
    cloud.clock.at += seconds

    response = await call(cloud)

    assert ("Credentials" in response) is accepted
    assert response.get("Code") == (None if accepted else "InvalidTimeStamp.Expired")


@pytest.mark.parametrize(
    ("signed", "sent", "code"),
    [
        ({}, {"RoleSessionName": "other"}, "SignatureDoesNotMatch"),
        ({}, {"DurationSeconds": "900"}, "SignatureDoesNotMatch"),
        ({}, {"Signature": None}, "MissingAccessKeyId"),
        ({"SignatureMethod": "HMAC-SHA256"}, {}, "InvalidSignatureMethod"),
        ({"SignatureVersion": "2.0"}, {}, "InvalidSignatureMethod"),
        ({"SignatureNonce": None}, {}, "MissingSignatureNonce"),
        ({"Timestamp": "now"}, {}, "InvalidTimeStamp.Format"),
        ({"Version": "2014-01-01"}, {}, "InvalidVersion"),
    ],
)
async def test_rpc(signed: Changes, sent: Changes, code: str, cloud: Cloud) -> None:
    """Each error in an RPC signature has its code."""
    assert (await rpc(cloud, signed=signed, **sent))["Code"] == code


@pytest.mark.parametrize(
    ("signed", "sent", "code"),
    [
        ({}, {"x-acs-date": "2026-01-02T03:04:06Z"}, "SignatureDoesNotMatch"),
        ({}, {"x-acs-signature-nonce": "nonce-2"}, "SignatureDoesNotMatch"),
        ({}, {"host": "sts.aliyuncs.com"}, "SignatureDoesNotMatch"),
        ({}, {"x-acs-unsigned": "x"}, "IncompleteSignature"),
        ({"host": None}, {}, "IncompleteSignature"),
        ({"x-acs-signature-nonce": None}, {}, "IncompleteSignature"),
        ({"x-acs-content-sha256": "0" * 64}, {}, "InvalidContentSha256"),
        ({}, {"authorization": "ACS3-HMAC-SHA256 Credential=LTAIdemo"}, "MissingAccessKeyId"),
        ({}, {"authorization": None}, "MissingAccessKeyId"),
        ({"x-acs-version": "2014-01-01"}, {}, "InvalidVersion"),
    ],
)
async def test_acs3(signed: Changes, sent: Changes, code: str, cloud: Cloud) -> None:
    """Each error in an ACS3 signature has its code."""
    assert (await acs3(cloud, signed=signed, **sent))["Code"] == code


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


# --- GenerateOauthToken -----------------------------------------------------------------------------------------------

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
    by_session = await acs3(cloud, await session(cloud), query=PARAMETERS, action=GENERATE)

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
