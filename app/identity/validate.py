"""Whether the identity of a profile can work, and whether what it names is there. No network."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from ..core import addresses, arns
from ..core.base import Connection
from ..core.model import ConfigError
from . import secret_refs
from .settings import (
    AuthnConfiguration,
    CommandIdentity,
    HttpConfiguration,
    IdaasIdentity,
    Identity,
    Keys,
    OidcClientIdentity,
)

FEDERATED = frozenset({"PKCS7", "OIDC", "PCA"})
"""Methods that name one of the application's federated credentials."""

METADATA = frozenset({"PKCS7", "PLUGIN"})
"""Methods that may ask the ECS metadata service."""

PLUGIN = "alibabacloudPluginCredentialProvider"

_ENVIRONMENTS = {"PKCS7": "ALIBABA_CLOUD_ECS", "OIDC": "KUBERNETES"}
"""The one clientDeployEnvironment that each of these works in."""


def settings(identity: Identity, place: str) -> None:
    """Raises ConfigError at the first value that cannot work. Pure."""
    match identity:
        case IdaasIdentity():
            _idaas(identity, place)
        case OidcClientIdentity():
            _oidc_client(identity, place)
        case CommandIdentity():
            if not os.path.isabs(identity.command[0]):
                raise ConfigError(f"{place}.command[0]: {identity.command[0]!r} must be an absolute path")
    if isinstance(identity, IdaasIdentity | OidcClientIdentity) and identity.connection.proxy is not None:
        check_proxy(identity.connection, f"{place}.connection")


def check_proxy(connection: Connection, place: str) -> None:
    """Raises ConfigError unless the leg's proxy, if it names one, is one."""
    if connection.proxy not in (None, addresses.NO_PROXY):
        addresses.check_proxy(str(connection.proxy), f"{place}.proxy")


def named(identity: Identity, place: str, environ: Mapping[str, str]) -> None:
    """Raises ConfigError unless the secrets, keys and certificates that it names are there and fit."""
    match identity:
        case IdaasIdentity():
            _idaas_secrets(identity, place, environ)
            if identity.token_exchange is not None:
                named(identity.token_exchange.subject, f"{place}.tokenExchange.subject", environ)
        case OidcClientIdentity():
            _client_secrets(identity, f"{place}.clientAuthentication", environ)
        case CommandIdentity():
            _executable(identity.command[0], f"{place}.command[0]")


def urls(identity: Identity) -> Iterator[str]:
    """What it will talk to, as far as that is known beforehand."""
    if isinstance(identity, IdaasIdentity):
        plugin = _method(identity) == "PLUGIN"
        yield addresses.api_endpoint(str(identity.open_api_endpoint), "") if plugin else str(identity.token_endpoint)
        if identity.token_exchange is not None:
            yield from urls(identity.token_exchange.subject)
    elif isinstance(identity, OidcClientIdentity):
        yield str(identity.token_endpoint or identity.issuer)


def parts(identity: Identity, place: str) -> Iterator[tuple[Identity, str]]:
    """The identity and, where its token is exchanged, the subject's; each with its place."""
    yield identity, place
    if isinstance(identity, IdaasIdentity) and identity.token_exchange is not None:
        yield from parts(identity.token_exchange.subject, f"{place}.tokenExchange.subject")


def metadata_endpoint(identity: Identity) -> str | None:
    """The metadata service that it asks, if it asks one."""
    config = identity.authn_configuration if isinstance(identity, IdaasIdentity) else None
    return config.ecs_metadata_endpoint if config is not None and config.authn_method in METADATA else None


def http_of(identity: Identity) -> HttpConfiguration | None:
    """Its httpConfiguration, if it speaks HTTP."""
    return identity.http_configuration if isinstance(identity, IdaasIdentity | OidcClientIdentity) else None


def _method(identity: IdaasIdentity) -> str:
    return identity.authn_configuration.authn_method if identity.authn_configuration else ""


# --- IDaaS ------------------------------------------------------------------------------------------------------------


def _idaas(identity: IdaasIdentity, place: str) -> None:
    plugin = _method(identity) == "PLUGIN"
    for key, value, needed in (
        ("idaasInstanceId", identity.idaas_instance_id, True),
        ("clientId", identity.client_id, True),
        ("issuer", identity.issuer, True),
        ("tokenEndpoint", identity.token_endpoint, True),
        ("openApiEndpoint", identity.open_api_endpoint, plugin),
        ("authnConfiguration", identity.authn_configuration, True),
    ):
        if needed and not value:
            raise ConfigError(f"{place}.{key}: required{' with PLUGIN' if key == 'openApiEndpoint' else ''}")
    if not identity.scope:
        raise ConfigError(f"{place}.scope: required; it reads <audience>|<value>, such as api.example.com|.all")
    arns.audience_of(identity.scope, f"{place}.scope")
    addresses.endpoint(str(identity.token_endpoint), f"{place}.tokenEndpoint")
    if plugin:
        addresses.api_endpoint(str(identity.open_api_endpoint), f"{place}.openApiEndpoint")
    assert identity.authn_configuration is not None  # noqa: S101 - refused above; said again for the type checker
    _authn(identity.authn_configuration, f"{place}.authnConfiguration")
    if identity.token_exchange is not None:
        _token_exchange(identity, f"{place}.tokenExchange")


