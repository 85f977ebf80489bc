"""
Signed tokens, taken apart and checked, one question at a time.

PyJWT checks the asymmetric signatures. Claims are left to whoever asked: PyJWT would judge them by the
machine's clock, and everything here goes by the emulator's.
"""

import base64
import hashlib
import hmac
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt import InvalidKeyError, InvalidTokenError
from jwt.api_jws import PyJWS

VerifyKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

_RSA = ("RS256", "RS384", "RS512")
_EC = {"secp256r1": ("ES256",), "secp384r1": ("ES384",), "secp521r1": ("ES512",)}


@dataclass(frozen=True, slots=True)
class Token:
    """A compact JWS whose shape is right; nothing is verified yet."""

    text: str = field(repr=False)
    header: dict[str, Any]
    claims: dict[str, Any] = field(repr=False)

    @property
    def algorithm(self) -> str:
        """The header's `alg`, as text whatever it was."""
        return str(self.header.get("alg"))

    @property
    def audiences(self) -> tuple[str, ...]:
        """`aud`, which may be one or several; what is not text is left out."""
        aud = self.claims.get("aud")
        return tuple(item for item in (aud if isinstance(aud, list) else [aud]) if isinstance(item, str))

    def number(self, claim: str) -> float:
        """A claim's number, or nan: every comparison with that is false."""
        value = self.claims.get(claim)
        return value if isinstance(value, int | float) else math.nan


def parse(text: str) -> Token:
    """The token in `text`. Raises ValueError unless it is three parts of base64url, the first two JSON objects."""
    parts = text.split(".")
    if len(parts) != 3 or not all(parts):
        raise ValueError("a JWT has three parts")
    header, claims, _ = (_decoded(part) for part in parts)
    return Token(text, _object(header), _object(claims))


def signed_with_secret(token: Token, secret: str) -> bool:
    """Whether this is HS256 with the secret's UTF-8 bytes."""
    signed, _, signature = token.text.rpartition(".")
    expected = hmac.digest(secret.encode(), signed.encode(), hashlib.sha256)
    return token.algorithm == "HS256" and hmac.compare_digest(expected, _decoded(signature))


def signed_with_one_of(token: Token, keys: Iterable[VerifyKey]) -> bool:
    """Whether one of `keys` made the signature, with an algorithm that fits that key."""
    return any(_signed_with(token, key) for key in keys)


def _signed_with(token: Token, key: VerifyKey) -> bool:
    # The key says which algorithms may be, never the token: else HS256 with the public key as its secret
    # would pass.
    algorithms = _RSA if isinstance(key, rsa.RSAPublicKey) else _EC.get(key.curve.name, ())
    try:
        PyJWS().decode(token.text, key, algorithms=algorithms)
    except (InvalidTokenError, InvalidKeyError):
        return False
    return True


def _object(text: bytes) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def _decoded(part: str) -> bytes:
    # b64decode with validate, because urlsafe_b64decode skips what it does not know.
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
