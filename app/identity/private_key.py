"""Loads private keys in all common forms, and finds the algorithm and the certificate of each key.

Each official SDK fails on some of these forms. A key that one tool wrote must work here without a further tool.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key
from cryptography.hazmat.primitives.serialization.pkcs12 import load_key_and_certificates

from ..core.errors import ConfigError, Reason

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey

_PEM = re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----(.*?)-----END \1-----", re.DOTALL)
_RSA_ALGORITHMS = ("RS256", "PS256", "RS384", "PS384", "RS512", "PS512")
_PKCS12 = re.compile(rb"\x30.{1,5}?\x02\x01\x03", re.DOTALL)
"""The beginning of a PKCS#12: a sequence with the version 3 (RFC 7292 section 4)."""

_CERTIFICATE = "-----BEGIN CERTIFICATE-----"

_EC_ALGORITHMS = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


class OpenSshKey(ValueError):
    """A key in OpenSSH's own format, which no OAuth tool writes. `command`: the command that converts a copy of it."""

    def __init__(self, body: str) -> None:
        super().__init__()
        self.command = _OPENSSH_ED25519 if b"ssh-ed25519" in _decode(body) else _OPENSSH


_OPENSSH = "ssh-keygen -p -m PKCS8 -f KEY_FILE"

_OPENSSH_ED25519 = (
    "python3 -c 'import sys; from cryptography.hazmat.primitives.serialization import *; "
    'print(load_ssh_private_key(open(sys.argv[1], "rb").read(), None)'
    '.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(), end="")\' KEY_FILE '
    "(it needs Python's cryptography, and no passphrase: ssh-keygen -p -f KEY_FILE removes it)"
)
"""The command that converts an Ed25519 key. ssh-keygen of OpenSSH 9.2 ends with 0, but leaves such a key in its own
format, whatever the value of `-m` is."""


class PublicKey(ValueError):
    """A text with the public half of a key, instead of the private key."""


def load_private_key(text: str, password: str | None, place: str) -> PrivateKey:
    """
    Return the key in `text`: PKCS#8 (also encrypted), PKCS#1 or SEC1 as PEM; a JWK; or base64 of a PEM, JWK, DER or
    PKCS#12.

    The line breaks of a PEM may have become spaces or the two characters `\\n`. Errors name the key by `place`, and
    never quote the text.
    """
    secret = password.encode() if password else None
    try:
        key = _load(text.replace("\\n", "\n").replace("\\r", ""), secret)
    except OpenSshKey as error:
        raise ConfigError(
            f"{place}: a key in OpenSSH's own format",
            cure=f"convert a copy with: {error.command}",
            error_code="IDS-115",
        ) from None
    except PublicKey:
        raise ConfigError(f"{place}: a public key", cure="name the private key", error_code="IDS-115") from None
    except (ValueError, TypeError, KeyError, IndexError, RecursionError, UnsupportedAlgorithm) as error:
        reason = _reason(error, password)
        raise ConfigError(reason.at(f"{place}: no usable private key"), error_code="IDS-115") from None
    if not isinstance(key, PrivateKey):
        raise ConfigError(f"{place}: neither an RSA, nor an EC, nor an Ed25519 key", error_code="IDS-115")
    return key


def algorithm_for(key: PrivateKey, place: str) -> str:
    """
    Return RS256, RS384 or RS512 by the modulus, or ES256, ES384 or ES512 by the curve, as in the IDaaS SDKs.

    Raises ConfigError for a key that IDaaS does not accept.
    """
    if isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{place}: neither an RSA nor an EC key; IDaaS takes no other", error_code="IDS-115")
    if isinstance(key, RSAPrivateKey):
        return "RS256" if key.key_size <= 2048 else "RS384" if key.key_size <= 3072 else "RS512"
    return _ec_algorithm(key, place)


def fitting_algorithms(key: PrivateKey, place: str) -> tuple[str, ...]:
    """Return the algorithms that `key` can sign with, the most widely accepted first. Raises ConfigError."""
    if isinstance(key, RSAPrivateKey):
        return _RSA_ALGORITHMS
    return ("EdDSA",) if isinstance(key, Ed25519PrivateKey) else (_ec_algorithm(key, place),)


def standard_algorithm(key: PrivateKey, supported: Sequence[str], place: str) -> str:
    """Return the first algorithm of `key` that the server supports; if it names none of them, the first algorithm."""
    fitting = fitting_algorithms(key, place)
    return next((name for name in fitting if name in supported), fitting[0])


def _ec_algorithm(key: EllipticCurvePrivateKey, place: str) -> str:
    algorithm = _EC_ALGORITHMS.get(key.curve.name)
    if algorithm is None:
        raise ConfigError(f"{place}: the curve {key.curve.name} is none of P-256, P-384, P-521", error_code="IDS-115")
    return algorithm


