"""Private keys in JSON: a JWK, a JWK set or list (RFC 7517), or a provider's file with a PEM in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

SIGNING = frozenset(
    ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "ES256K", "EdDSA", "Ed25519")
)
"""The values of `alg` of a key that signs. Others encrypt, as RSA-OAEP and ECDH-ES do."""

_PEM_IDS = ("keyId", "private_key_id", "kid")
"""The id beside a PEM, in the files of Zitadel and Google."""


class NoSuchKey(ValueError):
    """A JWK set with several private keys, none of which has the configured id."""


class NotForSigning(ValueError):
    """A JWK whose `use`, `key_ops` or `alg` is that of a key for encryption or verification."""


def chosen(text: str, key_id: str | None) -> Mapping[str, Any]:
    """
    Return the private key of a JWK, or one of a JWK set that signs: the one with `key_id`, else the first.

    A single key may have another id, because a provider gives each registered key an id of its own. Without a private
    key, the first key is returned. For a file with a PEM, the whole object is returned. Raises ValueError.
    """
    value = json.loads(text, strict=False)  # the line breaks of a PEM in it were escaped
    keys = value if isinstance(value, list) else value.get("keys") or [value]
    if not isinstance(keys, list) or not isinstance(keys[0], dict):
        raise ValueError("not a JWK")
    private = [item for item in keys if isinstance(item, dict) and "d" in item]
    signing = [item for item in private if _signs(item)]
    if private and not signing:
        raise NotForSigning
    found = next((item for item in signing if key_id is not None and item.get("kid") == key_id), None)
    if found is None:
        if key_id is not None and len(signing) > 1:
            raise NoSuchKey
        found = signing[0] if signing else keys[0]
    return found


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
