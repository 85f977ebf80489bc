"""Issue tokens, as an authorization server does."""

import uuid
from collections.abc import Callable
from typing import Any

from ..crypto.signing_keys import SigningKeys
from ..http.request import Request


class TokenIssuer:
    """Issues tokens signed with one server's keys. A request's fault can change key and expiration."""

    def __init__(self, keys: SigningKeys, random: Callable[[int], bytes]) -> None:
        self._keys = keys
        self._random = random

    def token_response(
        self, request: Request, issuer: str, subject: str, audience: str, **claims: Any
    ) -> dict[str, Any]:
        """Return the members of a token response: `access_token`, `token_type`, `expires_in` and `expires_at`."""
        offset = request.fault.expiration_offset
        lifetime = int(request.world.token_seconds if offset is None else offset)
        expires_at = int(request.now) + lifetime
        server = request.world.resource_servers.get(audience)
        return {
            "access_token": self._random(32).hex()
            if server is not None and server.opaque
            else self.sign(request, issuer, subject, audience, expires_at, **claims),
            "token_type": "Bearer",
            "expires_in": lifetime,
            "expires_at": expires_at,
        }

    def sign(self, request: Request, issuer: str, subject: str, audience: str, expires_at: int, **claims: Any) -> str:
        """Return a JWT with the named claims, `iat`, a random `jti` and the additional `claims`."""
        payload = {
            "iss": issuer,
            "sub": subject,
            "aud": audience,
            "iat": int(request.now),
            "exp": expires_at,
            "jti": str(uuid.UUID(bytes=self._random(16), version=4)),
            **claims,
        }
        return self._keys.sign(payload, with_retired_key=request.fault.expired_key)
