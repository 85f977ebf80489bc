"""The emulated IDaaS authorization server: token endpoint, JWKS, OIDC discovery."""

import uuid
from collections.abc import Callable
from typing import Any

from .answer import Answer, RefusedError, json_answer, request_id
from .asked import Asked
from .client_auth import authenticate
from .keys import SigningKeys
from .once import SeenOnce
from .scopes import granted

# RFC 6749 asks for 401 where client authentication failed and 400 for the rest.
_STATUS = {"invalid_client": 401, "server_error": 500, "temporarily_unavailable": 503, "slow_down": 429}


class Idaas:
    """Answers for one authorization server; what it is and whom it knows is in the world of each request."""

    def __init__(self, keys: SigningKeys, random: Callable[[int], bytes]) -> None:
        self._keys = keys
        self._random = random
        self._seen = SeenOnce()

    def token(self, asked: Asked) -> Answer:
        """A token for a client that proves itself. Raises `RefusedError`."""
        _check_form(asked)
        client_id = authenticate(asked, self._seen)
        if asked.form["grant_type"] != "client_credentials":
            raise RefusedError("unsupported_grant_type", "Only client_credentials is supported.")
        audience, values = granted(asked.form.get("scope", ""), client_id, asked.world)
        return self._issue(asked, client_id, audience, " ".join(values))

    def jwks(self, asked: Asked) -> Answer:
        """The public keys that verify tokens."""
        return json_answer(self._keys.jwks())

    def discovery(self, asked: Asked) -> Answer:
        """The OIDC discovery document."""
        issuer = asked.world.issuer
        document = {
            "issuer": issuer,
            "token_endpoint": f"{issuer}/token",
            "jwks_uri": f"{issuer}/jwks",
            "grant_types_supported": ["client_credentials"],
            "response_types_supported": ["token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": [
                *("client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"),
            ],
        }
        return json_answer(document)

    def refuse(self, asked: Asked, refused: RefusedError) -> Answer:
        """An OAuth error, in snake_case."""
        status = refused.status or _STATUS.get(refused.code, 400)
        document = {
            "error": refused.code,
            "error_description": refused.message,
            "request_id": request_id(self._random(16)),
        }
        return json_answer(document, status, refused.code)

    def _issue(self, asked: Asked, client_id: str, audience: str, scope: str) -> Answer:
        offset = asked.fault.expiration_offset
        issued_at, lifetime = int(asked.at), int(asked.world.token_seconds if offset is None else offset)
        claims: dict[str, Any] = {
            "iss": asked.world.issuer,
            "sub": client_id,
            "aud": audience,
            "iat": issued_at,
            "exp": issued_at + lifetime,
            "jti": str(uuid.UUID(bytes=self._random(16), version=4)),
            "client_id": client_id,
            "scope": scope,
        }
        document = {
            "access_token": self._keys.sign(claims, stray=asked.fault.expired_key),
            "token_type": "Bearer",
            "expires_in": lifetime,
            "expires_at": claims["exp"],
        }
        return json_answer(document)


def _check_form(asked: Asked) -> None:
    if asked.repeated:
        raise RefusedError("invalid_request", f"{min(asked.repeated)} is repeated.")
    if not asked.form:
        raise RefusedError("invalid_request", "The body must be a form (application/x-www-form-urlencoded).")
    if "grant_type" not in asked.form:
        raise RefusedError("invalid_request", "grant_type is missing.")
