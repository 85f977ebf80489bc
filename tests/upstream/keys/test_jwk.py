"""What the form of a private key says about its use, and the files that people mistake for a key."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from app.core.errors import ConfigError
from app.identity import private_key
from app.upstream.keys import key_forms
from app.upstream.keys.key_forms import Hints

RSA, OTHER = (rsa.generate_private_key(65537, 2048) for _ in range(2))
EC = ec.generate_private_key(ec.SECP521R1())
PEM = RSA.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
DER = RSA.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
PSS = base64.b64encode(
    # The same key with the identifier id-RSASSA-PSS, as `openssl genpkey -algorithm RSA-PSS` writes it.
    DER.replace(bytes.fromhex("06092a864886f70d0101010500"), bytes.fromhex("06092a864886f70d01010a3000"))
).decode()
X25519 = {"kty": "OKP", "crv": "X25519", "x": "AAAA", "d": "AAAA"}


def jwk(key: rsa.RSAPrivateKey = RSA, **members: Any) -> dict[str, Any]:
    """Return a JWK with these members."""
    return RSAAlgorithm.to_jwk(key, as_dict=True) | {"key_ops": ["sign"]} | members


def of(key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
    """Return the JWK of a key on a curve."""
    return dict(ECAlgorithm.to_jwk(key, as_dict=True))


@pytest.mark.parametrize(
    "written",
    [
        [jwk()],
        {"keys": [jwk(OTHER, use="enc"), jwk(use="sig")]},
        {"keys": [jwk(OTHER, key_ops=["decrypt", "unwrapKey"]), jwk()]},
        {"keys": [jwk(OTHER, alg="RSA-OAEP-256"), jwk(alg="PS256")]},
        {"keys": [X25519, jwk()]},
        {name: value for name, value in jwk().items() if name in ("kty", "n", "e", "d")},
        {"type": "application", "keyId": "8169", "key": PEM, "appId": "1", "clientId": "a"},
        {"type": "service_account", "private_key_id": "abc", "private_key": PEM, "client_email": "a@example.com"},
    ],
    ids=["list", "use", "key_ops", "alg", "X25519", "without CRT", "Zitadel", "Google"],
)
def test_key_that_signs_is_chosen(written: Any) -> None:
    """Of a set, the first key that signs is used; a provider's file may hold a PEM."""
    found = key_forms.load_private_key(json.dumps(written), None, "p")

    assert found.private_numbers() == RSA.private_numbers()  # type: ignore[union-attr]


@pytest.mark.parametrize("members", [{"use": "enc"}, {"key_ops": ["verify"]}, {"alg": "RSA-OAEP"}], ids=str)
def test_key_that_does_not_sign_is_refused(members: dict[str, Any]) -> None:
    """A JWK for another use is refused with the reason (RFC 7517 4.2 to 4.4)."""
    with pytest.raises(ConfigError, match="a JWK that is not for signatures, by its use, key_ops or alg"):
        key_forms.load_private_key(json.dumps(jwk(**members)), None, "p")


@pytest.mark.parametrize(
    "members",
    [
        {"n": 65_536, "d": 65_535},
        {"n": 16_384, "d": 16_383},
        {"n": 2_048, "d": 2_047, "e": 800_000},
        {"n": 2_048, "d": 800_000},
    ],
    ids=str,
)
def test_factors_that_take_too_long(members: dict[str, int]) -> None:
    """Computing the factors of a large key would hold up all profiles for minutes, at each request for a token."""
    numbers = {name: base64.urlsafe_b64encode(b"\xff" * (bits // 8)).decode() for name, bits in members.items()}
    key = {"kty": "RSA", "e": "AQAB"} | numbers

    with pytest.raises(ConfigError, match=r"^p: a JWK of RSA without its prime factors.*; write the JWK with p, q"):
        key_forms.load_private_key(json.dumps(key), None, "p")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (json.dumps(jwk(kid="k", alg="PS256")), Hints("PS256", "k")),
        (base64.b64encode(json.dumps(jwk(kid="k")).encode()).decode(), Hints(None, "k")),
        (base64.b64encode(json.dumps([jwk(kid="k")]).encode()).decode(), Hints(None, "k")),
        (json.dumps({"keys": [jwk(kid="a"), jwk(kid="b", alg="RS512")]}), Hints("RS512", "b")),
        (json.dumps(of(EC) | {"alg": "ES512"}), Hints("ES512")),
        (json.dumps({"kty": "OKP", "crv": "Ed25519", "x": "A", "d": "A", "alg": "Ed25519"}), Hints("EdDSA")),
        (json.dumps({"key": PEM, "keyId": "8169"}), Hints(None, "8169")),
        (json.dumps(jwk(kid=3)), Hints()),
        (json.dumps({"key": PEM, "alg": ["RS256"]}), Hints()),
        (PEM, Hints()),
        (PSS, Hints(pss=True)),
        (f"-----BEGIN PRIVATE KEY-----\n{PSS}\n-----END PRIVATE KEY-----", Hints(pss=True)),
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----", Hints()),
        ("not a key", Hints()),
        ("{", Hints()),
    ],
)
def test_hints_of_a_key(text: str, expected: Hints) -> None:
    """`alg` and `kid` of a JWK, and the identifier of a key for RSASSA-PSS alone, are found in every form."""
    assert key_forms.hints(text, "b") == expected


@pytest.mark.parametrize(
    ("hints", "supported", "algorithm"),
    [
        (Hints("PS256"), ["RS256"], "PS256"),
        (Hints("ES256"), ["RS256"], "RS256"),
        (Hints(pss=True), [], "PS256"),
        (Hints(pss=True), ["RS256", "PS512"], "PS512"),
        (Hints(), ["PS384"], "PS384"),
    ],
)
def test_algorithm_of_a_key_with_hints(hints: Hints, supported: list[str], algorithm: str) -> None:
    """The key's own algorithm goes before the server's; a key for RSASSA-PSS never signs otherwise (RFC 4055 1.2)."""
    assert private_key.standard_algorithm(RSA, hints, supported, "p") == algorithm


def test_small_key_is_refused() -> None:
    """RFC 7518 3.3: an RSA key has 2048 bits or more."""
    small = rsa.generate_private_key(65537, 1024)

    with pytest.raises(ConfigError, match="an RSA key of 1024 bits; the algorithms of JWT need 2048 or more"):
        private_key.fitting_algorithms(small, "p")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("PuTTY-User-Key-File-3: ssh-rsa\n", "a key of PuTTY; convert a copy with: puttygen"),
        ("-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nA\n", "an OpenPGP key"),
        ("AGE-SECRET-KEY-1QQ", "a key of age"),
        ("-----BEGIN CERTIFICATE REQUEST-----\nA\n", "a certificate request"),
        ("\n-----BEGIN CERTIFICATE-----\nA\n", "a certificate without its key; name the private key"),
        ("ssh-ed25519 AAAA me", "a public key of OpenSSH"),
        (base64.b64encode(b"\xfe\xed\xfe\xed\0\0\0\2").decode(), "a Java keystore; convert a copy with: keytool"),
    ],
)
def test_file_that_is_no_key_is_named(text: str, kind: str) -> None:
    """A file that people mistake for the key is named, with the cure."""
    with pytest.raises(ConfigError, match=f"^p: {kind}"):
        key_forms.load_private_key(text, None, "p")


def test_data_url_is_read() -> None:
    """A key in a data URL, as browsers download it, is read."""
    text = "data:application/x-pem-file;base64," + base64.b64encode(PEM.encode()).decode()

    assert key_forms.load_private_key(text, None, "p")
