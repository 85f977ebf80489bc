"""Loads private keys in all common forms, for signatures and for TLS.

Each official SDK fails on some of these forms. A key that one tool wrote must work here without a further tool.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key
from cryptography.hazmat.primitives.serialization.pkcs12 import load_key_and_certificates

from ...core.errors import ConfigError, Reason
from . import encodings, key_derivation
from .key_derivation import TooManyRounds

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey

_PRIVATE_KEY = re.compile(r"-----BEGIN ((?:RSA |EC |DSA |ENCRYPTED |OPENSSH )?PRIVATE KEY)-----")
"""The beginning of a block. It has few labels, so that a text of beginnings without ends is read in linear time."""


class OpenSshKey(ValueError):
    """A key in OpenSSH's own format, which no OAuth tool writes. `command`: the command that converts a copy of it."""

    def __init__(self, body: str) -> None:
        super().__init__()
        self.command = _OPENSSH_ED25519 if b"ssh-ed25519" in encodings.decode(body) else _OPENSSH


_OPENSSH = "ssh-keygen -p -m PKCS8 -f KEY_FILE"

_OPENSSH_ED25519 = (
    "python3 -c 'import sys; from cryptography.hazmat.primitives.serialization import *; "
    'print(load_ssh_private_key(open(sys.argv[1], "rb").read(), None)'
    '.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(), end="")\' KEY_FILE '
    "(it needs Python's cryptography, and no passphrase: ssh-keygen -p -f KEY_FILE removes it)"
)
"""The command that converts an Ed25519 key. ssh-keygen cannot: with any value of `-m`, OpenSSH 9.2 exits with 0 and
keeps the OpenSSH format."""


class PublicKey(ValueError):
    """A text with the public half of a key, instead of the private key."""


class NoSuchKey(ValueError):
    """A JWK set with several private keys, none of which has the configured id."""


def load_private_key(
    text: str, password: str | None, place: str, *, key_id: str | None = None, needless_password: bool = False
) -> PrivateKey:
    """Return the key that `load_any_key` returns, where it can sign an assertion. Raises ConfigError."""
    key = load_any_key(text, password, place, key_id=key_id, needless_password=needless_password)
    if not isinstance(key, PrivateKey):
        raise ConfigError(f"{place}: neither an RSA, nor an EC, nor an Ed25519 key", error_code="IDS-115")
    return key


def load_any_key(
    text: str, password: str | None, place: str, *, key_id: str | None = None, needless_password: bool = False
) -> PrivateKeyTypes:
    """
    Return the key in `text`: PKCS#8 (also encrypted), PKCS#1 or SEC1 as PEM; a JWK; or base64 of a PEM, JWK, DER or
    PKCS#12.

    The line breaks of a PEM may have become spaces or the two characters `\\n`. Errors name the key by `place`, and
    never quote the text. `key_id`: which key of a JWK set. `needless_password`: a password for a key that is not
    encrypted is no error.
    """
    secret = password.encode() if password else None
    plain = encodings.plain(text)
    try:
        try:
            return _load(plain, secret, key_id)
        except TypeError:
            if secret is None or not needless_password:
                raise
            return _load(plain, None, key_id)
    except OpenSshKey as error:
        raise ConfigError(
            f"{place}: a key in OpenSSH's own format",
            cure=f"convert a copy with: {error.command}",
            error_code="IDS-115",
        ) from None
    except PublicKey:
        raise ConfigError(f"{place}: a public key", cure="name the private key", error_code="IDS-115") from None
    except NoSuchKey:
        raise ConfigError(
            f"{place}: several private keys, and none has the kid of keyId",
            cure="write the kid of one of the keys into keyId",
            error_code="IDS-115",
        ) from None
    except TooManyRounds as error:
        raise error.at(place) from None
    except (ValueError, TypeError, KeyError, IndexError, RecursionError, UnsupportedAlgorithm) as error:
        reason = _reason(error, password)
        raise ConfigError(reason.at(f"{place}: no usable private key"), error_code="IDS-115") from None


def _load(text: str, password: bytes | None, key_id: str | None) -> PrivateKeyTypes:
    if text.lstrip().startswith("{"):
        return _of_jwk(text, key_id)
    label, body = next(encodings.blocks(_PRIVATE_KEY, text), ("", ""))
    if not label and "-----BEGIN PUBLIC KEY-----" in text:
        raise PublicKey
    if not label:
        return _of_bytes(encodings.decode(text), password, key_id)
    if label.startswith("OPENSSH"):
        raise OpenSshKey(body)
    if "Proc-Type" in body:  # the headers of a legacy encrypted PEM need the original lines
        return load_pem_private_key(f"-----BEGIN {label}-----{body}-----END {label}-----".encode(), password)
    if label.startswith("ENCRYPTED"):
        return key_derivation.once(load_der_private_key, encodings.decode(body), password)
    return load_pem_private_key(encodings.block(label, body).encode(), password)


def _of_bytes(raw: bytes, password: bytes | None, key_id: str | None) -> PrivateKeyTypes:
    if b"-----BEGIN " in raw or raw.lstrip().startswith(b"{"):
        return _load(raw.decode("ascii"), password, key_id)
    if not encodings.PKCS12.match(raw):
        return key_derivation.once(load_der_private_key, raw, password)
    try:
        key, _, _ = key_derivation.once(load_key_and_certificates, raw, password)
    except ValueError:
        if password is None:
            raise TypeError("an encrypted PKCS#12") from None
        raise
    if key is None:
        raise ValueError("PKCS#12 without a key")
    return key


def _of_jwk(text: str, key_id: str | None) -> PrivateKeyTypes:
    """
    Return the private key of a JWK, or one of a JWK set: the one with `key_id`, else the first.

    A single key may have another id: the provider gives each key that is registered an id of its own.
    """
    import jwt

    value = json.loads(text)
    keys = value["keys"] if isinstance(value, dict) and value.get("keys") else [value]
    if not isinstance(keys, list) or not isinstance(keys[0], dict):
        raise ValueError("not a JWK")
    private = [item for item in keys if isinstance(item, dict) and "d" in item]
    found = next((item for item in private if key_id is not None and item.get("kid") == key_id), None)
    if found is None:
        if key_id is not None and len(private) > 1:
            raise NoSuchKey
        found = private[0] if private else keys[0]
    try:
        key: PrivateKeyTypes = jwt.PyJWK(found).key
    except (jwt.PyJWTError, KeyError, AttributeError):
        raise ValueError("not a JWK") from None
    if "d" not in found and found["kty"] != "oct":
        raise PublicKey
    return key


def _reason(error: Exception, password: str | None) -> Reason:
    if isinstance(error, TypeError) and password is None:
        return Reason("it is encrypted", "name its password with privateKeyPasswordEnvVarName")
    if isinstance(error, TypeError):
        return Reason("a password is configured, but the key is not encrypted")
    if password is not None:
        return Reason("the password is wrong, or the key damaged")
    return Reason("damaged, or not a private key")
