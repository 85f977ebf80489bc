"""All kinds of identities: the union of their settings, and the functions that every kind has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..core import proxies
from ..core.base import READ_LATER
from ..core.checks import Check, check
from ..core.connection import Connection, HttpConfiguration
from . import command, idaas, oidc_client, token_file
from .command import CommandIdentity
from .context import Context, Reporter, TokenSource
from .idaas import IdaasIdentity
from .methods.method import Method
from .oidc_client import METHOD_KEY, OidcClientIdentity
from .token_file import TokenFileIdentity

Identity = IdaasIdentity | OidcClientIdentity | TokenFileIdentity | CommandIdentity


def parts(identity: Identity, place: str) -> Iterator[tuple[Identity, str]]:
    """Yield the identity, and the subject of its token exchange if there is one, each with its place."""
    yield identity, place
    if isinstance(identity, IdaasIdentity) and identity.token_exchange is not None:
        yield from parts(identity.token_exchange.subject, f"{place}.tokenExchange.subject")


def method_of(identity: Identity, place: str) -> tuple[Method, str] | None:
    """Return the authentication method of a client, with its place; None for an identity that is not a client."""
    match identity:
        case IdaasIdentity():
            method = identity.authn_configuration
            return (method, idaas.method_place(identity, place)) if method is not None else None
        case OidcClientIdentity():
            return identity.client_authentication, f"{place}.{METHOD_KEY}"
    return None


def checks(identity: Identity, place: str) -> Iterator[Check]:
    """Yield the checks of values that cannot work. Pure."""
    for part, where in parts(identity, place):
        match part:
            case IdaasIdentity():
                yield from idaas.checks(part, where)
            case OidcClientIdentity():
                yield from oidc_client.checks(part, where)
            case CommandIdentity():
                yield from command.checks(part, where)
            case TokenFileIdentity():
                yield from token_file.checks(part, where)
        connection = connection_of(part)
        if connection is not None:
            yield check(check_proxy, connection, f"{where}.connection")


def check_proxy(connection: Connection, place: str) -> None:
    """Raise ConfigError if the connection names a proxy that is not a valid proxy URL."""
    if connection.proxy not in (None, proxies.NO_PROXY):
        proxies.check_proxy(str(connection.proxy), f"{place}.proxy")


def read_checks(identity: Identity, place: str, environ: Mapping[str, str]) -> Iterator[Check]:
    """
    Yield the checks that the secrets, keys, certificates and executables that are named exist and fit.

    They raise NotThereYet for a file that another program may still write.

    Does not check the subject of a token exchange, which is an identity of its own (`parts`).
    """
    found = method_of(identity, place)
    if found is not None:
        method, method_place = found
        yield from method.read_checks(method_place, environ)
    if isinstance(identity, CommandIdentity):
        where = f"{place}.command[0]"
        yield check(command.check_executable, identity.command[0], where, needs=(where,))


def token_checks(identity: Identity, place: str, environ: Mapping[str, str]) -> Iterator[Check]:
    """Yield the checks that the token exists which the identity reads. They raise NotThereYet or ConfigError."""
    if isinstance(identity, TokenFileIdentity):
        yield from token_file.read_checks(identity, place, environ)
    found = method_of(identity, place)
    if found is not None:
        yield from found[0].token_checks(found[1], environ)


def implied_files(identity: Identity, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield path and FILE mark of each file that the identity needs and that no file key names."""
    for part, _ in parts(identity, ""):
        if isinstance(part, CommandIdentity):
            yield part.command[0], READ_LATER
        found = method_of(part, "")
        if found is not None:
            yield from found[0].implied_files(environ)


def own_url(identity: Identity, place: str) -> str | None:
    """Return the URL that the identity contacts, without its token exchange's subject; None if there is no URL."""
    if isinstance(identity, IdaasIdentity) and identity.authn_configuration is not None:
        return identity.authn_configuration.url(idaas.facts(identity, place)) or str(identity.token_endpoint)
    if isinstance(identity, OidcClientIdentity):
        return str(identity.token_endpoint or identity.issuer)
    return None


def metadata_endpoint(identity: Identity) -> str | None:
    """Return the URL of the ECS metadata service that the identity asks, or None."""
    found = method_of(identity, "")
    return found[0].metadata_endpoint() if found is not None else None


def connection_of(identity: Identity) -> Connection | None:
    """Return the settings of the connection to the identity's server; None for an identity without HTTP."""
    return identity.connection if isinstance(identity, IdaasIdentity | OidcClientIdentity) else None


def http_of(identity: Identity) -> HttpConfiguration | None:
    """Return the identity's httpConfiguration; None for an identity without HTTP."""
    return identity.http_configuration if isinstance(identity, IdaasIdentity | OidcClientIdentity) else None


def instance_of(identity: Identity) -> tuple[str | None, str | None]:
    """Return the IDaaS instance's id and its DeveloperAPI endpoint; None for what the identity does not have."""
    if not isinstance(identity, IdaasIdentity):
        return None, None
    return identity.idaas_instance_id, identity.developer_api_endpoint


def build(identity: Identity, place: str, context: Context, reporter: Reporter) -> TokenSource:
    """
    Return the source of the identity's token. `place`: the key path of the identity.

    Times that a server checks come from that server's clock; for an identity without a server, from `context`.
    """
    url = own_url(identity, place)
    context = context.at(url) if url is not None else context
    match identity:
        case TokenFileIdentity():
            return token_file.build(identity, place, context)
        case CommandIdentity():
            return command.build(identity, place, context)
        case OidcClientIdentity():
            return oidc_client.build(identity, place, context, reporter)
        case IdaasIdentity():
            exchange = identity.token_exchange
            subject = None
            if exchange is not None:
                subject = build(exchange.subject, f"{place}.tokenExchange.subject", context, reporter)
            return idaas.build(identity, place, context, reporter, subject)
