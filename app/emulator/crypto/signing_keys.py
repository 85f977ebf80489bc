"""The emulated authorization server's signing keys: one signs, those published are in the JWKS."""

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
    Signs tokens and publishes what verifies them.

    A key is made when it is first needed, since that takes some 100 ms; hand one in to spare a test suite the
    wait.
    """

    def __init__(self, signing_key: RSAPrivateKey | None = None) -> None:
        if signing_key is not None:
            self._current = signing_key
        self._previous: RSAPrivateKey | None = None

    @cached_property
    def _current(self) -> RSAPrivateKey:
        return _new_key()

    @cached_property
    def _stray(self) -> RSAPrivateKey:
        return _new_key()

    def sign(self, claims: Mapping[str, Any], *, stray: bool = False) -> str:
        """A JWT over `claims`; with `stray`, by a key that the JWKS no longer holds."""
        key = self._stray if stray else self._current
        return jwt.encode(dict(claims), key, algorithm="RS256", headers={"kid": key_id(key.public_key())})

    def rotate(self, *, retire: bool = False) -> None:
        """
        Sign with a new key from now on.

        The previous one stays published, so tokens in flight remain good, until the next rotation; with
        `retire` it goes at once.
        """
        self._previous = None if retire else self._current
        self._current = _new_key()

    @property
    def published(self) -> dict[str, RSAPublicKey]:
        """Key id to public key, newest first."""
        keys = (key.public_key() for key in (self._current, self._previous) if key is not None)
        return {key_id(key): key for key in keys}

    def jwks(self) -> dict[str, Any]:
        """The JWK set, as the authorization server publishes it."""
        return {"keys": [_jwk(kid, key) for kid, key in self.published.items()]}


def key_id(key: RSAPublicKey) -> str:
    """A name that follows from the key alone."""
    digest = hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    return base64.urlsafe_b64encode(digest[:18]).decode()


def _jwk(kid: str, key: RSAPublicKey) -> dict[str, Any]:
    jwk = RSAAlgorithm.to_jwk(key, as_dict=True)
    return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": jwk["n"], "e": jwk["e"]}


def _new_key() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)
