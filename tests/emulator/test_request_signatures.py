"""Both request signatures: each single change to a signed request is refused with the documented code."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from app.emulator.world.world import ACCESS_KEY_ID, CHAINED_ROLE_ARN

from .conftest import Changes, Cloud
from .signed_requests import EMPTY, acs3, acs3_signature, rpc, rpc_signature, session_keys

CALLS = pytest.mark.parametrize("call", [rpc, acs3], ids=["rpc", "acs3"])
Call = Callable[..., Any]

VECTOR = {
    "RoleArn": "acs:ram::1234567890123456:role/second-role",
    "RoleSessionName": "sidecar-1",
    "DurationSeconds": "3600",
}


def test_the_signer_of_these_tests() -> None:
    """The signatures made here are equal to the test vectors."""
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


@CALLS
async def test_accepted(call: Call, cloud: Cloud) -> None:
    """A user's key and a session's key are accepted with either signature; the response has no OIDCTokenInfo."""
    by_user = await call(cloud)
    by_session = await call(cloud, await session_keys(cloud))

    assert by_user["AssumedRoleUser"]["Arn"] == by_session["AssumedRoleUser"]["Arn"] == f"{CHAINED_ROLE_ARN}/sidecar-1"
    assert "OIDCTokenInfo" not in by_user


@CALLS
async def test_who_signs(call: Call, cloud: Cloud) -> None:
    """An unknown key, a wrong secret, and a session with a missing or wrong security token have a code each."""
    key_id, secret, token = await session_keys(cloud)
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
    keys = await session_keys(cloud)
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


async def test_signed_headers_are_sorted(cloud: Cloud) -> None:
    """An ACS3 request whose SignedHeaders are not sorted is refused."""
    names = ["x-acs-version", "x-acs-signature-nonce", "x-acs-date", "x-acs-content-sha256", "x-acs-action", "host"]
    signature = "0" * 64
    authorization = f"ACS3-HMAC-SHA256 Credential={ACCESS_KEY_ID},SignedHeaders={';'.join(names)},Signature={signature}"

    assert (await acs3(cloud, authorization=authorization))["Code"] == "IncompleteSignature"
