"""Private keys in every form of upstream-protocols.md section 2.4, and the algorithm that each one signs with."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from app.core.errors import ConfigError
from app.identity import private_key

RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
PASSWORD = "of-the-key"
LOCKED = serialization.BestAvailableEncryption(PASSWORD.encode())
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def pem(
    key: Key,
    layout: serialization.PrivateFormat = serialization.PrivateFormat.PKCS8,
    lock: serialization.KeySerializationEncryption | None = None,
) -> str:
    return key.private_bytes(serialization.Encoding.PEM, layout, lock or serialization.NoEncryption()).decode()


def der(
    key: Key,
    layout: serialization.PrivateFormat = serialization.PrivateFormat.PKCS8,
    lock: serialization.KeySerializationEncryption | None = None,
) -> str:
    return base64.b64encode(
        key.private_bytes(serialization.Encoding.DER, layout, lock or serialization.NoEncryption())
    ).decode()


OLD = serialization.PrivateFormat.TraditionalOpenSSL
PLAIN = {
    "PKCS#8 RSA": (pem(RSA), RSA),
    "PKCS#8 EC": (pem(EC), EC),
    "PKCS#1": (pem(RSA, OLD), RSA),
    "SEC1": (pem(EC, OLD), EC),
    "bare DER PKCS#8": (der(RSA), RSA),
    "bare DER PKCS#1": (der(RSA, OLD), RSA),
    "bare DER SEC1": (der(EC, OLD), EC),
    "bare DER in lines": ("\n".join((der(RSA)[:70], der(RSA)[70:])), RSA),
    "newlines became spaces": (pem(RSA).replace("\n", " "), RSA),
    "newlines became spaces, SEC1": (pem(EC, OLD).replace("\n", " "), EC),
    "newlines became two characters": (pem(RSA).replace("\n", "\\n"), RSA),
    "newlines became four characters": (pem(EC).replace("\n", "\\r\\n"), EC),
    "no newlines at all": (pem(RSA).replace("\n", ""), RSA),
    "Windows newlines": (pem(RSA).replace("\n", "\r\n"), RSA),
    "after parameters": (f"-----BEGIN EC PARAMETERS-----\nBggq\n-----END EC PARAMETERS-----\n{pem(EC, OLD)}", EC),
    "beside a certificate": (f"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n{pem(RSA)}", RSA),
}
ENCRYPTED = {
    "PKCS#8": pem(RSA, lock=LOCKED),
    "PKCS#8 EC": pem(EC, lock=LOCKED),
    "PKCS#1 with headers": pem(RSA, OLD, LOCKED),
    "bare DER": der(RSA, lock=LOCKED),
    "newlines became spaces": pem(RSA, lock=LOCKED).replace("\n", " "),
    "newlines became two characters": pem(RSA, lock=LOCKED).replace("\n", "\\n"),
}


@pytest.mark.parametrize("name", PLAIN)
def test_every_form(name: str) -> None:
    """Whatever tool wrote the key, it is the key."""
    text, key = PLAIN[name]

    assert private_key.load_private_key(text, None, "place").private_numbers() == key.private_numbers()


@pytest.mark.parametrize("name", ENCRYPTED)
def test_every_encrypted_form(name: str) -> None:
    """With its password an encrypted key is the key; without or with another, the complaint says which."""
    text = ENCRYPTED[name]

    assert private_key.load_private_key(text, PASSWORD, "place")
    with pytest.raises(ConfigError, match="it is encrypted; name its password with privateKeyPasswordEnvVarName"):
        private_key.load_private_key(text, None, "place")
    with pytest.raises(ConfigError, match="the password is wrong, or the key damaged"):
        private_key.load_private_key(text, "another", "place")


@pytest.mark.parametrize(
    ("text", "password", "words"),
    [
        ("", None, "damaged, or not a private key"),
        ("s3cr3t", None, "damaged, or not a private key"),
        ("ünicode", None, "damaged, or not a private key"),
        (pem(RSA)[:400], None, "damaged, or not a private key"),
        (pem(RSA).replace("M", "N"), None, "damaged, or not a private key"),
        (base64.b64encode(b"s3cr3t" * 9).decode(), None, "damaged, or not a private key"),
        (pem(RSA), PASSWORD, "a password is configured, but the key is not encrypted"),
    ],
    ids=["empty", "a word", "not ASCII", "cut", "changed", "other base64", "needless password"],
)
def test_no_key(text: str, password: str | None, words: str) -> None:
    """What is no key is a configuration error that quotes none of it."""
    with pytest.raises(ConfigError) as caught:
        private_key.load_private_key(text, password, "identity.authnConfiguration")

    assert str(caught.value) == f"identity.authnConfiguration: no usable private key: {words}"


def test_a_key_that_idaas_does_not_take() -> None:
    """Ed25519 is a key, and not one for this."""
    with pytest.raises(ConfigError, match="neither an RSA nor an EC key; IDaaS takes no other"):
        private_key.load_private_key(pem(ED), None, "place")


ALGORITHMS = [
    (RSA, "RS256"),
    (rsa.generate_private_key(65537, 2056), "RS384"),
    (rsa.generate_private_key(65537, 3072), "RS384"),
    (rsa.generate_private_key(65537, 3080), "RS512"),
    (EC, "ES256"),
    (ec.generate_private_key(ec.SECP384R1()), "ES384"),
    (ec.generate_private_key(ec.SECP521R1()), "ES512"),
]


@pytest.mark.parametrize(("key", "algorithm"), ALGORITHMS, ids=[f"{key.key_size}" for key, _ in ALGORITHMS])
def test_the_key_chooses(key: private_key.PrivateKey, algorithm: str) -> None:
    """By the modulus or the curve, as the official SDKs choose."""
    assert private_key.algorithm_for(key, "place") == algorithm
    private_key.check_algorithm(algorithm, key, "place")


def test_a_curve_without_algorithm() -> None:
    """A curve that JWS has no algorithm for is refused by name."""
    key = ec.generate_private_key(ec.BrainpoolP256R1())

    with pytest.raises(ConfigError, match=r"^place: the curve brainpoolP256r1 is none of P-256, P-384, P-521$"):
        private_key.algorithm_for(key, "place")


@pytest.mark.parametrize(
    ("key", "algorithm", "fits"),
    [(RSA, "RS512", True), (RSA, "ES256", False), (EC, "ES384", False), (EC, "RS256", False)],
    ids=["RSA RS512", "RSA ES256", "P-256 ES384", "P-256 RS256"],
)
def test_the_configuration_may_choose(key: private_key.PrivateKey, algorithm: str, fits: bool) -> None:
    """Any RS algorithm fits an RSA key; a curve has only its own."""
    if fits:
        private_key.check_algorithm(algorithm, key, "place")
        return
    with pytest.raises(ConfigError, match=rf"^place\.algorithm: {algorithm} does not fit the key, whose own is "):
        private_key.check_algorithm(algorithm, key, "place")
