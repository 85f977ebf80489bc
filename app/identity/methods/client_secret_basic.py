"""CLIENT_SECRET_BASIC, client_secret_basic: the client secret in the Authorization header (RFC 6749 2.3.1)."""

from __future__ import annotations

import base64
from urllib.parse import quote_plus

from msgspec import field

from ...core.record import Record
from ...core.values import Secret
from ...system.disk import Disk
from ...system.secrets import Rotating, read
from ..client_auth import Proof
from ..context import TokenSource
from .keys import ClientSecretMethod
from .method import ClientParts, DeployEnvironment, IdentityType


class ClientSecretBasic(Record, frozen=True):
    """The secret in the Authorization header. It is form-encoded first (RFC 6749 2.3.1), except for IDaaS."""

    HIDDEN = frozenset({"disk"})

    client_id: str
    secret: Secret
    form_encoded: bool
    disk: Disk = field(default_factory=Disk)

    async def prove(self, endpoint: str) -> Proof:
        encode = quote_plus if self.form_encoded else str
        secret = await read(self.secret, self.disk)
        pair = base64.b64encode(f"{encode(self.client_id)}:{encode(secret)}".encode()).decode()
        # RFC 6749 2.3: a request must use only one method of authentication. Okta counts a client_id in the form as a
        # second method.
        return Proof(headers={"Authorization": f"Basic {pair}"}, names_client=self.form_encoded)


class IdaasClientSecretBasic(
    ClientSecretMethod, tag_field="authnMethod", tag="CLIENT_SECRET_BASIC", frozen=True, kw_only=True
):
    """The client secret in the Authorization header, not form-encoded, as IDaaS reads it."""

    identity_type: IdentityType = "CLIENT"
    client_deploy_environment: DeployEnvironment = None

    def build(self, parts: ClientParts) -> TokenSource:
        return build(self, parts, form_encoded=False)


class OAuthClientSecretBasic(
    ClientSecretMethod, tag_field="method", tag="client_secret_basic", frozen=True, kw_only=True
):
    """The client secret in the Authorization header, form-encoded."""

    def build(self, parts: ClientParts) -> TokenSource:
        return build(self, parts, form_encoded=True)


def build(method: ClientSecretMethod, parts: ClientParts, *, form_encoded: bool) -> TokenSource:
    """Return the token source of a client that sends its secret in the header."""
    secret = Rotating(method.secret(parts.place, parts.context.environ))
    auth = ClientSecretBasic(parts.facts.client_id, secret, form_encoded, parts.context.disk)
    return parts.token_endpoint_source(auth, secret)