def check_algorithm(algorithm: str, key: PrivateKey, place: str) -> None:
    """Raise ConfigError if `key` cannot sign with `algorithm`."""
    fitting = fitting_algorithms(key, place)
    if algorithm not in fitting:
        raise ConfigError(
            f"{place}.algorithm: {algorithm} does not fit the key, whose own is {fitting[0]}", error_code="IDS-115"
        )


def load_certificate(text: str, place: str, *, der: bool = False, password: str | None = None) -> x509.Certificate:
    """
    Return the first certificate in `text`. Raises ConfigError, which does not quote the text.

    `der`: besides PEM, accept base64 of a PEM, DER or PKCS#12. `password`: the password of a PKCS#12.
    """
    try:
        return _certificate(text, password) if der else x509.load_pem_x509_certificate(text.encode())
    except ValueError:
        forms = "certificate, neither PEM" if der else "PEM certificate"
        end = " nor DER, nor a PKCS#12 of the key's password" if der else ""
        raise ConfigError(f"{place}: no usable {forms} ({_CERTIFICATE}){end}", error_code="IDS-115") from None


def _certificate(text: str, password: str | None) -> x509.Certificate:
    raw = text.encode() if _CERTIFICATE in text else _decode(text)
    if _CERTIFICATE.encode() in raw:
        return x509.load_pem_x509_certificate(raw)
    if not _PKCS12.match(raw):
        return x509.load_der_x509_certificate(raw)
    _, found, _ = load_key_and_certificates(raw, password.encode() if password else None)
    if found is None:
        raise ValueError("a PKCS#12 without the key's certificate")
    return found


def belongs(certificate: x509.Certificate, key: PrivateKey) -> bool:
    """Return whether `certificate` belongs to `key`."""
    return certificate.public_key() == key.public_key()


def thumbprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of the certificate's DER as base64url without padding (`x5t#S256`)."""
    return base64.urlsafe_b64encode(certificate.fingerprint(SHA256())).rstrip(b"=").decode()


def _load(text: str, password: bytes | None) -> PrivateKeyTypes:
    if text.lstrip().startswith("{"):
        return _of_jwk(text)
    match = _PEM.search(text)
    if match is None and "-----BEGIN PUBLIC KEY-----" in text:
        raise PublicKey
    if match is None:
        return _of_bytes(_decode(text), password)
    if match[1].startswith("OPENSSH"):
        raise OpenSshKey(match[2])
    label, body = match[1], match[2]
    if "Proc-Type" in body:  # the headers of a legacy encrypted PEM need the original lines
        return load_pem_private_key(match[0].encode(), password)
    lines = "\n".join(re.findall(r".{1,64}", re.sub(r"\s", "", body)))
    return load_pem_private_key(f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n".encode(), password)


def _of_bytes(raw: bytes, password: bytes | None) -> PrivateKeyTypes:
    if b"-----BEGIN " in raw or raw.lstrip().startswith(b"{"):
        return _load(raw.decode("ascii"), password)
    try:
        return load_der_private_key(raw, password)
    except (ValueError, UnsupportedAlgorithm) as error:
        try:
            key, _, _ = load_key_and_certificates(raw, password)
        except ValueError:
            if password is None and _PKCS12.match(raw):
                raise TypeError("an encrypted PKCS#12") from None
            raise error from None
        if key is None:
            raise ValueError("PKCS#12 without a key") from None
        return key


def _of_jwk(text: str) -> PrivateKeyTypes:
    """Return the private key of a JWK, or of the first private key in a JWK set."""
    import jwt

    value = json.loads(text)
    keys = value["keys"] if isinstance(value, dict) and value.get("keys") else [value]
    found = next((item for item in keys if isinstance(item, dict) and "d" in item), keys[0])
    try:
        key: PrivateKeyTypes = jwt.PyJWK(found).key
    except (jwt.PyJWTError, KeyError, AttributeError):
        raise ValueError("not a JWK") from None
    if "d" not in found and found["kty"] != "oct":
        raise PublicKey
    return key


def _decode(text: str) -> bytes:
    """Return the decoded base64 of `text`, in either alphabet (RFC 4648 sections 4 and 5), with or without padding."""
    plain = re.sub(r"\s", "", text).rstrip("=").translate({45: "+", 95: "/"})
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except binascii.Error:
        raise ValueError("neither PEM nor base64") from None


def _reason(error: Exception, password: str | None) -> Reason:
    if isinstance(error, TypeError) and password is None:
        return Reason("it is encrypted", "name its password with privateKeyPasswordEnvVarName")
    if isinstance(error, TypeError):
        return Reason("a password is configured, but the key is not encrypted")
    if password is not None:
        return Reason("the password is wrong, or the key damaged")
    return Reason("damaged, or not a private key")
