"""Signing keys of an emulated issuer. The current key signs; the JWKS publishes the current and the previous key."""

import base64
import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm


class SigningKeys:
    """
    Signs tokens, and publishes the keys that verify them.

    A key is generated on first use, which takes some 100 ms. A test suite can pass `signing_key` to save that time.
    """

    def __init__(self, signing_key: RSAPrivateKey | None = None) -> None:
        if signing_key is not None:
            self._current = signing_key
        self._previous: RSAPrivateKey | None = None

    @cached_property
    def _current(self) -> RSAPrivateKey:
        return _new_key()

    @cached_property
    def _unpublished(self) -> RSAPrivateKey:
        """A key that is in no JWKS, like one that was retired."""
        return _new_key()

    def sign(self, claims: Mapping[str, Any], *, with_retired_key: bool = False) -> str:
        """Return a signed JWT with `claims`; `with_retired_key` signs with a key that is not in the JWKS."""
        key = self._unpublished if with_retired_key else self._current
        return jwt.encode(dict(claims), key, algorithm="RS256", headers={"kid": key_id(key.public_key())})

    def rotate(self, *, retire: bool = False) -> None:
        """
        Replace the signing key.

        The previous key stays published until the next rotation, so that tokens signed with it are still accepted.
        With `retire`, it leaves the JWKS at once.
        """
        self._previous = None if retire else self._current
        self._current = _new_key()

    @property
    def published(self) -> dict[str, RSAPublicKey]:
        """The public keys by key id, newest first."""
        keys = (key.public_key() for key in (self._current, self._previous) if key is not None)
        return {key_id(key): key for key in keys}

    def jwks(self) -> dict[str, Any]:
        """Return the JWK set of the published keys."""
        return {"keys": [_jwk(kid, key) for kid, key in self.published.items()]}


def key_id(key: RSAPublicKey) -> str:
    """Return a `kid` derived from the key alone: the start of its SHA-256 digest in base64url."""
    digest = hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    return base64.urlsafe_b64encode(digest[:18]).decode()


def _jwk(kid: str, key: RSAPublicKey) -> dict[str, Any]:
    jwk = RSAAlgorithm.to_jwk(key, as_dict=True)
    return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": jwk["n"], "e": jwk["e"]}


def _new_key() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)
