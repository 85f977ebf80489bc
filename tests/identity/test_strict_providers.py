"""OpenID providers as strict as Okta, Auth0, Entra and Keycloak: what a client may send, and what it may not."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID
from jwt.algorithms import RSAAlgorithm

from app.core.errors import ConfigError, Refused, Unreachable
from app.emulator import PublicKey
from app.emulator.world.world import OIDC_CLIENT_ID

from ..clock import Clock
from ..conftest import Offline
from ..workload import Workload
from .identities import MakeIdentity, client_assertion, oidc_client, oidc_token, one_profile, sts_exchange

Build = Callable[..., Offline]
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

RSA = {bits: rsa.generate_private_key(65537, bits) for bits in (2048, 3072)}
P384, ED25519 = ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()


def with_key(
    workload: Workload, key: Key, *, thumbprint: str | None = None, key_id: str | None = None, **keys: Any
) -> dict[str, Any]:
    """Return a client that signs with `key`, which the provider knows."""
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    world = workload.emulator.world
    client = replace(world.clients[OIDC_CLIENT_ID], public_keys=(PublicKey(public.decode(), key_id, thumbprint),))
    workload.emulator.world = replace(world, clients={**world.clients, OIDC_CLIENT_ID: client})
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = workload.write_file("client.pem", private.decode())
    authentication = {"method": "private_key_jwt", "privateKeyFile": path, **keys}
    return oidc_client("client_secret_post")(workload) | {"clientAuthentication": authentication}


def supporting(workload: Workload, *algorithms: str) -> None:
    """Let the provider accept these algorithms, and name them in its discovery document."""
    workload.emulator.world = replace(workload.emulator.world, workload_algorithms=algorithms)


def last_request(workload: Workload) -> Mapping[str, str]:
    """Return the form of the last token request."""
    return [call.fields for call in workload.emulator.journal if "grant_type" in call.fields][-1]


async def fetched(
    identity: dict[str, Any], workload: Workload, offline: Build
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Obtain credentials, and return header and claims of the assertion."""
    await offline(one_profile(identity, sts_exchange("command")), workload.environ).fetch()
    text = last_request(workload)["client_assertion"]
    return jwt.get_unverified_header(text), jwt.decode(text, options={"verify_signature": False})


async def test_basic_sends_nothing_about_the_client_in_the_form(workload: Workload, offline: Build) -> None:
    """client_secret_basic: id and secret in the header, form-encoded, and no client_id in the form (Okta)."""
    await offline(
        one_profile(oidc_client("client_secret_basic")(workload), sts_exchange("command")), workload.environ
    ).fetch()

    assert "client_id" not in last_request(workload)


@pytest.mark.parametrize("method", ["private_key_jwt", "client_secret_jwt"])
async def test_life_of_an_assertion(method: str, workload: Workload, offline: Build, clock: Clock) -> None:
    """An assertion lives 300 s (Auth0) and is dated back by 30 s, for an issuer whose clock is behind."""
    _, claims = await fetched(oidc_client(method)(workload), workload, offline)

    assert claims["exp"] - claims["iat"] == 300
    assert claims["iat"] == int(clock.time()) - 30


async def test_configured_life_of_an_assertion(workload: Workload, offline: Build) -> None:
    """`assertionLifetimeSeconds` shortens the life; the schema refuses more than 300."""
    _, claims = await fetched(with_key(workload, RSA[2048], assertionLifetimeSeconds=60), workload, offline)

    assert claims["exp"] - claims["iat"] == 60
    with pytest.raises(ConfigError, match="assertionLifetimeSeconds: must be at most 300"):
        offline(one_profile(with_key(workload, RSA[2048], assertionLifetimeSeconds=301), sts_exchange("command")))


@pytest.mark.parametrize(
    ("key", "supported", "configured", "algorithm"),
    [
        (RSA[2048], ("RS256", "PS256"), None, "RS256"),
        (RSA[3072], ("RS256", "RS384", "RS512"), None, "RS256"),
        (RSA[3072], ("PS256", "ES256"), None, "PS256"),
        (RSA[2048], ("RS512",), None, "RS512"),
        (RSA[2048], ("RS256", "PS256"), "PS256", "PS256"),
        (P384, ("RS256", "ES384"), None, "ES384"),
        (ED25519, ("RS256", "EdDSA"), None, "EdDSA"),
    ],
    ids=["RSA", "RSA-3072", "PS256 only", "RS512 only", "PS256 configured", "P-384", "Ed25519"],
)
async def test_algorithm_of_an_assertion(
    key: Key, supported: tuple[str, ...], configured: str | None, algorithm: str, workload: Workload, offline: Build
) -> None:
    """RS256 for an RSA key of any size, unless the discovery document or the configuration says otherwise."""
    supporting(workload, *supported)
    header, _ = await fetched(with_key(workload, key, algorithm=configured), workload, offline)

    assert header == {"alg": algorithm, "typ": "JWT"}


