"""The token endpoint: the tokens it issues, and client authentication."""

import re
from base64 import b64encode
from dataclasses import replace

import jwt
import pytest

from app.emulator import Secret
from app.emulator.world.world import AUDIENCE, CLIENT_ID, CLIENT_SECRET, ISSUER

from .conftest import change_client


def basic(user=CLIENT_ID, password=CLIENT_SECRET):
    """Return an Authorization header of the Basic scheme."""
    return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}


async def test_token_response(cloud):
    """The response has the four members of IDaaS, and the token has the claims and the key id that STS needs."""
    response = (await cloud.request_token()).json()
    token = response["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    jwks = (await cloud.http.get("/api/v2/iauths_system/oauth2/jwks")).json()

    now = int(cloud.clock.at)
    assert {**response, "access_token": "…"} == {
        "access_token": "…",
        "token_type": "Bearer",
        "expires_in": 1200,
        "expires_at": now + 1200,
    }
    assert {"iss": ISSUER, "aud": AUDIENCE, "sub": CLIENT_ID, "iat": now, "exp": now + 1200}.items() <= claims.items()
    assert claims["scope"] == "read write"
    assert jwt.get_unverified_header(token)["kid"] == jwks["keys"][0]["kid"]
    assert jwt.PyJWS().decode(token, jwt.PyJWK(jwks["keys"][0]), algorithms=["RS256"])


async def test_discovery(cloud):
    """The discovery document names the issuer, its keys and its token endpoint."""
    document = (await cloud.http.get("/api/v2/iauths_system/oauth2/.well-known/openid-configuration")).json()

    assert document["issuer"] == ISSUER
    assert document["jwks_uri"] == f"{ISSUER}/jwks"
    assert document["token_endpoint"] == f"{ISSUER}/token"


REFUSALS = [
    ({"client_secret": "wrong"}, 401, "invalid_client"),
    ({"client_secret": None}, 401, "invalid_client"),
    ({"client_id": "app_other"}, 401, "invalid_client"),
    ({"client_id": None}, 401, "invalid_client"),
    ({"headers": basic()}, 400, "invalid_request"),
    ({"client_secret": [CLIENT_SECRET, CLIENT_SECRET]}, 400, "invalid_request"),
    ({"grant_type": None}, 400, "invalid_request"),
    ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ({"headers": {"Content-Type": "application/json"}}, 400, "invalid_request"),
    ({"scope": None}, 400, "invalid_scope"),
    ({"scope": "openid"}, 400, "invalid_scope"),
    ({"scope": f"{AUDIENCE}|read openid"}, 400, "invalid_scope"),
    ({"scope": f"{AUDIENCE}|a|b"}, 400, "invalid_scope"),
    ({"scope": f"{AUDIENCE}|read other.example|read"}, 400, "invalid_scope"),
    ({"scope": "other.example|read"}, 400, "scope_not_found"),
    ({"scope": f"{AUDIENCE}|nothing"}, 400, "scope_not_found"),
]


@pytest.mark.parametrize(("change", "status", "code"), REFUSALS)
async def test_refusals(cloud, change, status, code):
    """A request with a single error is refused with the code of that error, in the format of OAuth."""
    response = await cloud.request_token(**change)

    assert (response.status_code, response.json()["error"]) == (status, code)
    assert response.json().keys() == {"error", "error_description", "request_id"}


async def test_scope_must_be_granted(cloud):
    """A scope that exists but is not granted is refused, and so is a resource server without any grant."""
    change_client(cloud, grants={AUDIENCE: ("read",)})
    granted = await cloud.request_token(scope=f"{AUDIENCE}|read")
    not_granted = await cloud.request_token(scope=f"{AUDIENCE}|write")
    change_client(cloud, grants={})
    without_grants = await cloud.request_token()

    assert granted.status_code == 200
    assert not_granted.json()["error"] == "access_denied"
    assert without_grants.json()["error"] == "access_denied"
    assert "has not been authorized by resource server" in without_grants.json()["error_description"]


async def test_basic(cloud):
    """Basic credentials are read without form decoding, and client_id may be in the body or not."""
    change_client(cloud, secrets=(Secret("s3cr3t/+=%2F"),))
    headers = basic(password="s3cr3t/+=%2F")

    assert (await cloud.request_token(client_secret=None, headers=headers)).status_code == 200
    assert (await cloud.request_token(client_secret=None, client_id=None, headers=headers)).status_code == 200


WRONG_BASIC = [
    (basic(password="wrong"), CLIENT_ID),
    (basic(user="app_other"), None),
    (basic(), "app_other"),
    ({"Authorization": "Basic ?"}, CLIENT_ID),
]


@pytest.mark.parametrize(("headers", "client_id"), WRONG_BASIC)
async def test_wrong_basic(cloud, headers, client_id):
    """Basic with a wrong secret or user, a user other than the body's client_id, or no base64 is refused."""
    response = await cloud.request_token(client_secret=None, client_id=client_id, headers=headers)

    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")


async def test_secrets_rotate(cloud):
    """Two secrets are accepted at the same time until one of them expires."""
    change_client(cloud, secrets=(Secret("old", expires_at=cloud.clock.at + 10), Secret("new")))
    before = [(await cloud.request_token(client_secret=secret)).status_code for secret in ("old", "new")]
    cloud.clock.at += 10
    after = [(await cloud.request_token(client_secret=secret)).status_code for secret in ("old", "new")]

    assert (before, after) == ([200, 200], [401, 200])


async def test_only_allowed_methods(cloud, sign_hs256):
    """A correct credential is refused if the client may not use its method."""
    change_client(cloud, methods=("CLIENT_SECRET_JWT",))

    assert (await cloud.request_token()).json()["error"] == "invalid_client"
    assert (await cloud.request_token(client_secret=None, headers=basic())).json()["error"] == "invalid_client"
    assert (await cloud.request_token_by_assertion(sign_hs256(cloud.claims()))).status_code == 200


async def test_only_allowed_grant_types(cloud):
    """An authenticated client is refused a grant that it may not use."""
    change_client(cloud, grant_types=())
    refused = await cloud.request_token()
    change_client(cloud, grant_types=("client_credentials",))

    assert (refused.status_code, refused.json()["error"]) == (400, "unauthorized_client")
    assert (await cloud.request_token()).status_code == 200


async def test_opaque_tokens(cloud):
    """A resource server may have access tokens that are not JWTs."""
    servers = cloud.emulator.world.resource_servers
    opaque = {name: replace(server, opaque=True) for name, server in servers.items()}
    cloud.emulator.world = replace(cloud.emulator.world, resource_servers=opaque)
    token = (await cloud.request_token()).json()

    assert re.fullmatch("[0-9a-f]{64}", token["access_token"])
    assert token["expires_in"] == 1200


async def test_secrets_are_not_for_the_query(cloud):
    """The token endpoint reads no credentials from the query, where every access log would record them."""
    response = await cloud.http.post(
        "/api/v2/iauths_system/oauth2/token",
        params={"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET},
        data={"grant_type": "client_credentials"},
    )

    assert response.json()["error"] == "invalid_client"
