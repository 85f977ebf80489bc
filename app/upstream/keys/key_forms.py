"""Loads private keys in all common forms, for signatures and for TLS.

Each official SDK fails on some of these forms. A key that one tool wrote must work here without a further tool.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key
from cryptography.hazmat.primitives.serialization.pkcs12 import load_key_and_certificates

from ...core.errors import ConfigError, Reason
from ...core.record import Record
from . import encodings, key_derivation
from .jwk import NoFactors, check_factors, chosen, key_id_of, pem_in
from .key_derivation import TooManyRounds
from .other_keys import PUBLIC_KEY, NotTheKey, kind_of_bytes, kind_of_text

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey

_PRIVATE_KEY = re.compile(r"-----BEGIN ((?:RSA |EC |DSA |ENCRYPTED |OPENSSH )?PRIVATE KEY)-----")
"""The beginning of a block. It has few labels, so that a text of beginnings without ends is read in linear time."""

_OPENSSH = "ssh-keygen -p -m PKCS8 -f KEY_FILE"

_OPENSSH_ED25519 = (
    "python3 -c 'import sys; from cryptography.hazmat.primitives.serialization import *; "
    'print(load_ssh_private_key(open(sys.argv[1], "rb").read(), None)'
    '.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(), end="")\' KEY_FILE '
    "(it needs Python's cryptography, and no passphrase: ssh-keygen -p -f KEY_FILE removes it)"
)
"""The command that converts an Ed25519 key. ssh-keygen cannot: with any value of `-m`, OpenSSH 9.2 exits with 0 and
keeps the OpenSSH format."""


class Hints(Record, frozen=True):
    """
    What the form of a key says about its use.

    `algorithm`: the `alg` of a JWK. `key_id`: its `kid`, or the id in a provider's file. `pss`: the key is for
    RSASSA-PSS alone (RFC 4055 1.2).
    """

    algorithm: str | None = None
    key_id: str | None = None
    pss: bool = False


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
    except NotTheKey as error:
        raise ConfigError(error.reason.at(place), error_code="IDS-115") from None
    except (TooManyRounds, NoFactors) as error:
        raise error.at(place) from None
    except (ValueError, TypeError, KeyError, IndexError, RecursionError, UnsupportedAlgorithm) as error:
        reason = _reason(error, password)
        raise ConfigError(reason.at(f"{place}: no usable private key"), error_code="IDS-115") from None


def _load(text: str, password: bytes | None, key_id: str | None) -> PrivateKeyTypes:
    if _is_json(text):
        return _of_json(text, password, key_id)
    label, body = next(encodings.blocks(_PRIVATE_KEY, text), ("", ""))
    if not label and "-----BEGIN PUBLIC KEY-----" in text:
        raise NotTheKey(PUBLIC_KEY)
    if not label and (kind := kind_of_text(text)) is not None:
        raise NotTheKey(kind)
    if not label:
        return _of_bytes(encodings.decode(text), password, key_id)
    if label.startswith("OPENSSH"):
        raise NotTheKey(_openssh_key(body))
    if "Proc-Type" in body:  # the headers of a legacy encrypted PEM need the original lines
        return load_pem_private_key(f"-----BEGIN {label}-----{body}-----END {label}-----".encode(), password)
    if label.startswith("ENCRYPTED"):
        return key_derivation.once(load_der_private_key, encodings.decode(body), password)
    return load_pem_private_key(encodings.block(label, body).encode(), password)


def _openssh_key(body: str) -> Reason:
    """Return the reason for a key in a format that no OAuth tool writes, with the command that converts a copy."""
    command = _OPENSSH_ED25519 if b"ssh-ed25519" in encodings.decode(body) else _OPENSSH
    return Reason("a key in OpenSSH's own format", f"convert a copy with: {command}")


def _is_json(text: str) -> bool:
    return text.lstrip().startswith(("{", "["))


def _is_text(raw: bytes) -> bool:
    """Return whether the content decoded from base64 is a PEM or JSON."""
    return b"-----BEGIN " in raw or raw.lstrip().startswith((b"{", b"["))


def _of_bytes(raw: bytes, password: bytes | None, key_id: str | None) -> PrivateKeyTypes:
    if _is_text(raw):
        return _load(raw.decode("ascii"), password, key_id)
    if (kind := kind_of_bytes(raw)) is not None:
        raise NotTheKey(kind)
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


def _of_json(text: str, password: bytes | None, key_id: str | None) -> PrivateKeyTypes:
    """Return the key that `jwk.chosen` chooses."""
    import jwt

    found = chosen(text, key_id)
    if "kty" not in found and (pem := pem_in(found)) is not None:
        return _load(pem, password, key_id)
    check_factors(found)
    try:
        # PyJWT knows no `alg` of some keys that it can read.
        key: PrivateKeyTypes = jwt.PyJWK({name: value for name, value in found.items() if name != "alg"}).key
    except (jwt.PyJWTError, KeyError, AttributeError):
        raise ValueError("not a JWK") from None
    if "d" not in found and found["kty"] != "oct":
        raise NotTheKey(PUBLIC_KEY)
    return key


_PSS = bytes.fromhex("06092a864886f70d01010a")
"""The object identifier id-RSASSA-PSS in DER, which stands at the beginning of a PKCS#8."""


def hints(text: str, key_id: str | None) -> Hints:
    """Return the hints in the form of a key that `load_private_key` can load. Encrypted forms have no hints."""
    plain = encodings.plain(text)
    try:
        if _is_json(plain):
            found = chosen(plain, key_id)
            algorithm = found.get("alg")
            if not isinstance(algorithm, str):
                algorithm = None
            return Hints("EdDSA" if algorithm == "Ed25519" else algorithm, key_id_of(found))
        label, body = next(encodings.blocks(_PRIVATE_KEY, plain), ("", plain))
        if label.startswith(("ENCRYPTED", "OPENSSH")) or "Proc-Type" in body:
            return Hints()
        raw = encodings.decode(body)
        if not label and _is_text(raw):
            return hints(raw.decode("ascii"), key_id)
        return Hints(pss=_PSS in raw[:64])
    except ValueError:
        return Hints()


def _reason(error: Exception, password: str | None) -> Reason:
    if isinstance(error, TypeError) and password is None:
        return Reason("it is encrypted", "name its password with privateKeyPasswordEnvVarName")
    if isinstance(error, TypeError):
        return Reason("a password is configured, but the key is not encrypted")
    if password is not None:
        return Reason("the password is wrong, or the key damaged")
    return Reason("damaged, or not a private key")
