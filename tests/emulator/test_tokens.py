"""The token endpoint: the tokens it issues, and client authentication."""

from base64 import b64encode
from dataclasses import replace

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from app.emulator import PublicKey, Secret
from app.emulator.crypto import jws
from app.emulator.crypto.replay_cache import ReplayCache
from app.emulator.world.world import AUDIENCE, CLIENT_ID, CLIENT_SECRET, ISSUER


def change_client(cloud, **changes):
    """Replace fields of the world's client, and make it the only one."""
    client = replace(cloud.emulator.world.clients[CLIENT_ID], **changes)
    cloud.emulator.world = replace(cloud.emulator.world, clients={CLIENT_ID: client})


def pem(key):
    """Return the public key as PEM."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


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


async def test_secret_jwt_vector(cloud, sign_hs256):
    """The HS256 vector of the protocol reference is reproduced, and the token endpoint accepts it."""
    claims = {
        "aud": "https://example.aliyunidaas.com/api/v2/iauths_system/oauth2/token",
        "sub": "app_example",
        "iss": "app_example",
        "jti": "11111111-2222-4333-8444-555555555555",
        "iat": 1767323045,
        "exp": 1767323645,
    }
    assertion = sign_hs256(claims, "s3cr3t", {"alg": "HS256", "typ": "JWT"})
    world = cloud.emulator.world
    client = replace(world.clients[CLIENT_ID], secrets=(Secret("s3cr3t"),))
    issuer = "https://example.aliyunidaas.com/api/v2/iauths_system/oauth2"
    cloud.emulator.world = replace(world, issuer=issuer, clients={"app_example": client})
    response = await cloud.request_token_by_assertion(assertion, client_id="app_example")

    assert assertion.endswith(".oVbcRK7fGfd0chzsuVRIM-oM4d-zM9EivSzCh7SiFMw")
    assert response.status_code == 200


@pytest.mark.parametrize("aud", [f"{ISSUER}/token", [f"{ISSUER}/token", "another"]])
async def test_assertion_audience(cloud, sign_hs256, aud):
    """An assertion whose audience is the issuer's token endpoint is accepted at any URL of that endpoint."""
    assert (await cloud.request_token_by_assertion(sign_hs256(cloud.claims(aud=aud)))).status_code == 200


WRONG_CLAIMS = [
    {"iss": "app_other"},
    {"sub": "app_other"},
    {"sub": None},
    {"aud": ISSUER},
    {"aud": None},
    {"aud": [{}]},
    {"exp": 1767323045},
    {"exp": 1767323045 + 3601},
    {"exp": None},
    {"exp": "1767323645"},
    {"iat": 1767323045 + 61},
    {"iat": "now"},
    {"jti": None},
    {"jti": ""},
]


@pytest.mark.parametrize("change", WRONG_CLAIMS)
async def test_wrong_claims(cloud, sign_hs256, change):
    """An assertion with a single wrong claim is refused."""
    response = await cloud.request_token_by_assertion(sign_hs256(cloud.claims(**change)))

    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("change", [{"exp": 1767323045 + 3600}, {"iat": 1767323045 + 60}, {"iat": None}])
async def test_borderline_claims(cloud, sign_hs256, change):
    """A lifetime of an hour and a clock difference of a minute are accepted, and iat is optional."""
    assert (await cloud.request_token_by_assertion(sign_hs256(cloud.claims(**change)))).status_code == 200


async def test_jti_is_used_once(cloud, sign_hs256):
    """A used jti is refused until its assertion expires; a refused assertion does not use up its jti."""
    wrong = await cloud.request_token_by_assertion(sign_hs256(cloud.claims(aud="elsewhere")))
    first = await cloud.request_token_by_assertion(sign_hs256(cloud.claims()))
    again = await cloud.request_token_by_assertion(sign_hs256(cloud.claims()))
    cloud.clock.at += 600
    later = await cloud.request_token_by_assertion(sign_hs256(cloud.claims()))

    assert [response.status_code for response in (wrong, first, again, later)] == [401, 200, 401, 200]


def test_replay_cache_is_bounded():
    """The cache holds at most `limit` identifiers, and drops expired ones."""
    cache = ReplayCache(limit=3)
    for number in range(10):
        assert cache.add((str(number),), expires_at=100, now=0)
    assert len(cache) == 3

    cache.add(("last",), expires_at=300, now=200)
    assert len(cache) == 1


