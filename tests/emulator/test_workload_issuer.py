"""The second issuer: its clients, its tokens and its discovery document."""

import base64
from typing import Any

import pytest

from app.emulator.world.world import CLIENT_ID, OIDC_AUDIENCE, OIDC_CLIENT_ID, OIDC_CLIENT_SECRET, workload_issuer

from .conftest import BASE, Changes, Cloud, changed, claims_of


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
