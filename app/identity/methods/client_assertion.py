"""client_assertion: a token of another issuer as the client's proof (RFC 7523 2.2), so that no secret is stored.

Examples are Kubernetes' projected service account tokens, SPIFFE's JWT-SVIDs, and the job tokens of GitHub and GitLab.
Keycloak calls this method federated client authentication, and Entra calls it a federated identity credential.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from msgspec import Meta

from ...core.base import OtherFile
from ...core.checks import Check, check, key_paths
from ...core.record import Record
from ...core.values import Secret
from ...system import secrets
from ..client_auth import Proof, jwt_bearer
from ..context import TokenSource
from ..foreign_token import ForeignToken
from .method import ClientFacts, ClientParts, Method


class ForeignAssertion(Record, frozen=True):
    """The token of another issuer, which must be valid to be sent."""

    token: ForeignToken

    async def prove(self, endpoint: str) -> Proof:
        return jwt_bearer((await self.token.token()).value)


class OAuthClientAssertion(Method, tag_field="method", tag="client_assertion", frozen=True, kw_only=True):
    """A token of another issuer that the provider trusts, such as a projected service account token."""

    token_file: Annotated[
        OtherFile | None,
        Meta(description="File that holds the token, read at every token request. White space is trimmed."),
    ] = None
    token_env_var_name: Annotated[
        str | None, Meta(description="Environment variable that holds the token, such as a CI job's.")
    ] = None

    def checks(self, place: str, facts: ClientFacts) -> Iterator[Check]:
        yield check(self.token_reader, place, {}, needs=self._keys(place))

    def token_checks(self, place: str, environ: Mapping[str, str]) -> Iterator[Check]:
        yield check(lambda: self.token_reader(place, environ)(), needs=self._keys(place))

    def _keys(self, place: str) -> tuple[str, ...]:
        return key_paths(place, self.key("token_env_var_name"), self.key("token_file"))

    def token_reader(self, place: str, environ: Mapping[str, str]) -> Secret:
        """Return the reader of the token. Raises ConfigError unless exactly one key is set."""
        return secrets.one_of(
            environ,
            name=self.token_env_var_name,
            path=self.token_file,
            place=place,
            keys=(self.key("token_env_var_name"), self.key("token_file")),
            private=False,
        )

    def build(self, parts: ClientParts) -> TokenSource:
        context = parts.context
        read = self.token_reader(parts.place, context.environ)
        token = ForeignToken(read, parts.place, context.now, context.is_synchronised, context.disk)
        return parts.token_endpoint_source(ForeignAssertion(token))
