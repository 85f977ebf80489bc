"""Private keys in JSON: a JWK, a JWK set or list (RFC 7517), or a provider's file with a PEM in it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from ...core.errors import ConfigError, Reason
from .other_keys import NotTheKey

SIGNING = frozenset(
    ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "ES256K", "EdDSA", "Ed25519")
)
"""The values of `alg` of a key that signs. Others encrypt, as RSA-OAEP and ECDH-ES do."""

MOST_BITS = 4_096
"""The most bits of an RSA key without its prime factors. They are computed for each use of the key, by powers that hold
the interpreter's lock: some tenths of a second each for 4,096 bits, and about 50 times as long for 16,384."""

_MOST_BITS_OF_E = 64
"""RFC 8017 permits more, but no tool writes an exponent above 65,537. The time for a power grows with it."""

_PEM_IDS = ("keyId", "private_key_id", "kid")
"""The id beside a PEM, in the files of Zitadel and Google."""

_NO_SUCH_KEY = Reason(
    "several private keys, and none has the kid of keyId", "write the kid of one of the keys into keyId"
)

_NOT_FOR_SIGNING = Reason(
    "a JWK that is not for signatures, by its use, key_ops or alg", "name the client's key for signatures (use: sig)"
)


class NoFactors(ValueError):
    """A large RSA key without its prime factors, or one with numbers of unusual sizes."""

    def at(self, place: str) -> ConfigError:
        """Return the error for the key at `place`."""
        return ConfigError(
            f"{place}: a JWK of RSA without its prime factors, with more than {MOST_BITS} bits or an unusual e or d",
            cure="write the JWK with p, q, dp, dq and qi",
            error_code="IDS-115",
        )


def chosen(text: str, key_id: str | None) -> Mapping[str, Any]:
    """
    Return the private key of a JWK, or one of a JWK set that signs: the one with `key_id`, else the first.

    A single key may have another id, because a provider gives each registered key an id of its own. If no key
    is private, the first key is returned. For a JSON file with a PEM, the whole object is. Raises NotTheKey, and
    ValueError.
    """
    keys = _keys(text)
    private = [item for item in keys if isinstance(item, dict) and "d" in item]
    if not private:
        first: Mapping[str, Any] = keys[0]
        return first
    signing = [item for item in private if _signs(item)]
    if not signing:
        raise NotTheKey(_NOT_FOR_SIGNING)
    named = [item for item in signing if key_id is not None and item.get("kid") == key_id]
    if key_id is not None and not named and len(signing) > 1:
        raise NotTheKey(_NO_SUCH_KEY)
    return (named or signing)[0]


def _keys(text: str) -> list[Any]:
    """Return the keys of a JWK, a set or a list; the first one is an object. Raises ValueError."""
    value = json.loads(text, strict=False)  # the line breaks of a PEM in it were escaped
    keys = value if isinstance(value, list) else value.get("keys") or [value]
    if not isinstance(keys, list) or not isinstance(keys[0], dict):
        raise ValueError("not a JWK")
    return keys


def check_factors(members: Mapping[str, Any]) -> None:
    """Raise NoFactors for an RSA key without its prime factors that would hold up the process."""
    if members.get("kty") != "RSA" or "d" not in members or "p" in members:
        return
    n, e, d = (_bits(members.get(name)) for name in "ned")
    if n > MOST_BITS or e > _MOST_BITS_OF_E or d > n:
        raise NoFactors


def _bits(text: Any) -> int:
    """Return the length of a number in base64url. Raises ValueError."""
    if not isinstance(text, str):
        raise ValueError("not a number in base64url")
    return int.from_bytes(base64.urlsafe_b64decode(f"{text}==")).bit_length()


def pem_in(members: Mapping[str, Any]) -> str | None:
    """Return the PEM of a private key among the members of a provider's file, or None."""
    texts = (value for value in members.values() if isinstance(value, str))
    return next((text for text in texts if "-----BEGIN " in text and "PRIVATE KEY-----" in text), None)


def key_id_of(members: Mapping[str, Any]) -> str | None:
    """Return the id that the file gives its key, or None."""
    found = next(filter(None, map(members.get, _PEM_IDS if "kty" not in members else ("kid",))), None)
    return found if isinstance(found, str) else None


def _signs(key: Mapping[str, Any]) -> bool:
    """Return whether a key may sign, by RFC 7517 4.2, 4.3 and 4.4. Absent members allow everything."""
    operations = key.get("key_ops")
    return (
        key.get("use") in (None, "sig")
        and (not isinstance(operations, list) or "sign" in operations)
        and key.get("alg") in (None, *SIGNING)
        and key.get("crv") not in ("X25519", "X448")
    )
