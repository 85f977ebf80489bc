"""The checks of authentication methods: beside another wrong value, and for the files of PCA."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any

import jwt
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from app.core.checks import Check, Findings, require
from app.core.errors import ConfigError

from ..workload import Workload
from .configured_methods import facts, method_of, sent_by
from .test_private_key import ENCRYPTION, PASSWORD, RSA

FED = {"applicationFederatedCredentialName": "fed-1"}
CERTIFICATE_KEYS = ("clientX509Certificate", "clientX509CertificateFile")
CHAIN_KEYS = ("x509CertChains", "x509CertChainsFile")
PRIVATE_KEYS = ("privateKeyEnvVarName", "privateKeyFile")
SECRET_KEYS = ("clientSecretEnvVarName", "clientSecretFile")
TOKEN_KEYS = ("tokenEnvVarName", "tokenFile")
KEY = {"privateKeyFile": "/key.pem"}


def found_by(checks: Iterable[Check], *unusable: str) -> list[str]:
    """Return the mistakes that checks find if the values at the `unusable` keys of `p` could not be read."""
    findings = Findings()
    findings.add([], [f"p.{key}" for key in unusable])
    findings.run(checks, patient=False)
    return [mistake.cause for mistake in findings.mistakes]


_ISSUED = trustme.CA().issue_cert("client.example.com")
LEAF, LEAF_KEY = _ISSUED.cert_chain_pems[0].bytes().decode(), _ISSUED.private_key_pem.bytes().decode()

OTHER = rsa.generate_private_key(65537, 2048)

MISSING: list[tuple[dict[str, Any], tuple[str, ...], str]] = [
    ({"authnMethod": "CLIENT_SECRET_POST"}, SECRET_KEYS, "p: clientSecretEnvVarName or"),
    ({"method": "client_secret_basic"}, SECRET_KEYS, "p: clientSecretEnvVarName or"),
    ({"authnMethod": "PRIVATE_KEY_JWT"}, PRIVATE_KEYS, "p: privateKeyEnvVarName or"),
    ({"method": "private_key_jwt"}, PRIVATE_KEYS, "p: privateKeyEnvVarName or"),
    ({"method": "client_assertion"}, TOKEN_KEYS, "p: tokenEnvVarName or"),
    ({"authnMethod": "PCA", **FED, **KEY, "x509CertChains": "x"}, CERTIFICATE_KEYS, "p: clientX509Certificate or"),
    ({"authnMethod": "PCA", **FED, **KEY, "clientX509Certificate": "x"}, CHAIN_KEYS, "p: x509CertChains or"),
]


@pytest.mark.parametrize(("method", "keys", "cause"), MISSING, ids=[str(number) for number in range(len(MISSING))])
def test_key_that_could_not_be_read_is_not_missing(method: dict[str, Any], keys: tuple[str, ...], cause: str) -> None:
    """A method without its key is a mistake. A key whose value could not be read is not missing."""
    checks = list(method_of(method).checks("p", facts(place="client")))

    assert [each[: len(cause)] for each in found_by(checks)] == [cause]
    for key in keys:
        assert found_by(checks, key) == []


PCA = {"authnMethod": "PCA", **FED, "privateKeyEnvVarName": "KEY"}
UNREAD: list[tuple[dict[str, Any], str, tuple[str, ...]]] = [
    ({"authnMethod": "CLIENT_SECRET_POST", "clientSecretEnvVarName": "UNSET"}, "p.clientSecretEnvVarName", SECRET_KEYS),
    ({"authnMethod": "PRIVATE_KEY_JWT", "privateKeyEnvVarName": "UNSET"}, "p.privateKeyEnvVarName", PRIVATE_KEYS),
    (
        {"authnMethod": "PRIVATE_KEY_JWT", "privateKeyEnvVarName": "WORD"},
        "p.privateKeyEnvVarName",
        (*PRIVATE_KEYS, "privateKeyPasswordEnvVarName", "algorithm"),
    ),
    (
        {
            "authnMethod": "PCA",
            **FED,
            "privateKeyEnvVarName": "KEY",
            "clientX509Certificate": "x",
            "x509CertChains": LEAF,
        },
        "p.clientX509Certificate",
        (*PRIVATE_KEYS, *CERTIFICATE_KEYS, "privateKeyPasswordEnvVarName", "algorithm"),
    ),
    (
        {
            "authnMethod": "PCA",
            **FED,
            "privateKeyEnvVarName": "KEY",
            "x509CertChains": LEAF,
            "clientX509CertificateFile": "/nowhere/x",
        },
        "p.clientX509CertificateFile",
        CERTIFICATE_KEYS,
    ),
    (
        {
            "authnMethod": "PCA",
            **FED,
            "privateKeyEnvVarName": "KEY",
            "clientX509Certificate": LEAF,
            "x509CertChains": "x",
        },
        "p.x509CertChains",
        CHAIN_KEYS,
    ),
]


@pytest.mark.parametrize(("method", "place", "keys"), UNREAD, ids=[str(number) for number in range(len(UNREAD))])
def test_value_is_not_read_beside_one_that_could_not_be(
    method: dict[str, Any], place: str, keys: tuple[str, ...]
) -> None:
    """A method's file or variable is not read if another value that decides on its form could not be read."""
    checks = list(method_of(method).read_checks("p", {"WORD": "word", "KEY": LEAF_KEY}))

    assert {each.partition(": ")[0] for each in found_by(checks)} == {place}
    for key in keys:
        assert found_by(checks, key) == []


