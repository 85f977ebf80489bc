"""Token exchange and dynamic issuers."""

from dataclasses import replace
from typing import Any

import pytest

from app.emulator.world.entities import TOKEN_EXCHANGE
from app.emulator.world.world import AUDIENCE, CLIENT_ID, WORKLOAD_SUBJECT

from .conftest import BASE, Changes, Cloud, claims_of, hs256

TYPES = "urn:ietf:params:oauth:token-type:"


async def exchange(cloud: Cloud, **changes: Any) -> Any:
    """Exchange a workload's token; return the body of the response."""
    fields = {
        "grant_type": TOKEN_EXCHANGE,
        "subject_token": cloud.emulator.workload_token(),
        "subject_token_type": TYPES + "jwt",
    }
    return (await cloud.request_token(**{**fields, **changes})).json()


async def test_exchange(cloud: Cloud) -> None:
    """The new token has the resource server's audience, the subject token's subject, and the client as actor."""
    response = await exchange(cloud, requested_token_type=TYPES + "access_token")

    claims = claims_of(response["access_token"])
    assert response["issued_token_type"] == TYPES + "access_token"
    assert (claims["sub"], claims["aud"], claims["act"]) == (WORKLOAD_SUBJECT, AUDIENCE, {"sub": CLIENT_ID})


async def test_own_tokens_can_be_exchanged(cloud: Cloud) -> None:
    """A token that IDaaS issued is accepted as a subject token."""
    response = await exchange(cloud, subject_token=await cloud.token(), subject_token_type=TYPES + "access_token")

    assert claims_of(response["access_token"])["sub"] == CLIENT_ID


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"subject_token": None}, "invalid_request"),
        ({"subject_token_type": None}, "invalid_request"),
        ({"subject_token_type": "jwt"}, "invalid_request"),
        ({"requested_token_type": TYPES + "id_token"}, "invalid_request"),
        ({"subject_token": "no.jw.t"}, "invalid_grant"),
        ({"subject_token": hs256({"iss": "https://elsewhere.example"})}, "invalid_grant"),
        ({"subject_token": hs256({"iss": "https://127.0.0.1:7143/workload", "exp": 1e10, "iat": 0})}, "invalid_grant"),
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"scope": "elsewhere|.all"}, "scope_not_found"),
        ({"grant_type": "urn:ietf:params:oauth:grant-type:device_code"}, "unsupported_grant_type"),
    ],
)
async def test_refused(changes: Changes, error: str, cloud: Cloud) -> None:
    """An exchange with a single wrong field is refused."""
    assert (await exchange(cloud, **changes))["error"] == error


@pytest.mark.parametrize("claims", [{"exp": 1767323045}, {"iat": 1767323046}, {"exp": None}])
async def test_a_subject_token_out_of_time(claims: Changes, cloud: Cloud) -> None:
    """A subject token is refused if it has expired, is from the future, or has no exp."""
    token = cloud.emulator.workload_token(**claims)

    assert (await exchange(cloud, subject_token=token))["error"] == "invalid_grant"


async def test_dynamic_issuer(cloud: Cloud) -> None:
    """A dynamic issuer has the host of the request's URL; a static issuer is the one in the world."""
    static = claims_of(await cloud.token())["iss"]
    cloud.emulator.world = replace(cloud.emulator.world, issuer_mode="dynamic")
    dynamic = claims_of(await cloud.token())["iss"]

    assert static == cloud.emulator.world.issuer
    assert dynamic == f"{BASE}/api/v2/iauths_system/oauth2"
