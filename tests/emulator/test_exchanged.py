"""Token exchange, dynamic issuers, and the clients of the second issuer."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from app.emulator.idaas.token_exchange import TOKEN_EXCHANGE
from app.emulator.world.world import (
    AUDIENCE,
    CLIENT_ID,
    OIDC_AUDIENCE,
    OIDC_CLIENT_ID,
    OIDC_CLIENT_SECRET,
    WORKLOAD_SUBJECT,
    workload_issuer,
)

from .conftest import BASE, Changes, Cloud, changed, hs256

TYPES = "urn:ietf:params:oauth:token-type:"


def claims_of(token: str) -> Any:
    """Return the claims of a JWT without verifying it."""
    return json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))


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


# --- the second issuer ------------------------------------------------------------------------------------------------


async def request_workload_token(cloud: Cloud, *, headers: Changes | None = None, **changes: Any) -> Any:
    """Send a token request to the second issuer; return the body of the response."""
    fields = {"client_id": OIDC_CLIENT_ID, "client_secret": OIDC_CLIENT_SECRET, "grant_type": "client_credentials"}
    return (await cloud.http.post("/workload/token", data=changed(fields, changes), headers=headers)).json()


def basic(client_id: str, secret: str) -> dict[str, str]:
    """Return an Authorization header of the Basic scheme."""
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


async def test_a_client_of_the_second_issuer(cloud: Cloud) -> None:
    """The client receives an access token for its granted audience, and an id token if the scope contains openid."""
    response = await request_workload_token(cloud, scope="openid")

    access, identity = claims_of(response["access_token"]), claims_of(response["id_token"])
    assert (access["iss"], access["aud"]) == (workload_issuer(cloud.emulator.world), OIDC_AUDIENCE)
    assert (identity["aud"], identity["sub"]) == (OIDC_CLIENT_ID, OIDC_CLIENT_ID)
    assert "id_token" not in await request_workload_token(cloud)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"client_id": CLIENT_ID, "client_secret": "demo-client-secret"}, "invalid_client"),
        ({"audience": "another"}, "invalid_target"),
        ({"resource": "another"}, "invalid_target"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"client_secret": None}, "invalid_client"),
    ],
)
async def test_refused_by_the_second_issuer(changes: Changes, error: str, cloud: Cloud) -> None:
    """The second issuer accepts its own clients only, for their granted audiences, by client credentials."""
    assert (await request_workload_token(cloud, **changes))["error"] == error


@pytest.mark.parametrize(
    ("secret", "accepted"),
    [("demo%2Boidc%2Fsecret%25%3Aand+more", True), (OIDC_CLIENT_SECRET, False)],
    ids=["form-encoded", "raw"],
)
async def test_basic_is_form_encoded_there(secret: str, accepted: bool, cloud: Cloud) -> None:
    """RFC 6749 2.3.1: a secret that is not form-encoded before base64 is a different secret."""
    response = await request_workload_token(
        cloud, headers=basic(OIDC_CLIENT_ID, secret), client_id=None, client_secret=None
    )

    assert ("access_token" in response) is accepted


async def test_discovery(cloud: Cloud) -> None:
    """The discovery document names the issuer, its token endpoint, and tls_client_auth."""
    document = (await cloud.http.get("/workload/.well-known/openid-configuration")).json()

    assert document["issuer"] == workload_issuer(cloud.emulator.world)
    assert document["token_endpoint"] == f"{BASE}/workload/token"
    assert "tls_client_auth" in document["token_endpoint_auth_methods_supported"]