@pytest.mark.parametrize(
    "assertion",
    ["", "a.b", "a.b.c", "e30.e30.", "bnVsbA.bnVsbA.AA"],
)
async def test_not_a_jwt(cloud, assertion):
    """An assertion that is not a JWT is refused and causes no error of the emulator."""
    assert (await cloud.request_token_by_assertion(assertion)).json()["error"] == "invalid_client"


async def test_wrong_assertion_secret(cloud, sign_hs256):
    """HS256 with a wrong secret is refused, and so is an unknown assertion type."""
    wrong = await cloud.request_token_by_assertion(sign_hs256(cloud.claims(), "wrong"))
    unknown = await cloud.request_token_by_assertion(
        sign_hs256(cloud.claims()), client_assertion_type="urn:example:unknown"
    )

    assert (wrong.status_code, unknown.status_code) == (401, 401)


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512"])
async def test_rsa_assertion(cloud, sign, signing_key, algorithm):
    """Every RSA algorithm of the SDKs is accepted with a registered key."""
    change_client(cloud, public_keys=(PublicKey(pem(signing_key)),))

    assert (await cloud.request_token_by_assertion(sign(cloud.claims(), signing_key, algorithm))).status_code == 200


CURVES = [(ec.SECP256R1(), "ES256"), (ec.SECP384R1(), "ES384"), (ec.SECP521R1(), "ES512")]


@pytest.mark.parametrize(("curve", "algorithm"), CURVES)
async def test_ec_assertion(cloud, sign, curve, algorithm):
    """Every EC algorithm of the SDKs is accepted with a registered key."""
    key = ec.generate_private_key(curve)
    change_client(cloud, public_keys=(PublicKey(pem(key)),))

    assert (await cloud.request_token_by_assertion(sign(cloud.claims(), key, algorithm))).status_code == 200


async def test_unregistered_key(cloud, sign, signing_key, ec_key):
    """An assertion is refused if no key is registered, and if another key is registered."""
    none = await cloud.request_token_by_assertion(sign(cloud.claims(), ec_key, "ES256"))
    change_client(cloud, public_keys=(PublicKey(pem(signing_key)),))
    other = await cloud.request_token_by_assertion(sign(cloud.claims(), ec_key, "ES256"))

    assert (none.status_code, other.status_code) == (401, 401)


async def test_kid_selects(cloud, sign, signing_key, ec_key):
    """An assertion with a kid is verified with the key of that id alone, one without a kid with all keys."""
    change_client(cloud, public_keys=(PublicKey(pem(signing_key), "rsa-1"), PublicKey(pem(ec_key), "ec-1")))
    statuses = [
        (
            await cloud.request_token_by_assertion(sign(cloud.claims(jti=f"jti-{kid}"), ec_key, "ES256", **header))
        ).status_code
        for kid, header in {"own": {"kid": "ec-1"}, "none": {}, "other": {"kid": "rsa-1"}, "new": {"kid": "?"}}.items()
    ]

    assert statuses == [200, 200, 401, 401]


async def test_public_key_is_no_secret(cloud, sign_hs256, signing_key):
    """HS256 with the public key's PEM as its secret is refused."""
    change_client(cloud, public_keys=(PublicKey(pem(signing_key)),))

    assert (await cloud.request_token_by_assertion(sign_hs256(cloud.claims(), pem(signing_key)))).status_code == 401


async def test_unsigned(cloud, sign_hs256, signing_key):
    """An assertion with the algorithm none is refused."""
    change_client(cloud, public_keys=(PublicKey(pem(signing_key)),))

    assert (
        await cloud.request_token_by_assertion(sign_hs256(cloud.claims(), header={"alg": "none"}))
    ).status_code == 401


def test_secret_signatures_are_hs256(sign_hs256):
    """A correct HMAC is refused if the header names an algorithm other than HS256."""
    tokens = [jws.parse(sign_hs256({}, "s3cr3t", {"alg": alg})) for alg in ("HS256", "HS512", "none")]

    assert [jws.verify_hs256(token, "s3cr3t") for token in tokens] == [True, False, False]


async def test_secrets_are_not_for_the_query(cloud):
    """The token endpoint reads no credentials from the query, where every access log would record them."""
    response = await cloud.http.post(
        "/api/v2/iauths_system/oauth2/token",
        params={"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET},
        data={"grant_type": "client_credentials"},
    )

    assert response.json()["error"] == "invalid_client"
