"""Tokens as an authorization server issues them."""

import uuid
from collections.abc import Callable
from typing import Any

from ..crypto.signing_keys import SigningKeys
from ..http.request import Asked


class Issuer:
    """Signs access tokens with one server's keys."""

    def __init__(self, keys: SigningKeys, random: Callable[[int], bytes]) -> None:
        self._keys = keys
        self._random = random

    def token(self, asked: Asked, issuer: str, subject: str, audience: str, **more: Any) -> dict[str, Any]:
        """`access_token`, `token_type`, `expires_in` and `expires_at`."""
        offset = asked.fault.expiration_offset
        lifetime = int(asked.world.token_seconds if offset is None else offset)
        expires_at = int(asked.at) + lifetime
        return {
            "access_token": self.signed(asked, issuer, subject, audience, expires_at, **more),
            "token_type": "Bearer",
            "expires_in": lifetime,
            "expires_at": expires_at,
        }

    def signed(self, asked: Asked, issuer: str, subject: str, audience: str, expires_at: int, **more: Any) -> str:
        """A JWT with these claims and whatever `more` says."""
        claims = {
            "iss": issuer,
            "sub": subject,
            "aud": audience,
            "iat": int(asked.at),
            "exp": expires_at,
            "jti": str(uuid.UUID(bytes=self._random(16), version=4)),
            **more,
        }
        return self._keys.sign(claims, stray=asked.fault.expired_key)
