"""PLUGIN: the signed call of the OpenAPI that returns a token, its refusals, and its AccessKeys."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.errors import Refused, Unreachable
from app.core.values import Token
from app.upstream.acs3 import KeyPair, acs3

from ..conftest import identity as keys
from ..upstream.fake_http import FakeHttp, Sent, answer
from .configured_methods import ACCESS_KEY, CLIENT, EIAM, JWT, PLUGIN, PLUGIN_TOKEN, source_of
from .contexts import NOW
from .test_jwt_claims import token


async def test_plugin_signs_a_call_of_the_openapi() -> None:
    """PLUGIN calls GenerateOauthToken of the EIAM OpenAPI with the scope's audience and values."""
    http = FakeHttp(answer({"TokenResponse": PLUGIN_TOKEN}))

    assert await source_of(PLUGIN, http, **ACCESS_KEY).token() == Token(JWT, NOW + 600)

    query = {
        "InstanceId": keys()["idaasInstanceId"],
        "ApplicationId": CLIENT,
        "Audience": "aud",
        "ScopeValues.1": "a",
        "ScopeValues.2": "b",
    }
    headers = acs3(
        "eiam.example.com",
        query,
        action="GenerateOauthToken",
        version="2021-12-01",
        keys=KeyPair("LTAI", "of-key"),
        at=NOW,
        nonce="id-1",
    )
    url = (
        f"{EIAM}/?ApplicationId=app%3A1&Audience=aud&InstanceId={keys()['idaasInstanceId']}"
        "&ScopeValues.1=a&ScopeValues.2=b"
    )
    assert http.sent == [Sent("POST", url, {}, headers)]


@pytest.mark.parametrize(
    ("response", "seconds"),
    [({"ExpiresIn": 500, "ExpiresAt": None}, 500), ({"ExpiresAt": NOW + 400}, 400)],
)
async def test_end_of_the_plugins_token(response: dict[str, Any], seconds: float) -> None:
    """The token ends at the earlier of the ends that the OpenAPI names."""
    http = FakeHttp(answer({"TokenResponse": PLUGIN_TOKEN | response}))

    assert (await source_of(PLUGIN, http, **ACCESS_KEY).token()).expires_at == NOW + seconds


@pytest.mark.parametrize(
    ("body", "message", "endpoint", "status"),
    [
        ({}, "HTTP 200 without TokenResponse", EIAM, 200),
        ({"TokenResponse": "x"}, "HTTP 200 without TokenResponse", EIAM, 200),
        ({"TokenResponse": {}}, "an answer without access_token", "", 0),
        ({"TokenResponse": PLUGIN_TOKEN | {"TokenType": "mac"}}, "a token of type mac, not Bearer", "", 0),
    ],
)
async def test_unusable_answer_of_the_openapi(body: dict[str, Any], message: str, endpoint: str, status: int) -> None:
    """A 200 without a usable token is a transient error."""
    with pytest.raises(Unreachable, match=f"^{EIAM}: {message}") as caught:
        await source_of(PLUGIN, FakeHttp(answer(body)), **ACCESS_KEY).token()

    assert (caught.value.endpoint, caught.value.status, caught.value.error_code) == (endpoint, status, "IDS-320")


async def test_token_of_the_openapi_repeats_no_key() -> None:
    """A token whose subject is the AccessKey's secret is not used; the client's id is no secret."""
    keys_in_use = {**ACCESS_KEY, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "key-of-the-plugin"}
    for sub, fits in ((CLIENT, True), ("key-of-the-plugin", False)):
        answered = answer({"TokenResponse": PLUGIN_TOKEN | {"AccessToken": token({"sub": sub})}})
        source = source_of(PLUGIN, FakeHttp(answered), **keys_in_use)
        if fits:
            assert (await source.token()).expires_at == NOW + 600
        else:
            with pytest.raises(Unreachable, match="the sub of the access_token repeats a secret of the request"):
                await source.token()


@pytest.mark.parametrize(
    ("code", "withdrawn", "cure", "error_code"),
    [
        (
            "NoPermission",
            True,
            "grant the AccessKey's user or role the action eiam:GenerateOauthToken on the application",
            "IDS-327",
        ),
        (
            "EntityNotExist.Application",
            False,
            "write the application's id into clientId, and that of its instance into idaasInstanceId",
            "IDS-328",
        ),
    ],
)
async def test_refusal_of_the_openapi(code: str, withdrawn: bool, cure: str, error_code: str) -> None:
    """A refusal names its cure and never the secret; a permission that was taken away withdraws the identity."""
    refused = answer({"Code": code, "Message": "signed with of-key"}, 403)

    with pytest.raises(Refused) as caught:
        await source_of(PLUGIN, FakeHttp(refused), **ACCESS_KEY).token()

    assert (caught.value.code, caught.value.withdrawn, caught.value.error_code) == (code, withdrawn, error_code)
    assert caught.value.cloud_message == "signed with [hidden]"
    assert cure in str(caught.value)


async def test_plugin_uses_the_instances_role() -> None:
    """Without an AccessKey the role of the ECS instance signs, from the metadata service that is configured."""
    role = {"Code": "Success", "AccessKeyId": "STS.id", "AccessKeySecret": "of-role", "SecurityToken": "token-1"}
    session = answer("session-1")
    http = FakeHttp(session, answer("role-1"), session, answer(role), answer({"TokenResponse": PLUGIN_TOKEN}))
    method = PLUGIN | {"ecsMetadataEndpoint": "http://127.0.0.1:7081/"}

    await source_of(method, http, HOME="/nowhere").token()

    assert [sent.url.partition("/latest")[0] for sent in http.sent[:4]] == ["http://127.0.0.1:7081"] * 4
    assert http.sent[4].headers["x-acs-security-token"] == "token-1"
