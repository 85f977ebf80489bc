"""How a client proves itself to a token endpoint: one small frozen object per method (RFC 6749 2.3.1, RFC 7523 2.2).

A proof is made anew for every request: secrets are read then, and an assertion is used once.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote_plus

from ..core.model import Now, Secret, Unreachable

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
PKCS7_BEARER = "urn:cloud:idaas:params:oauth:client-assertion-type:pkcs7-bearer"
ID_TOKEN_BEARER = "urn:cloud:idaas:params:oauth:client-assertion-type:id-token-bearer"  # noqa: S105 - a name
X509_JWT_BEARER = "urn:cloud:idaas:params:oauth:client-assertion-type:x509-jwt-bearer"

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
    """The secret in the Authorization header; form-encoded first (RFC 6749 2.3.1), except for IDaaS."""

    client_id: str
    secret: Secret
    form_encoded: bool

    async def prove(self, endpoint: str) -> Proof:
        encode = quote_plus if self.form_encoded else str
        pair = base64.b64encode(f"{encode(self.client_id)}:{encode(self.secret())}".encode()).decode()
        return Proof(headers={"Authorization": f"Basic {pair}"})


@dataclass(frozen=True, slots=True)
class ClientSecretJwt:
    """An assertion signed with the secret, HS256: the secret itself never travels."""

    client_id: str
    secret: Secret
    now: Now
    new_id: Callable[[], str]
    audience: str | None = None
    """None: the URL posted to."""

    async def prove(self, endpoint: str) -> Proof:
        claims = assertion_claims(self.client_id, self.audience or endpoint, now=self.now(), jti=self.new_id())
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
    audience: str | None = None
    """None: the URL posted to."""

    async def prove(self, endpoint: str) -> Proof:
        return _assertion(await self.assertion(endpoint))

    async def assertion(self, endpoint: str) -> str:
        """The signed assertion. Raises ConfigError."""
        claims = assertion_claims(self.client_id, self.audience or endpoint, now=self.now(), jti=self.new_id())
        return await asyncio.to_thread(self._sign, claims)

    def _sign(self, claims: Mapping[str, Any]) -> str:
        # Here, not above: cryptography is 8 MiB, and profiles with a plain secret never need it.
        from . import private_key

        key = private_key.load_private_key(self.key(), self.password() if self.password else None, self.place)
        if self.algorithm is not None:
            private_key.check_algorithm(self.algorithm, key, self.place)
        return sign(claims, key, self.algorithm or private_key.algorithm_for(key, self.place), self.key_id)


@dataclass(frozen=True, slots=True)
class Federated:
    """Somebody else's word for us: a document of the machine (PKCS7) or a token of another issuer (OIDC)."""

    credential_name: str
    assertion_type: str
    assertion: Callable[[], Awaitable[str]]

    async def prove(self, endpoint: str) -> Proof:
        return Proof(fields=_federated(self.credential_name, self.assertion_type, await self.assertion()))


@dataclass(frozen=True, slots=True)
class Pca:
    """An assertion signed with the key of an X.509 certificate, which travels with it as PEM text."""

    credential_name: str
    jwt: PrivateKeyJwt
    certificate: Secret
    chain: Secret
    place: str
    ends: Callable[[float], None]
    """Told when the certificate's life ends, at every proof."""

    async def prove(self, endpoint: str) -> Proof:
        leaf = await asyncio.to_thread(self._leaf)
        fields = _federated(self.credential_name, X509_JWT_BEARER, await self.jwt.assertion(endpoint))
        return Proof(fields={**fields, "client_x509": leaf, "client_x509_chain": self.chain()})

    def _leaf(self) -> str:
        from . import private_key

        text = self.certificate()
        key = private_key.load_private_key(
            self.jwt.key(), self.jwt.password() if self.jwt.password else None, self.place
        )
        leaf = private_key.load_certificate(text, self.place)
        if not private_key.belongs(leaf, key):
            # They are two files: for a moment of every rotation one is new and the other old.
            raise Unreachable(f"{self.place}: the private key is not the certificate's; is one being replaced?")
        self.ends(leaf.not_valid_after_utc.timestamp())
        return text


@dataclass(frozen=True, slots=True)
class TlsClientAuth:
    """The certificate of the TLS connection itself (RFC 8705 2.1): nothing is left to say in the request."""

    async def prove(self, endpoint: str) -> Proof:
        return Proof()


def _federated(credential_name: str, assertion_type: str, assertion: str) -> dict[str, str]:
    return {
        "application_federated_credential_name": credential_name,
        "client_assertion_type": assertion_type,
        "client_assertion": assertion,
    }


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
