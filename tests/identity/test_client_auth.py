"""The client authentication methods, with test vectors."""

from __future__ import annotations

import json
from urllib.parse import parse_qs

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from app.core.errors import ConfigError
from app.core.values import Token
from app.identity import client_auth, token_endpoint
from app.identity.methods.client_secret_basic import ClientSecretBasic
from app.identity.methods.client_secret_jwt import ClientSecretJwt
from app.identity.methods.client_secret_post import ClientSecretPost
from app.identity.methods.private_key_jwt import PrivateKeyJwt
from app.upstream.client import Limits, UpstreamClient

ENDPOINT = "https://example.aliyunidaas.com/api/v2/iauths_system/oauth2/token"
NOW = 1767323045.9
JTI = "11111111-2222-4333-8444-555555555555"
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def secret_jwt(secret: str) -> ClientSecretJwt:
    """Return CLIENT_SECRET_JWT with a fixed time and id."""
    return ClientSecretJwt("app_example", lambda: secret, now=lambda: NOW, new_id=lambda: JTI)


def private_key_jwt(
    text: str, *, algorithm: str | None = None, key_id: str | None = None, password: str | None = None
) -> PrivateKeyJwt:
    """Return PRIVATE_KEY_JWT with a fixed time and id."""
    return PrivateKeyJwt(
        "app_example",
        key=lambda: text,
        password=(lambda: password) if password else None,
        algorithm=algorithm,
        key_id=key_id,
        place="identity.authnConfiguration",
        now=lambda: NOW,
        new_id=lambda: JTI,
    )


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    """Return a private key as PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


async def test_client_secret_post_sends_a_form_field() -> None:
    """The secret is a form field, and there is no header."""
    proof = await ClientSecretPost(lambda: "s3cr3t/+=").prove(ENDPOINT)

    assert proof == client_auth.Proof(fields={"client_secret": "s3cr3t/+="})


async def test_client_secret_basic_matches_the_vector() -> None:
    """The header equals the official SDKs': nothing is form-encoded before base64."""
    proof = await ClientSecretBasic("app_example", lambda: "s3cr3t/+=", form_encoded=False).prove(ENDPOINT)

    assert proof == client_auth.Proof(headers={"Authorization": "Basic YXBwX2V4YW1wbGU6czNjcjN0Lys9"})


async def test_client_secret_jwt_matches_the_vector() -> None:
    """Header, claims and signature of the assertion equal the official SDKs'; no answer may quote the secret."""
    proof = await secret_jwt("s3cr3t").prove(ENDPOINT)

    assertion = proof.fields["client_assertion"]
    assert proof.fields == {"client_assertion_type": JWT_BEARER, "client_assertion": assertion}
    assert (proof.headers, proof.secrets) == ({}, ("s3cr3t",))
    assert assertion.endswith(".oVbcRK7fGfd0chzsuVRIM-oM4d-zM9EivSzCh7SiFMw")
    assert jwt.get_unverified_header(assertion) == {"alg": "HS256", "typ": "JWT"}


async def test_assertion_claims() -> None:
    """`aud` is the token endpoint, `iss` and `sub` the client; whole seconds, valid for 600 s, without `nbf`."""
    claims = client_auth.assertion_claims("app_example", ENDPOINT, now=NOW, jti=JTI)

    assert json.dumps(claims) == json.dumps(
        {"aud": ENDPOINT, "sub": "app_example", "iss": "app_example", "jti": JTI, "iat": 1767323045, "exp": 1767323645}
    )


KEYS = {
    "RS256": rsa.generate_private_key(65537, 2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()),
}


