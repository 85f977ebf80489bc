"""`identity.type: idaas`: an M2M application of IDaaS, with the keys of the IDaaS SDK's client-config.json."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from ..core import arns, oauth_text, urls
from ..core.base import SHARED_KEYS, Expanded, Strict
from ..core.checks import Check, check, fails
from ..core.connection import Connection, HttpConfiguration
from ..core.errors import Mistake
from ..system.secrets import Rotating
from . import token_endpoint
from .client_auth import ClientAuth
from .command import CommandIdentity
from .context import Context, Reporter, TokenSource
from .methods import IdaasMethod
from .methods.method import ClientFacts, ClientParts
from .oidc_client import OidcClientIdentity
from .token_endpoint import ClientCredentials, TokenEndpoint, constant
from .token_file import TokenFileIdentity

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a name (RFC 8693 section 3)


class TokenExchange(Strict, frozen=True):
    """Token exchange (RFC 8693): IDaaS exchanges the token of another identity for the application's own."""

    subject: Annotated[
        IdaasIdentity | OidcClientIdentity | TokenFileIdentity | CommandIdentity,
        Meta(description="Identity whose token is exchanged. It must not have a `tokenExchange` itself."),
    ]
    subject_token_type: Annotated[str, Meta(description="Type of the subject's token.")] = ACCESS_TOKEN
    requested_token_type: Annotated[str | None, Meta(description="Type of the requested token. null: not sent.")] = (
        ACCESS_TOKEN
    )


class IdaasIdentity(Strict, tag_field="type", tag="idaas", frozen=True):
    """An M2M application of IDaaS: the keys of the IDaaS SDK's client-config.json, or the path of such a file."""

    client_config_path: Annotated[
        Expanded | None,
        Meta(
            description="The IDaaS SDK's own file, read as the SDK reads it. It replaces the keys below, except "
            "`tokenExchange` and `connection`. `serve` waits for a file that does not exist yet."
        ),
    ] = None
    idaas_instance_id: Annotated[
        str | None, Meta(description="Id of the IDaaS instance, `idaas_…`. Required without `clientConfigPath`.")
    ] = None
    client_id: Annotated[
        str | None, Meta(description="Id of the M2M application, `app_…`. Required without `clientConfigPath`.")
    ] = None
    issuer: Annotated[
        str | None,
        Meta(
            description="Compared with the token's `iss`; a difference is logged. Required without `clientConfigPath`."
        ),
    ] = None
    token_endpoint: Annotated[
        str | None,
        Meta(description="URL of the token endpoint, `https://…/token`. Required without `clientConfigPath`."),
    ] = None
    scope: Annotated[
        str | None,
        Meta(
            description="`<audience>|<value>`. Several are separated by spaces and have one audience. "
            "Required with the exchange `sts`; with `developerApi` the default is the API's own scope."
        ),
    ] = None
    open_api_endpoint: Annotated[
        str | None,
        Meta(description="Host of the EIAM OpenAPI, e.g. `eiam.cn-hangzhou.aliyuncs.com`. Required with PLUGIN."),
    ] = None
    developer_api_endpoint: Annotated[
        str | None,
        Meta(description="Host of the DeveloperAPI, where the exchange names neither an endpoint nor a region."),
    ] = None
    authn_configuration: Annotated[
        IdaasMethod | None,
        Meta(
            description="How the application authenticates to IDaaS. Required without `clientConfigPath`.",
            extra={SHARED_KEYS: True},
        ),
    ] = None
    http_configuration: HttpConfiguration = HttpConfiguration()
    token_exchange: TokenExchange | None = None
    connection: Connection = Connection()


def facts(identity: IdaasIdentity, place: str) -> ClientFacts:
    """Return the facts of the identity that the application's authentication method needs."""
    return ClientFacts(
        place,
        str(identity.client_id),
        identity.issuer,
        identity.connection,
        instance_id=identity.idaas_instance_id,
        scope=identity.scope,
        open_api_endpoint=identity.open_api_endpoint,
        exchanges_tokens=identity.token_exchange is not None,
    )


def method_place(identity: IdaasIdentity, place: str) -> str:
    """Return the key path of the identity's authentication method."""
    return f"{place}.{identity.key('authn_configuration')}"


def checks(identity: IdaasIdentity, place: str) -> Iterator[Check]:
    """Yield the checks of values that cannot work, its token exchange's subject aside. Pure."""
    for field in ("idaas_instance_id", "client_id", "issuer", "token_endpoint", "authn_configuration"):
        if not getattr(identity, field):
            yield fails(Mistake(f"{place}.{identity.key(field)}: required", "IDS-106"))
    if identity.client_id:
        yield check(oauth_text.client_id, identity.client_id, f"{place}.{identity.key('client_id')}")
    if identity.scope and oauth_text.wrong_in_scope(identity.scope):
        yield check(oauth_text.scope, identity.scope, f"{place}.scope")
    elif identity.scope:
        yield check(arns.audience_of, identity.scope, f"{place}.scope")
    else:
        cure = "write <audience>|<value>, such as api.example.com|.all"
        yield fails(Mistake(f"{place}.scope: required", "IDS-106", cure))
    if identity.issuer:
        yield check(urls.endpoint, identity.issuer, f"{place}.issuer")  # RAM's rules for an OIDC provider
    if identity.token_endpoint:
        yield check(urls.endpoint, identity.token_endpoint, f"{place}.tokenEndpoint")
    if identity.authn_configuration is not None:
        yield from identity.authn_configuration.checks(method_place(identity, place), facts(identity, place))
    subject = identity.token_exchange.subject if identity.token_exchange is not None else None
    if isinstance(subject, IdaasIdentity) and subject.token_exchange is not None:
        cause = f"{place}.tokenExchange.subject.tokenExchange: one exchange after another is not supported"
        yield fails(Mistake(cause, "IDS-113", "leave one out"))


def build(
    identity: IdaasIdentity, place: str, context: Context, reporter: Reporter, subject: TokenSource | None
) -> TokenSource:
    """Return the source of the application's token. `subject`: the source of the token to exchange, if any."""
    http = context.connect(identity.connection, f"{place}.connection", identity.http_configuration)
    parameters = {"scope": str(identity.scope)}

    def token_endpoint_source(auth: ClientAuth, secret: Rotating | None = None) -> TokenSource:
        endpoint = TokenEndpoint(
            http,
            constant(str(identity.token_endpoint)),
            str(identity.client_id),
            auth,
            context.now,
            secret=secret,
            warn=reporter.warn,
        )
        exchange = identity.token_exchange
        if exchange is None or subject is None:
            return ClientCredentials(endpoint, parameters)
        return token_endpoint.TokenExchange(
            endpoint, subject, exchange.subject_token_type, exchange.requested_token_type, parameters
        )

    method = identity.authn_configuration
    assert method is not None  # noqa: S101 - `checks` refused it otherwise; said again for the type checker
    parts = ClientParts(
        facts(identity, place), method_place(identity, place), context, reporter, http, token_endpoint_source
    )
    return method.build(parts)
