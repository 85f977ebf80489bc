"""PRIVATE_KEY_JWT, private_key_jwt: an assertion signed with a private key (RFC 7523 2.2)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from msgspec import Meta

from ...core.errors import ConfigError
from ...core.values import Now, Secret
from ...system.disk import Disk
from ...system.secrets import Rotating, read
from ..client_auth import Proof, assertion_claims, jwt_bearer, sign
from ..context import TokenSource
from .keys import PrivateKeyMethod
from .method import ClientFacts, ClientParts, DeployEnvironment, IdentityType

AssertionAudience = Annotated[
    Literal["tokenEndpoint", "issuer"],
    Meta(description="`aud` of the assertion, as the provider requires it."),
]


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
    """None: the URL that is posted to."""
    disk: Disk = field(default_factory=Disk, repr=False)

    async def prove(self, endpoint: str) -> Proof:
        return jwt_bearer(await self.assertion(endpoint))

    async def assertion(self, endpoint: str) -> str:
        """Return a signed assertion. Raises ConfigError where the key is missing or unusable."""
        claims = assertion_claims(self.client_id, self.audience or endpoint, now=self.now(), jti=self.new_id())
        return await asyncio.to_thread(self._sign, claims, await read(self.key, self.disk))

    def _sign(self, claims: Mapping[str, Any], text: str) -> str:
        # Here, not above: cryptography is 8 MiB, and profiles with a plain secret never need it.
        from .. import private_key

        key = private_key.load_private_key(text, self.password() if self.password else None, self.place)
        if self.algorithm is not None:
            private_key.check_algorithm(self.algorithm, key, self.place)
        return sign(claims, key, self.algorithm or private_key.algorithm_for(key, self.place), self.key_id)


class IdaasPrivateKeyJwt(PrivateKeyMethod, tag_field="authnMethod", tag="PRIVATE_KEY_JWT", frozen=True, kw_only=True):
    """An assertion signed with a private key."""

    identity_type: IdentityType = "CLIENT"
    client_deploy_environment: DeployEnvironment = None

    def build(self, parts: ClientParts) -> TokenSource:
        return build(self, parts, None)


class OAuthPrivateKeyJwt(PrivateKeyMethod, tag_field="method", tag="private_key_jwt", frozen=True, kw_only=True):
    """An assertion signed with a private key."""

    assertion_audience: AssertionAudience = "tokenEndpoint"

    def check(self, place: str, facts: ClientFacts) -> None:
        check_audience(self.assertion_audience, facts)

    def build(self, parts: ClientParts) -> TokenSource:
        return build(self, parts, audience_of(self.assertion_audience, parts.facts))


def build(method: PrivateKeyMethod, parts: ClientParts, audience: str | None) -> TokenSource:
    """Return the token source of a client that signs assertions with its private key."""
    key = Rotating(method.private_key(parts.place, parts.context.environ))
    return parts.token_endpoint_source(signer(method, parts, key, audience), key)


def signer(method: PrivateKeyMethod, parts: ClientParts, key: Secret, audience: str | None = None) -> PrivateKeyJwt:
    """Return what signs the assertions of the method's client with `key`."""
    return PrivateKeyJwt(
        parts.facts.client_id,
        key=key,
        password=method.password(parts.place, parts.context.environ),
        algorithm=method.algorithm,
        key_id=method.key_id,
        place=parts.place,
        now=parts.context.now,
        new_id=parts.context.new_id,
        audience=audience,
        disk=parts.context.disk,
    )


def check_audience(configured: str, facts: ClientFacts) -> None:
    """Raise ConfigError where the issuer is to be the audience and is not known."""
    if configured == "issuer" and not facts.issuer:
        raise ConfigError(f"{facts.place}.issuer: required where assertionAudience is issuer")


def audience_of(configured: str, facts: ClientFacts) -> str | None:
    """Return the audience of assertions; None for the URL that is posted to."""
    return facts.issuer if configured == "issuer" else None