@pytest.mark.parametrize("algorithm", KEYS)
async def test_private_key_assertion_verifies(algorithm: str) -> None:
    """The assertion verifies with the public key, and its header has the algorithm and no `kid` or `x5c`."""
    key = KEYS[algorithm]

    proof = await private_key_jwt(pem(key)).prove(ENDPOINT)

    assertion = proof.fields["client_assertion"]
    assert jwt.get_unverified_header(assertion) == {"alg": algorithm, "typ": "JWT"}
    verified = jwt.decode(
        assertion, key.public_key(), [algorithm], audience=ENDPOINT, options={"verify_exp": False, "verify_iat": False}
    )
    assert verified == client_auth.assertion_claims("app_example", ENDPOINT, now=NOW, jti=JTI)


async def test_configured_algorithm_and_kid_are_in_the_header() -> None:
    """A configured algorithm and `kid` are in the header."""
    proof = await private_key_jwt(pem(KEYS["RS256"]), algorithm="RS384", key_id="key-1").prove(ENDPOINT)

    header = jwt.get_unverified_header(proof.fields["client_assertion"])
    assert header == {"alg": "RS384", "kid": "key-1", "typ": "JWT"}


async def test_encrypted_key_is_read_with_its_password() -> None:
    """The password of an encrypted key is read together with the key."""
    locked = KEYS["RS256"].private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"of-the-key"),
    )

    assert (await private_key_jwt(locked.decode(), password="of-the-key").prove(ENDPOINT)).fields


async def test_unusable_key_is_a_configuration_error() -> None:
    """A key that a rotation damaged is a configuration error with its place."""
    with pytest.raises(ConfigError, match=r"^identity\.authnConfiguration: no usable private key: damaged"):
        await private_key_jwt("-----BEGIN PRIVATE KEY-----").prove(ENDPOINT)


async def test_each_request_has_its_own_jti() -> None:
    """Every request has an assertion with a `jti` of its own."""
    ids = iter(["first", "second"])
    auth = ClientSecretJwt("app_example", lambda: "s3cr3t", now=lambda: NOW, new_id=lambda: next(ids))

    proofs = [(await auth.prove(ENDPOINT)).fields["client_assertion"] for _ in range(2)]

    ids_sent = [jwt.decode(proof, options={"verify_signature": False})["jti"] for proof in proofs]
    assert ids_sent == ["first", "second"]


def test_repr_of_a_proof_shows_no_secret() -> None:
    """The repr of a proof, as in a log or a traceback, shows no secret."""
    proof = client_auth.Proof({"client_secret": "s3cr3t"}, {"Authorization": "Basic s3cr3t"}, secrets=("s3cr3t",))

    assert "s3cr3t" not in repr(proof)


async def test_token_request_is_one_form_post() -> None:
    """The request is one POST with standard form encoding and client_id in the body."""
    requests: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, stream=httpx.ByteStream(b'{"access_token": "e30.e30.c2ln", "expires_in": 1200}'))

    client = UpstreamClient(httpx.MockTransport(respond), limits=Limits(), now=lambda: NOW, observe=lambda _: None)

    async def url() -> str:
        return ENDPOINT

    basic = ClientSecretBasic("app_example", lambda: "s3cr3t/+=", form_encoded=False)
    endpoint = token_endpoint.TokenEndpoint(client, url, "app_example", basic, now=lambda: NOW)
    source = token_endpoint.ClientCredentials(endpoint, {"scope": "urn:cloud:idaas:pam|.all"})

    token = await source.token()

    await client.aclose()
    body = requests[0].content.decode()
    assert token == Token("e30.e30.c2ln", NOW + 1200)
    assert (requests[0].method, str(requests[0].url)) == ("POST", ENDPOINT)
    assert requests[0].headers["content-type"] == "application/x-www-form-urlencoded"
    assert requests[0].headers["authorization"] == "Basic YXBwX2V4YW1wbGU6czNjcjN0Lys9"
    assert "scope=urn%3Acloud%3Aidaas%3Apam%7C.all" in body.split("&")
    assert parse_qs(body) == {
        "client_id": ["app_example"],
        "grant_type": ["client_credentials"],
        "scope": ["urn:cloud:idaas:pam|.all"],
    }