def test_key_and_its_password_are_missing_each() -> None:
    """A missing key and a missing password are two mistakes, which one run finds."""
    method = {"privateKeyEnvVarName": "UNSET", "privateKeyPasswordEnvVarName": "UNSET_TOO"}
    checks = method_of({"authnMethod": "PRIVATE_KEY_JWT", **method}).read_checks("p", {})

    assert {each.partition(": ")[0] for each in found_by(checks)} == {f"p.{key}" for key in method}


def test_key_and_its_certificate_are_missing_each() -> None:
    """A missing key and a missing certificate are two mistakes, which one run finds."""
    method = {"privateKeyEnvVarName": "UNSET", "clientX509CertificateFile": "/nowhere/x"}
    checks = method_of(PCA | method | {"x509CertChains": LEAF}).read_checks("p", {})

    assert {each.partition(": ")[0] for each in found_by(checks)} == {f"p.{key}" for key in method}


@pytest.mark.parametrize("method", [{"authnMethod": "CLIENT_SECRET_POST"}, {"method": "client_secret_basic"}])
def test_secret_with_an_invisible_character_is_refused(method: dict[str, str]) -> None:
    """The check of the values finds an invisible character in a client secret."""
    checks = method_of(method | {"clientSecretEnvVarName": "S"}).read_checks("p", {"S": "sec\u200bret"})

    assert [each.partition(": ")[0] for each in found_by(checks)] == ["p.clientSecretEnvVarName"]


def test_token_is_not_read_beside_one_that_could_not_be() -> None:
    """The token is not looked for if the key that names it could not be read."""
    checks = list(method_of({"method": "client_assertion", "tokenEnvVarName": "UNSET"}).token_checks("p", {}))

    assert [each.partition(": ")[0] for each in found_by(checks)] == ["p.tokenEnvVarName"]
    for key in TOKEN_KEYS:
        assert found_by(checks, key) == []


