"""
Compact JWS: parse a token and verify its signature.

PyJWT verifies the asymmetric signatures. The claims are left to the caller, because PyJWT compares them with the
machine's clock and the emulator has a clock of its own.
"""

import base64
import hashlib
import hmac
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt import InvalidKeyError, InvalidTokenError
from jwt.api_jws import PyJWS

VerificationKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

_RSA_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_EC_ALGORITHMS = {"secp256r1": ("ES256",), "secp384r1": ("ES384",), "secp521r1": ("ES512",)}


@dataclass(frozen=True, slots=True)
class Token:
    """A well-formed compact JWS. Nothing in it is verified."""

    text: str = field(repr=False)
    header: dict[str, Any]
    claims: dict[str, Any] = field(repr=False)

    @property
    def algorithm(self) -> str:
        """The header's `alg`, converted to text whatever its type."""
        return str(self.header.get("alg"))

    @property
    def audiences(self) -> tuple[str, ...]:
        """The `aud` claim, a string or an array, as a tuple. Items that are not strings are left out."""
        aud = self.claims.get("aud")
        return tuple(item for item in (aud if isinstance(aud, list) else [aud]) if isinstance(item, str))

    def number(self, claim: str) -> float:
        """Return a numeric claim, or nan if it is missing or no number: every comparison with nan is false."""
        value = self.claims.get(claim)
        return value if isinstance(value, int | float) else math.nan


def parse(text: str) -> Token:
    """Return the token in `text`. Raises ValueError unless it is three base64url parts, the first two JSON objects."""
    parts = text.split(".")
    if len(parts) != 3 or not all(parts):
        raise ValueError("a JWS has three parts")
    header, claims, _ = (_base64url_decode(part) for part in parts)
    return Token(text, _json_object(header), _json_object(claims))


def verify_hs256(token: Token, secret: str) -> bool:
    """Return whether the token is signed by HS256 with the UTF-8 bytes of `secret`."""
    signing_input, _, signature = token.text.rpartition(".")
    expected = hmac.digest(secret.encode(), signing_input.encode(), hashlib.sha256)
    return token.algorithm == "HS256" and hmac.compare_digest(expected, _base64url_decode(signature))


def verify_signature(token: Token, keys: Iterable[VerificationKey]) -> bool:
    """Return whether one of `keys` verifies the signature, by an algorithm that fits that key."""
    return any(_verify_with(token, key) for key in keys)


def _verify_with(token: Token, key: VerificationKey) -> bool:
    # The key decides which algorithms are allowed, never the token: otherwise HS256 with the public key as its
    # secret would pass.
    try:
        PyJWS().decode(token.text, key, algorithms=_algorithms(key))
    except (InvalidTokenError, InvalidKeyError):
        return False
    return True


def _algorithms(key: VerificationKey) -> tuple[str, ...]:
    if isinstance(key, rsa.RSAPublicKey):
        return _RSA_ALGORITHMS
    return ("EdDSA",) if isinstance(key, ed25519.Ed25519PublicKey) else _EC_ALGORITHMS.get(key.curve.name, ())


def _json_object(text: bytes) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def _base64url_decode(part: str) -> bytes:
    # b64decode with validate=True, because urlsafe_b64decode skips characters outside its alphabet.
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
