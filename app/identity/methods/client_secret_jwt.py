"""CLIENT_SECRET_JWT, client_secret_jwt: an assertion signed with the client secret, HS256 (RFC 7523 2.2)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from msgspec import field

from ...core.checks import Check
from ...core.record import Record
from ...core.values import Now, Secret
from ...system.disk import Disk
from ...system.secrets import Rotating, read
from ..client_auth import IDAAS_STYLE, LONGEST_LIFE, AssertionStyle, Proof, assertion_claims, jwt_bearer, sign
from ..context import TokenSource
from .keys import ClientSecretMethod
from .method import ClientFacts, ClientParts, DeployEnvironment, IdentityType
from .private_key_jwt import AssertionAudience, AssertionLifetime, audience_checks, style_of


class ClientSecretJwt(Record, frozen=True):
    """An assertion signed with the secret. The secret itself is never sent."""

    HIDDEN = frozenset({"disk"})

    client_id: str
    secret: Secret
    now: Now
    new_id: Callable[[], str]
    style: AssertionStyle = IDAAS_STYLE
    disk: Disk = field(default_factory=Disk)

    async def prove(self, endpoint: str) -> Proof:
        claims = assertion_claims(self.client_id, endpoint, now=self.now(), jti=self.new_id(), style=self.style)
        secret = await read(self.secret, self.disk)
        return jwt_bearer(await asyncio.to_thread(sign, claims, secret.encode(), "HS256"), secret)


class IdaasClientSecretJwt(
    ClientSecretMethod, tag_field="authnMethod", tag="CLIENT_SECRET_JWT", frozen=True, kw_only=True
):
    """An assertion signed with the client secret."""

    identity_type: IdentityType = "CLIENT"
    client_deploy_environment: DeployEnvironment = None

    def build(self, parts: ClientParts) -> TokenSource:
        return build(self, parts, IDAAS_STYLE)


class OAuthClientSecretJwt(ClientSecretMethod, tag_field="method", tag="client_secret_jwt", frozen=True, kw_only=True):
    """An assertion signed with the client secret."""

    assertion_audience: AssertionAudience = "tokenEndpoint"
    assertion_lifetime_seconds: AssertionLifetime = LONGEST_LIFE

    def checks(self, place: str, facts: ClientFacts) -> Iterator[Check]:
        yield from super().checks(place, facts)
        yield from audience_checks(self.assertion_audience, facts)

    def build(self, parts: ClientParts) -> TokenSource:
        return build(self, parts, style_of(self.assertion_audience, self.assertion_lifetime_seconds, parts.facts))


def build(method: ClientSecretMethod, parts: ClientParts, style: AssertionStyle) -> TokenSource:
    """Return the token source of a client that signs assertions with its secret."""
    secret = Rotating(method.secret(parts.place, parts.context.environ))
    context = parts.context
    auth = ClientSecretJwt(parts.facts.client_id, secret, context.now, context.new_id, style, context.disk)
    return parts.token_endpoint_source(auth, secret)