def test_chain_of_pca_may_have_a_password(workload: Workload) -> None:
    """The chain may be a PKCS#12 with the key's password. Without the password, it cannot be read."""
    issued = workload.emulator.issue_certificate()
    key = load_pem_private_key(issued.key_pem.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    leaf, issuer = (x509.load_pem_x509_certificate(text.encode()) for text in (issued.leaf_pem, issued.chain_pem))
    bundle = base64.b64encode(serialize_key_and_certificates(b"a", key, leaf, [issuer], ENCRYPTION)).decode()
    method = PCA | {"clientX509Certificate": issued.leaf_pem, "x509CertChains": bundle}
    environ = {"KEY": issued.key_pem, "PASSWORD": PASSWORD}

    require(method_of(method | {"privateKeyPasswordEnvVarName": "PASSWORD"}).read_checks("p", environ))
    with pytest.raises(ConfigError, match=r"^p\.x509CertChains: no usable certificate"):
        require(method_of(method).read_checks("p", environ))


async def test_key_of_pca_is_selected_by_its_id(workload: Workload) -> None:
    """In a JWK set, the key with the configured `kid` signs. The certificate must belong to that key."""
    issued = workload.emulator.issue_certificate()
    key = load_pem_private_key(issued.key_pem.encode(), None)
    own = RSAAlgorithm.to_jwk(key, True) if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm.to_jwk(key, True)  # type: ignore[arg-type]
    other = RSAAlgorithm.to_jwk(RSA, True)
    jwks = json.dumps({"keys": [other | {"kid": "other"}, own | {"kid": "own"}]})
    method = {
        "authnMethod": "PCA",
        **FED,
        "privateKeyFile": workload.write_file("keys.json", jwks),
        "clientX509Certificate": issued.leaf_pem,
        "x509CertChains": issued.chain_pem,
        "keyId": "own",
    }

    require(method_of(method).read_checks("p", {}))
    assert (await sent_by(method)).fields["client_x509"] == issued.leaf_pem
    with pytest.raises(ConfigError, match="does not belong to the certificate") as caught:
        require(method_of(method | {"keyId": "other"}).read_checks("p", {}))
    assert caught.value.cure == "name the key of this certificate, or the certificate of this key"


async def test_life_of_an_assertion_can_be_configured(workload: Workload) -> None:
    """An assertion for an OpenID provider lives as long as configured."""
    path = workload.write_file("key.pem", LEAF_KEY)
    sent = await sent_by({"method": "private_key_jwt", "privateKeyFile": path, "assertionLifetimeSeconds": 60})

    claims = jwt.decode(sent.fields["client_assertion"], options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 60


@pytest.mark.parametrize("kind", [{"authnMethod": "PRIVATE_KEY_JWT"}, {"method": "private_key_jwt"}])
@pytest.mark.parametrize(("key_id", "signs"), [(None, 0), ("first", 0), ("second", 1)])
async def test_key_of_an_assertion_is_selected_by_its_id(
    kind: dict[str, str], key_id: str | None, signs: int, workload: Workload
) -> None:
    """In a JWK set, the key with the configured `kid` signs, else the first key. IDaaS gets no `kid` from the file."""
    named = zip((RSA, OTHER), ("first", "second"), strict=True)
    jwks = {"keys": [RSAAlgorithm.to_jwk(key, True) | {"kid": kid, "alg": "PS384"} for key, kid in named]}
    path = workload.write_file("keys.json", json.dumps(jwks))
    sent = await sent_by(kind | {"privateKeyFile": path} | ({"keyId": key_id} if key_id else {}))

    assertion, standard = sent.fields["client_assertion"], "method" in kind
    header = jwt.get_unverified_header(assertion)
    assert header.get("kid") == (key_id or ("first" if standard else None))
    assert header["alg"] == ("PS384" if standard else "RS256")
    jwt.decode(
        assertion, (RSA, OTHER)[signs].public_key(), [header["alg"]], options={"verify_exp": False, "verify_aud": False}
    )


@pytest.mark.parametrize("form", ["behind its authority", "PKCS#12"])
async def test_certificate_that_names_a_key_is_found(form: str, workload: Workload) -> None:
    """The key's certificate is found after its CA's certificate, and in a PKCS#12 with the key's password."""
    issued = workload.emulator.issue_certificate()
    key = load_pem_private_key(issued.key_pem.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    leaf, issuer = (x509.load_pem_x509_certificate(text.encode()) for text in (issued.leaf_pem, issued.chain_pem))
    content = (issued.chain_pem + issued.leaf_pem).encode()
    if form == "PKCS#12":
        content = serialize_key_and_certificates(b"a", key, leaf, [issuer], ENCRYPTION)
    path = workload.directory / "any.crt"
    path.write_bytes(content)
    named = {"privateKeyFile": workload.write_file("tls.key", issued.key_pem), "certificateFile": str(path)}
    method = {"method": "private_key_jwt", "privateKeyPasswordEnvVarName": "PASSWORD", **named}
    require(method_of(method).read_checks("p", {"PASSWORD": PASSWORD}))

    header = jwt.get_unverified_header((await sent_by(method, PASSWORD=PASSWORD)).fields["client_assertion"])
    assert header["x5t#S256"] == base64.urlsafe_b64encode(leaf.fingerprint(SHA256())).rstrip(b"=").decode()


def test_certificate_of_another_key_is_a_mistake(workload: Workload) -> None:
    """A certificate that names the key of an assertion must belong to that key."""
    issued = workload.emulator.issue_certificate()
    named = {"privateKeyEnvVarName": "KEY", "certificateFile": workload.write_file("tls.crt", issued.leaf_pem)}
    method = method_of({"method": "private_key_jwt", **named})

    require(method.read_checks("p", {"KEY": issued.key_pem}))
    with pytest.raises(ConfigError, match=r"^p\.privateKeyEnvVarName: .*: the private key does not belong"):
        require(method.read_checks("p", {"KEY": LEAF_KEY}))
