"""The custom authorization server of Okta: what it requires of a client, and how its errors look."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.api_jws import PyJWS

from app.emulator import Client, PublicKey, Secret
from app.emulator.world.world import okta_issuer

from .conftest import BASE, JWT_BEARER, Changes, Cloud, changed, claims_of

TOKEN = "/oauth2/default/v1/token"
AUDIENCE, CLIENT, KEY_CLIENT = "api://default", "0oa1example", "0oa2example"
KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.fixture
def okta(cloud: Cloud) -> Cloud:
    """A cloud with two applications in Okta: one has a secret, the other a key."""
    grants = {AUDIENCE: ("sts",)}
    secret = Client(grants, ("CLIENT_SECRET_BASIC",), (Secret("secret"),), server="okta")
    key = Client(grants, ("PRIVATE_KEY_JWT",), public_keys=(PublicKey(PEM, "key-1"),), server="okta")
    world = cloud.emulator.world
    cloud.emulator.world = replace(world, clients={**world.clients, CLIENT: secret, KEY_CLIENT: key})
    return cloud


async def request_token(cloud: Cloud, credentials: str = f"{CLIENT}:secret", **changes: Any) -> Any:
    """Send a token request with Basic credentials, and return the response."""
    headers = {"Authorization": f"Basic {base64.b64encode(credentials.encode()).decode()}"} if credentials else {}
    form = changed({"grant_type": "client_credentials", "scope": "sts"}, changes)
    return await cloud.http.post(TOKEN, data=form, headers=headers)


async def test_a_token_of_okta(okta: Cloud) -> None:
    """The token has the audience of the authorization server, the client id as `sub`, and `cid` and `scp`."""
    document = (await request_token(okta)).json()
    claims = claims_of(document["access_token"])

    assert (claims["iss"], claims["aud"]) == (okta_issuer(okta.emulator.world), AUDIENCE)
    assert (claims["sub"], claims["cid"], claims["scp"]) == (CLIENT, CLIENT, ["sts"])
    assert document["scope"] == "sts"


@pytest.mark.parametrize(
    ("credentials", "changes", "error", "words"),
    [
        (f"{CLIENT}:wrong", {}, (401, "invalid_client"), "The client secret supplied"),
        (f"{CLIENT}:secret", {"client_id": CLIENT}, (401, "invalid_request"), "Cannot supply multiple client"),
        ("", {"client_id": CLIENT, "client_secret": "secret"}, (401, "invalid_client"), "Client authentication failed"),
        (f"{KEY_CLIENT}:secret", {}, (401, "invalid_client"), "Client authentication failed"),
        (f"{CLIENT}:secret", {"scope": None}, (400, "invalid_scope"), "'scope' must be provided"),
        (f"{CLIENT}:secret", {"scope": "openid"}, (400, "invalid_scope"), "Cannot request 'openid' scopes"),
        (f"{CLIENT}:secret", {"scope": "other"}, (400, "invalid_scope"), "One or more scopes are not configured"),
        (f"{CLIENT}:secret", {"grant_type": "password"}, (400, "unauthorized_client"), "Configured grant types"),
        (f"{CLIENT}:secret", {"grant_type": None}, (400, "invalid_request"), "grant_type"),
    ],
)
async def test_refusals(okta: Cloud, credentials: str, changes: Changes, error: tuple[int, str], words: str) -> None:
    """A wrong request is refused with the status, the code and the words of Okta."""
    response = await request_token(okta, credentials, **changes)

    assert (response.status_code, response.json()["error"]) == error
    assert words in response.json()["error_description"]


async def test_an_unknown_client(okta: Cloud) -> None:
    """An unknown client gets the error format of the management API."""
    response = await request_token(okta, "0oa9nothing:secret")

    assert response.status_code == 400
    assert response.json()["errorCode"] == "invalid_client"
    assert "error" not in response.json()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"aud": f"{BASE}/oauth2/default"}, "the endpoint invoked"),
        ({"exp": 1767323000}, "is expired"),
        ({"exp": 1767423045}, "too far into the future"),
        ({"sub": CLIENT}, "must be the client_id"),
    ],
    ids=["correct", "aud is the issuer", "expired", "lives too long", "another sub"],
)
async def test_private_key_jwt(okta: Cloud, changes: Changes, words: str) -> None:
    """An assertion for the token endpoint is accepted once; one for the issuer is refused."""
    claims = okta.claims(iss=KEY_CLIENT, sub=KEY_CLIENT, aud=BASE + TOKEN) | changes
    assertion = PyJWS().encode(json.dumps(claims).encode(), KEY, "RS256", {"kid": "key-1"})
    form = {"client_id": KEY_CLIENT, "client_assertion": assertion, "client_assertion_type": JWT_BEARER}
    first = await request_token(okta, "", **form)
    second = await request_token(okta, "", **form)

    assert first.status_code == (401 if words else 200)
    assert words in first.json().get("error_description", "")
    assert second.status_code == 401


async def test_one_of_several_keys_is_named(okta: Cloud) -> None:
    """Where the application has several keys, an assertion must have a `kid`."""
    world = okta.emulator.world
    client = replace(world.clients[KEY_CLIENT], public_keys=(PublicKey(PEM, "key-1"), PublicKey(PEM, "key-2")))
    okta.emulator.world = replace(world, clients={**world.clients, KEY_CLIENT: client})
    claims = json.dumps(okta.claims(iss=KEY_CLIENT, sub=KEY_CLIENT, aud=BASE + TOKEN)).encode()
    form = {"client_id": KEY_CLIENT, "client_assertion_type": JWT_BEARER}
    statuses = [
        (
            await request_token(okta, "", client_assertion=PyJWS().encode(claims, KEY, "RS256", named), **form)
        ).status_code
        for named in ({}, {"kid": "key-2"})
    ]

    assert statuses == [401, 200]


async def test_discovery(okta: Cloud) -> None:
    """The discovery document names the issuer, and the endpoints below `/v1`."""
    document = (await okta.http.get("/oauth2/default/.well-known/openid-configuration")).json()

    assert document["issuer"] == okta_issuer(okta.emulator.world)
    assert document["token_endpoint"] == f"{document['issuer']}/v1/token"
    assert document["jwks_uri"] == f"{document['issuer']}/v1/keys"
