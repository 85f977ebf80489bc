"""Client authentication by JWT assertion: CLIENT_SECRET_JWT and PRIVATE_KEY_JWT."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from app.emulator import PublicKey, Secret
from app.emulator.crypto import jws
from app.emulator.crypto.replay_cache import ReplayCache
from app.emulator.world.world import CLIENT_ID, ISSUER

from .conftest import change_client


def pem(key):
    """Return the public key as PEM."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


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
