"""CLIENT_SECRET_POST, client_secret_post: the client secret as a form field (RFC 6749 2.3.1)."""

from __future__ import annotations

from msgspec import field

from ...core.record import Record
from ...core.values import Secret
from ...system.disk import Disk
from ...system.secrets import Rotating, read
from ..client_auth import Proof
from ..context import TokenSource
from .keys import ClientSecretMethod
from .method import ClientParts, DeployEnvironment, IdentityType


class ClientSecretPost(Record, frozen=True):
    """The secret as a form field."""

    HIDDEN = frozenset({"disk"})

    secret: Secret
    disk: Disk = field(default_factory=Disk)

    async def prove(self, endpoint: str) -> Proof:
        return Proof(fields={"client_secret": await read(self.secret, self.disk)})


class IdaasClientSecretPost(
    ClientSecretMethod, tag_field="authnMethod", tag="CLIENT_SECRET_POST", frozen=True, kw_only=True
):
    """The client secret in the form of the token request."""

    identity_type: IdentityType = "CLIENT"
    client_deploy_environment: DeployEnvironment = None

    def build(self, parts: ClientParts) -> TokenSource:
        return build(self, parts)


class OAuthClientSecretPost(
    ClientSecretMethod, tag_field="method", tag="client_secret_post", frozen=True, kw_only=True
):
    """The client secret in the form of the token request."""

    def build(self, parts: ClientParts) -> TokenSource:
        return build(self, parts)


def build(method: ClientSecretMethod, parts: ClientParts) -> TokenSource:
    """Return the token source of a client that sends its secret in the form."""
    secret = Rotating(method.secret(parts.place, parts.context.environ))
    return parts.token_endpoint_source(ClientSecretPost(secret, parts.context.disk), secret)
