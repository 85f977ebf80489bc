"""`identity.type: oidcClient`: a client of any OpenID provider (Okta and the like), with client credentials."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated

from msgspec import Meta

from ..core import oauth_text, urls
from ..core.base import DEFAULT, SHARED_KEYS, Strict
from ..core.checks import Check, check, fails
from ..core.connection import Connection, HttpConfiguration
from ..core.errors import Mistake
from ..core.values import TokenUse
from ..system.secrets import Rotating
from .client_auth import ClientAuth
from .context import Context, Reporter, TokenSource
from .discovery import Discovery
from .methods import OAuthMethod, client_secret_basic, tls_client_auth
from .methods.method import ClientFacts, ClientParts
from .token_endpoint import ClientCredentials, TokenEndpoint, constant

METHOD_KEY = "clientAuthentication"


class OidcClientIdentity(Strict, tag_field="type", tag="oidcClient", frozen=True, kw_only=True):
    """A client of any OpenID provider (Okta and the like), with the client credentials grant."""

    issuer: Annotated[
        str | None,
        Meta(
            description="Issuer URL of the provider, whose discovery document names the token endpoint. Required "
            "without `tokenEndpoint`."
        ),
    ] = None
    token_endpoint: Annotated[
        str | None, Meta(description="URL of the token endpoint. With it, no discovery document is read.")
    ] = None
    client_id: Annotated[str, Meta(min_length=1, description="Id of the client.")]
    client_authentication: Annotated[
        OAuthMethod,
        Meta(
            description="How the client authenticates (RFC 6749 2.3, RFC 7523 2.2, RFC 8705 2.1).",
            extra={DEFAULT: "client_secret_basic", SHARED_KEYS: True},
        ),
    ] = client_secret_basic.OAuthClientSecretBasic()
    scope: Annotated[str | None, Meta(description="`scope` parameter. null: not sent.")] = None
    audience: Annotated[
        str | None, Meta(description="`audience` parameter, for providers that need one. null: not sent.")
    ] = None
    resource: Annotated[str | None, Meta(description="`resource` parameter (RFC 8707), a URI. null: not sent.")] = None
    token_use: Annotated[
        TokenUse, Meta(description="Which token of the response is presented to STS. It must be a JWT.")
    ] = "access_token"  # noqa: S105 - a name
    http_configuration: HttpConfiguration = HttpConfiguration()
    connection: Connection = Connection()


def facts(identity: OidcClientIdentity, place: str) -> ClientFacts:
    """Return the facts of the identity that the client's authentication method needs."""
    return ClientFacts(place, identity.client_id, identity.issuer, identity.connection)


def checks(identity: OidcClientIdentity, place: str) -> Iterator[Check]:
    """Yield the checks of values that cannot work. Pure."""
    if not identity.issuer and not identity.token_endpoint:
        cause = f"{place}.issuer: required, unless tokenEndpoint is set"
        yield fails(Mistake(cause, "IDS-106"), f"{place}.tokenEndpoint")
    if identity.issuer:
        yield check(urls.endpoint, identity.issuer, f"{place}.issuer")
    if identity.token_endpoint:
        yield check(urls.token_endpoint, identity.token_endpoint, f"{place}.tokenEndpoint")
    yield check(oauth_text.client_id, identity.client_id, f"{place}.{identity.key('client_id')}")
    if identity.scope:
        yield check(oauth_text.scope, identity.scope, f"{place}.scope")
    yield from identity.client_authentication.checks(f"{place}.{METHOD_KEY}", facts(identity, place))


def _nothing_to_renew() -> None:
    """Do nothing: a configured endpoint has no discovery document."""


def build(identity: OidcClientIdentity, place: str, context: Context, reporter: Reporter) -> TokenSource:
    """Return the source of the client's token."""
    http = context.connect(identity.connection, f"{place}.connection", identity.http_configuration)
    algorithms: Callable[[], Sequence[str]] = tuple
    failed = _nothing_to_renew
    if identity.token_endpoint:
        url = constant(identity.token_endpoint)
    else:
        mutual_tls = isinstance(identity.client_authentication, tls_client_auth.OAuthTlsClientAuth)
        discovery = Discovery(http, str(identity.issuer), mutual_tls=mutual_tls, now=context.now, warn=reporter.warn)
        url, algorithms, failed = discovery.token_endpoint, discovery.signing_algorithms, discovery.failed

    def token_endpoint_source(auth: ClientAuth, secret: Rotating | None = None) -> TokenSource:
        endpoint = TokenEndpoint(
            http, url, identity.client_id, auth, context.now, identity.token_use, secret, reporter.warn, failed
        )
        parameters = {"scope": identity.scope, "audience": identity.audience, "resource": identity.resource}
        return ClientCredentials(endpoint, {name: value for name, value in parameters.items() if value})

    parts = ClientParts(
        facts(identity, place), f"{place}.{METHOD_KEY}", context, reporter, http, token_endpoint_source, algorithms
    )
    return identity.client_authentication.build(parts)
