"""The proofs of a client, against the test vectors of upstream-protocols.md section 12."""

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
    return ClientSecretJwt("app_example", lambda: secret, now=lambda: NOW, new_id=lambda: JTI)


def private_key_jwt(
    text: str, *, algorithm: str | None = None, key_id: str | None = None, password: str | None = None
) -> PrivateKeyJwt:
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
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


async def test_post() -> None:
    """The secret is a form field and no header."""
    proof = await ClientSecretPost(lambda: "s3cr3t/+=").prove(ENDPOINT)

    assert proof == client_auth.Proof(fields={"client_secret": "s3cr3t/+="})


async def test_basic_vector() -> None:
    """The official SDKs' header to the letter: nothing is form-encoded before base64."""
    proof = await ClientSecretBasic("app_example", lambda: "s3cr3t/+=", form_encoded=False).prove(ENDPOINT)

    assert proof == client_auth.Proof(headers={"Authorization": "Basic YXBwX2V4YW1wbGU6czNjcjN0Lys9"})


async def test_hs256_vector() -> None:
    """The official SDKs' assertion to the letter, header, claims and signature."""
    proof = await secret_jwt("s3cr3t").prove(ENDPOINT)

    assertion = proof.fields["client_assertion"]
    assert proof.fields == {"client_assertion_type": JWT_BEARER, "client_assertion": assertion}
    assert proof.headers == {}
    assert assertion.endswith(".oVbcRK7fGfd0chzsuVRIM-oM4d-zM9EivSzCh7SiFMw")
    assert jwt.get_unverified_header(assertion) == {"alg": "HS256", "typ": "JWT"}


async def test_the_claims() -> None:
    """`aud` is the URL posted to, `iss` and `sub` the client, whole seconds, ten minutes, no `nbf`."""
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
async def test_a_private_key_signs(algorithm: str) -> None:
    """The assertion verifies with the public half, says its algorithm, and no `kid` or `x5c`."""
    key = KEYS[algorithm]

    proof = await private_key_jwt(pem(key)).prove(ENDPOINT)

    assertion = proof.fields["client_assertion"]
    assert jwt.get_unverified_header(assertion) == {"alg": algorithm, "typ": "JWT"}
    verified = jwt.decode(
        assertion, key.public_key(), [algorithm], audience=ENDPOINT, options={"verify_exp": False, "verify_iat": False}
    )
    assert verified == client_auth.assertion_claims("app_example", ENDPOINT, now=NOW, jti=JTI)


async def test_algorithm_and_kid_are_the_configurations() -> None:
    """Where they are configured they are in the header."""
    proof = await private_key_jwt(pem(KEYS["RS256"]), algorithm="RS384", key_id="key-1").prove(ENDPOINT)

    header = jwt.get_unverified_header(proof.fields["client_assertion"])
    assert header == {"alg": "RS384", "kid": "key-1", "typ": "JWT"}


async def test_a_key_with_a_password() -> None:
    """The password is read when the key is."""
    locked = KEYS["RS256"].private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"of-the-key"),
    )

    assert (await private_key_jwt(locked.decode(), password="of-the-key").prove(ENDPOINT)).fields


async def test_an_unusable_key_is_told_with_its_place() -> None:
    """A key that rotation broke is a configuration error, not a crash."""
    with pytest.raises(ConfigError, match=r"^identity\.authnConfiguration: no usable private key: damaged"):
        await private_key_jwt("-----BEGIN PRIVATE KEY-----").prove(ENDPOINT)


async def test_a_proof_is_used_once() -> None:
    """Every request has its own `jti` and its own time."""
    ids = iter(["first", "second"])
    auth = ClientSecretJwt("app_example", lambda: "s3cr3t", now=lambda: NOW, new_id=lambda: next(ids))

    proofs = [(await auth.prove(ENDPOINT)).fields["client_assertion"] for _ in range(2)]

    found = [jwt.decode(proof, options={"verify_signature": False})["jti"] for proof in proofs]
    assert found == ["first", "second"]


def test_proofs_are_quiet() -> None:
    """A proof that ends in a log or a traceback shows nothing."""
    proof = client_auth.Proof({"client_secret": "s3cr3t"}, {"Authorization": "Basic s3cr3t"})

    assert "s3cr3t" not in repr(proof)


async def test_the_request_on_the_wire() -> None:
    """The form of upstream-protocols.md section 2.2: one POST, standard form encoding, client_id in the body too."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, stream=httpx.ByteStream(b'{"access_token": "e30.e30.c2ln", "expires_in": 1200}'))

    wire = UpstreamClient(httpx.MockTransport(answer), limits=Limits(), now=lambda: NOW, observe=lambda _: None)

    async def url() -> str:
        return ENDPOINT

    basic = ClientSecretBasic("app_example", lambda: "s3cr3t/+=", form_encoded=False)
    endpoint = token_endpoint.TokenEndpoint(wire, url, "app_example", basic, now=lambda: NOW)
    source = token_endpoint.ClientCredentials(endpoint, {"scope": "urn:cloud:idaas:pam|.all"})

    token = await source.token()

    await wire.aclose()
    body = seen[0].content.decode()
    assert token == Token("e30.e30.c2ln", NOW + 1200)
    assert (seen[0].method, str(seen[0].url)) == ("POST", ENDPOINT)
    assert seen[0].headers["content-type"] == "application/x-www-form-urlencoded"
    assert seen[0].headers["authorization"] == "Basic YXBwX2V4YW1wbGU6czNjcjN0Lys9"
    assert "scope=urn%3Acloud%3Aidaas%3Apam%7C.all" in body.split("&")
    assert parse_qs(body) == {
        "client_id": ["app_example"],
        "grant_type": ["client_credentials"],
        "scope": ["urn:cloud:idaas:pam|.all"],
    }