def _authn(config: AuthnConfiguration, place: str) -> None:
    method = config.authn_method
    if method in FEDERATED and not config.application_federated_credential_name:
        raise ConfigError(f"{place}.applicationFederatedCredentialName: required with {method}")
    wanted = _ENVIRONMENTS.get(method)
    if wanted and config.client_deploy_environment not in (None, wanted):
        raise ConfigError(f"{place}.clientDeployEnvironment: {method} works in {wanted} alone")
    if method == "PLUGIN" and config.plugin_name not in (None, PLUGIN):
        raise ConfigError(f"{place}.pluginName: {config.plugin_name!r} is not known here; there is {PLUGIN}")
    if method in METADATA:
        _metadata(config.ecs_metadata_endpoint, f"{place}.ecsMetadataEndpoint")


def _metadata(url: str, place: str) -> None:
    found = addresses.http_authority(url, place)
    if found is None or not addresses.is_private(found[0]):
        raise ConfigError(f"{place}: {url!r} is neither http://100.100.100.200 nor a loopback http URL without a path")


def _token_exchange(identity: IdaasIdentity, place: str) -> None:
    exchange = identity.token_exchange
    assert exchange is not None  # noqa: S101 - the caller looked; said again for the type checker
    if _method(identity) == "PLUGIN":
        raise ConfigError(f"{place}: cannot be combined with PLUGIN, which does not use the token endpoint")
    if isinstance(exchange.subject, IdaasIdentity) and exchange.subject.token_exchange is not None:
        raise ConfigError(f"{place}.subject.tokenExchange: one exchange after another is not supported; leave one out")
    settings(exchange.subject, f"{place}.subject")


def _idaas_secrets(identity: IdaasIdentity, place: str, environ: Mapping[str, str]) -> None:
    config = identity.authn_configuration
    assert config is not None  # noqa: S101 - `settings` refused it otherwise; said again for the type checker
    place = f"{place}.authnConfiguration"
    match config.authn_method:
        case "CLIENT_SECRET_POST" | "CLIENT_SECRET_BASIC" | "CLIENT_SECRET_JWT":
            secret_refs.client_secret(config, place, environ)()
        case "PRIVATE_KEY_JWT":
            _key(config, place, environ)
        case "PCA":
            _key(config, place, environ, certificate=secret_refs.certificate(config, place)())
            secret_refs.certificate_chain(config, place)()


# --- any OpenID provider ----------------------------------------------------------------------------------------------


def _oidc_client(identity: OidcClientIdentity, place: str) -> None:
    if not identity.issuer and not identity.token_endpoint:
        raise ConfigError(f"{place}.issuer: required, unless tokenEndpoint is set")
    for key, url in (("issuer", identity.issuer), ("tokenEndpoint", identity.token_endpoint)):
        if url:
            addresses.endpoint(url, f"{place}.{key}")
    authentication = identity.client_authentication
    if authentication.method == "tls_client_auth" and not identity.connection.certificate_file:
        raise ConfigError(f"{place}.connection.certificateFile: required with tls_client_auth")
    if authentication.assertion_audience == "issuer" and not identity.issuer:
        raise ConfigError(f"{place}.issuer: required where assertionAudience is issuer")


def _client_secrets(identity: OidcClientIdentity, place: str, environ: Mapping[str, str]) -> None:
    keys = identity.client_authentication
    if keys.method == "private_key_jwt":
        _key(keys, place, environ)
    elif keys.method != "tls_client_auth":
        secret_refs.client_secret(keys, place, environ)()


# --- what both need ---------------------------------------------------------------------------------------------------


def _key(config: Keys, place: str, environ: Mapping[str, str], certificate: str | None = None) -> None:
    text, password = secret_refs.private_key(config, place, environ)(), secret_refs.password(config, place, environ)

    from . import private_key as keys  # cryptography is 8 MiB: only for those who sign with a key

    key = keys.load_private_key(text, password() if password else None, place)
    if config.algorithm is not None:
        keys.check_algorithm(config.algorithm, key, place)
    keys.algorithm_for(key, place)
    if certificate is not None and not keys.belongs(keys.load_certificate(certificate, place), key):
        raise ConfigError(f"{place}: the private key is not that of the certificate")


def _executable(path: str, place: str) -> None:
    if not os.path.isfile(path):
        raise ConfigError(f"{place}: {path}: no such file")
    if not os.access(path, os.X_OK):
        raise ConfigError(f"{place}: {path}: not executable by this user (uid {os.getuid()})")