async def test_certificate_names_the_key(workload: Workload, offline: Build) -> None:
    """With `certificateFile` the assertion has the certificate's SHA-256 thumbprint as `x5t#S256` (Entra)."""
    issued = workload.emulator.issue_certificate(OIDC_CLIENT_ID)
    certificate = x509.load_pem_x509_certificate(issued.leaf_pem.encode())
    thumbprint = base64.urlsafe_b64encode(certificate.fingerprint(SHA256())).rstrip(b"=").decode()
    key = serialization.load_pem_private_key(issued.key_pem.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    path = workload.write_file("client.crt", issued.leaf_pem)
    header, _ = await fetched(with_key(workload, key, thumbprint=thumbprint, certificateFile=path), workload, offline)

    assert header["x5t#S256"] == thumbprint
    with pytest.raises(ConfigError, match="the private key does not belong to the certificate"):
        offline(one_profile(with_key(workload, RSA[2048], certificateFile=path), sts_exchange("command")))


def as_strict_as(provider: Literal["auth0", "entra", "keycloak"], workload: Workload) -> None:
    """Let the second issuer check assertions as `provider` does."""
    workload.emulator.world = replace(workload.emulator.world, workload_provider=provider)


def certified(workload: Workload, **keys: Any) -> dict[str, Any]:
    """Return a client with the key and the file of a certificate, which the provider knows by its thumbprint."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, OIDC_CLIENT_ID)])
    unsigned = x509.CertificateBuilder(name, name, RSA[2048].public_key(), x509.random_serial_number())
    validity = unsigned.not_valid_before(datetime(2020, 1, 1, tzinfo=UTC)).not_valid_after(
        datetime(2099, 1, 1, tzinfo=UTC)
    )
    certificate = validity.sign(RSA[2048], SHA256())
    thumbprint = base64.urlsafe_b64encode(certificate.fingerprint(SHA256())).rstrip(b"=").decode()
    path = workload.write_file("client.crt", certificate.public_bytes(serialization.Encoding.PEM).decode())
    return with_key(workload, RSA[2048], thumbprint=thumbprint, certificateFile=path, **keys)


@pytest.mark.parametrize(
    ("provider", "certificate", "keys"),
    [
        ("auth0", False, {"assertionAudience": "issuer"}),
        ("auth0", False, {"assertionAudience": "issuer", "algorithm": "PS256"}),
        ("entra", True, {}),
        ("entra", True, {"algorithm": "PS256"}),
        ("keycloak", False, {"assertionAudience": "issuer"}),
    ],
)
async def test_strict_provider_accepts_the_documented_keys(
    provider: Literal["auth0", "entra", "keycloak"],
    certificate: bool,
    keys: dict[str, Any],
    workload: Workload,
    offline: Build,
) -> None:
    """With the keys that docs/identities.md names, each provider accepts the assertion."""
    as_strict_as(provider, workload)
    identity = certified(workload, **keys) if certificate else with_key(workload, RSA[2048], **keys)

    await fetched(identity, workload, offline)


@pytest.mark.parametrize(
    ("provider", "key", "keys", "reason"),
    [
        ("auth0", RSA[2048], {}, "aud is not the issuer"),
        ("auth0", P384, {"assertionAudience": "issuer"}, "the algorithm ES384 is not accepted"),
        ("entra", RSA[2048], {}, "AADSTS700027"),
        ("entra", RSA[2048], {"assertionAudience": "issuer"}, "aud is not the token endpoint"),
        ("keycloak", RSA[2048], {}, "aud is not the issuer alone"),
    ],
)
async def test_strict_provider_says_what_is_wrong(
    provider: Literal["auth0", "entra", "keycloak"],
    key: Key,
    keys: dict[str, Any],
    reason: str,
    workload: Workload,
    offline: Build,
) -> None:
    """Without these keys the provider refuses the assertion, and its words are in the message."""
    as_strict_as(provider, workload)

    with pytest.raises(Refused, match=reason):
        await fetched(with_key(workload, key, **keys), workload, offline)


async def test_algorithm_and_id_of_a_jwk(workload: Workload, offline: Build) -> None:
    """A JWK names its algorithm and its id, which go into the assertion; a key for encryption beside it does not."""
    supporting(workload, "PS256", "RS256")
    identity = with_key(workload, RSA[2048])
    own, other = (RSAAlgorithm.to_jwk(RSA[bits], as_dict=True) for bits in (2048, 3072))
    signing = own | {"key_ops": ["sign"], "alg": "PS256", "kid": "registered"}
    with_key(workload, RSA[2048], key_id="registered")
    path = workload.write_file("client.jwks", json.dumps({"keys": [other | {"key_ops": ["decrypt"]}, signing]}))
    identity["clientAuthentication"] = {"method": "private_key_jwt", "privateKeyFile": path}
    header, _ = await fetched(identity, workload, offline)

    assert (header["alg"], header["kid"]) == ("PS256", "registered")
    with_key(workload, RSA[2048], key_id="an id of the provider")  # the public key was registered as a PEM
    with pytest.raises(Refused, match="invalid_client"):
        await fetched(identity, workload, offline)
    with_key(workload, RSA[2048])
    identity["clientAuthentication"] |= {"keyId": "", "privateKeyFile": workload.write_file("one", json.dumps(signing))}
    header, _ = await fetched(identity, workload, offline)
    assert (header["alg"], header.get("kid")) == ("PS256", None)


async def test_projected_token_as_assertion(workload: Workload, offline: Build) -> None:
    """A projected token is the client's assertion, of the standard type, and is read again for every request."""
    identity = client_assertion(workload)
    await offline(one_profile(identity, sts_exchange("command")), workload.environ).fetch()
    sent = last_request(workload)

    assert sent["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    assert sent["client_assertion"] == (workload.directory / "projected").read_text()
    assert sent["client_id"] == OIDC_CLIENT_ID
    workload.write_file("projected", workload.emulator.workload_token(aud=["another"]))
    with pytest.raises(Refused, match="aud is not this provider"):
        await offline(one_profile(identity, sts_exchange("command")), workload.environ).fetch()


@pytest.mark.parametrize(("make", "exchange"), [(client_assertion, "command"), (oidc_token, "OIDC")])
async def test_unusable_token_is_not_sent(
    make: MakeIdentity, exchange: str, workload: Workload, offline: Build, clock: Clock
) -> None:
    """A token that has expired, or a page in its place, is not sent; the message names the writer of the token."""
    identity = make(workload)
    sidecar = offline(one_profile(identity, sts_exchange(exchange)), workload.environ)
    await sidecar.fetch()
    name = next(name for name in ("projected", "token") if (workload.directory / name).exists())
    sent = len(workload.emulator.journal)
    for text, kind, says in (
        (
            workload.emulator.workload_token(exp=int(clock.time()) - 1),
            Unreachable,
            "the program that writes it is late",
        ),
        ("<html>Sign in</html>", Refused, "the token is not a JWT"),
    ):
        workload.write_file(name, text)
        clock.skip(1800)
        with pytest.raises(kind, match=says):
            await sidecar.fetch()
    assert "client_assertion" not in {field for call in workload.emulator.journal[sent:] for field in call.fields}


async def test_refused_token_is_not_sent_again(workload: Workload, offline: Build) -> None:
    """A token that the provider has refused is not sent again at once: its writer has not replaced it."""
    identity = client_assertion(workload)
    sidecar = offline(one_profile(identity, sts_exchange("command")), workload.environ)
    workload.write_file("projected", workload.emulator.workload_token(aud=["another"]))
    with pytest.raises(Refused, match="aud is not this provider"):
        await sidecar.fetch()

    assert len([call for call in workload.emulator.journal if "client_assertion" in call.fields]) == 1


async def test_job_token_as_assertion(workload: Workload, offline: Build) -> None:
    """The token may be in an environment variable, as GitLab's job tokens are; one of the two keys is required."""
    identity = client_assertion(workload)
    workload.environ["JOB_TOKEN"] = (workload.directory / "projected").read_text()
    identity["clientAuthentication"] = {"method": "client_assertion", "tokenEnvVarName": "JOB_TOKEN"}

    await offline(one_profile(identity, sts_exchange("command")), workload.environ).fetch()
    identity["clientAuthentication"] = {"method": "client_assertion"}
    with pytest.raises(ConfigError, match="clientAuthentication: tokenEnvVarName or tokenFile is required"):
        offline(one_profile(identity, sts_exchange("command")))
