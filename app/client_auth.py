"""How a client proves itself to a token endpoint: one small frozen object per method (RFC 6749 2.3.1, RFC 7523 2.2).

A proof is made anew for every request: secrets are read then, and an assertion is used once.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from .model import Now, Secret

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

ASSERTION_SECONDS = 600
"""Life of an assertion, as the official SDKs choose it (IDaaS's CLI: 300)."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What a token request carries beside client_id, grant_type and scope."""

    fields: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class ClientAuth(Protocol):
    """Raises ConfigError where the secret or key is missing or unusable."""

    async def prove(self, endpoint: str) -> Proof: ...


@dataclass(frozen=True, slots=True)
class ClientSecretPost:
    """The secret as a form field."""

    secret: Secret

    async def prove(self, endpoint: str) -> Proof:
        return Proof(fields={"client_secret": self.secret()})


@dataclass(frozen=True, slots=True)
class ClientSecretBasic:
    """The secret in the Authorization header; not form-encoded first, because IDaaS does not decode."""

    client_id: str
    secret: Secret

    async def prove(self, endpoint: str) -> Proof:
        pair = base64.b64encode(f"{self.client_id}:{self.secret()}".encode()).decode()
        return Proof(headers={"Authorization": f"Basic {pair}"})


@dataclass(frozen=True, slots=True)
class ClientSecretJwt:
    """An assertion signed with the secret, HS256: the secret itself never travels."""

    client_id: str
    secret: Secret
    now: Now
    new_id: Callable[[], str]

    async def prove(self, endpoint: str) -> Proof:
        claims = assertion_claims(self.client_id, endpoint, now=self.now(), jti=self.new_id())
        return _assertion(await asyncio.to_thread(sign, claims, self.secret().encode(), "HS256", None))


@dataclass(frozen=True, slots=True)
class PrivateKeyJwt:
    """An assertion signed with a private key, whose public half is registered with the application."""

    client_id: str
    key: Secret
    password: Secret | None
    algorithm: str | None
    key_id: str | None
    place: str
    now: Now
    new_id: Callable[[], str]

    async def prove(self, endpoint: str) -> Proof:
        claims = assertion_claims(self.client_id, endpoint, now=self.now(), jti=self.new_id())
        return _assertion(await asyncio.to_thread(self._sign, claims))

    def _sign(self, claims: Mapping[str, Any]) -> str:
        # Here, not above: cryptography is 8 MiB, and profiles with a plain secret never need it.
        from . import keys

        key = keys.load_private_key(self.key(), self.password() if self.password else None, self.place)
        if self.algorithm is not None:
            keys.check_algorithm(self.algorithm, key, self.place)
        return sign(claims, key, self.algorithm or keys.algorithm_for(key, self.place), self.key_id)


def assertion_claims(client_id: str, endpoint: str, *, now: float, jti: str) -> dict[str, Any]:
    """RFC 7523 claims as IDaaS wants them: `aud` is the very URL posted to, not the issuer."""
    issued = int(now)
    return {
        "aud": endpoint,
        "sub": client_id,
        "iss": client_id,
        "jti": jti,
        "iat": issued,
        "exp": issued + ASSERTION_SECONDS,
    }


def sign(claims: Mapping[str, Any], key: Any, algorithm: str, key_id: str | None) -> str:
    """The compact JWS of `claims`; `kid` only where one is given. Slow once (it imports PyJWT): call it in a thread."""
    import warnings

    import jwt

    # IDaaS makes the secret, so its length is not ours to complain about at every refresh.
    warnings.simplefilter("ignore", jwt.InsecureKeyLengthWarning)
    return jwt.encode(dict(claims), key, algorithm, headers={"kid": key_id} if key_id else None, sort_headers=True)


def _assertion(value: str) -> Proof:
    return Proof(fields={"client_assertion_type": JWT_BEARER, "client_assertion": value})
