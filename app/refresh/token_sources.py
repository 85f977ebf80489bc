"""From the identity of a profile to the source of its token."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from ..core import addresses
from ..core.base import Connection
from ..core.model import Now, Secret
from ..identity import client_auth, secret_refs
from ..identity.access_keys import AccessKeys
from ..identity.command import Command
from ..identity.discovery import Discovery
from ..identity.ecs_metadata import EcsMetadata
from ..identity.generate_oauth_token import GenerateOauthToken
from ..identity.settings import (
    AuthnConfiguration,
    CommandIdentity,
    IdaasIdentity,
    Identity,
    Keys,
    OidcClientIdentity,
    TokenFileIdentity,
)
from ..identity.token_endpoint import ClientCredentials, TokenEndpoint, TokenExchange, TokenFile, TokenSource
from ..system import secrets
from ..system.child_reaper import Children
from ..system.secrets import Rotating
from .connections import Wires

Proving = tuple[client_auth.ClientAuth, Rotating | None]
"""How a client proves itself, and the secret in it where that may be replaced by itself."""


@dataclass(frozen=True, slots=True)
class Notes:
    """What is noticed about an identity on the way: kind (`certificate`) and end of a proof, and what to warn of."""

    ends: Callable[[str, float], None]
    warn: Callable[[str], None]


class Sources:
    """
    Makes token sources.

    `told`: whether `now` is certain. `is_ours`: whether a host is an address of this network namespace.
    """

    def __init__(
        self,
        wires: Wires,
        environ: Mapping[str, str],
        *,
        now: Now,
        told: Callable[[], bool],
        new_id: Callable[[], str],
        is_ours: Callable[[str], bool],
        children: Children,
    ) -> None:
        self._wires = wires
        self._environ = environ
        self._now = now
        self._told = told
        self._new_id = new_id
        self._is_ours = is_ours
        self._children = children

    def source(self, identity: Identity, place: str, notes: Notes) -> TokenSource:
        """The source of the identity's token."""
        match identity:
            case TokenFileIdentity(token_file=path):
                place = f"{place}.tokenFile"
                return TokenFile(secrets.from_file(path, place), place, self._now, self._told)
            case CommandIdentity():
                return Command(
                    identity.command,
                    identity.timeout_seconds,
                    identity.token_use,
                    f"{place}.command",
                    self._now,
                    self._environ,
                    self._children,
                )
            case OidcClientIdentity():
                return self._oidc_client(identity, place, notes)
            case IdaasIdentity():
                return self._idaas(identity, place, notes)

    # --- any OpenID provider ------------------------------------------------------------------------------------------

    def _oidc_client(self, identity: OidcClientIdentity, place: str, notes: Notes) -> TokenSource:
        wire = self._wires.to(identity.connection, f"{place}.connection", identity.http_configuration)
        if identity.token_endpoint:
            url = _always(identity.token_endpoint)
        else:
            mutual_tls = identity.client_authentication.method == "tls_client_auth"
            url = Discovery(wire, str(identity.issuer), mutual_tls=mutual_tls, now=self._now).token_endpoint
        auth, secret = self._oauth_client(identity, place)
        endpoint = TokenEndpoint(wire, url, identity.client_id, auth, self._now, identity.token_use, secret, notes.warn)
        wishes = {"scope": identity.scope, "audience": identity.audience, "resource": identity.resource}
        return ClientCredentials(endpoint, {name: value for name, value in wishes.items() if value})

    def _oauth_client(self, identity: OidcClientIdentity, place: str) -> Proving:
        keys, place = identity.client_authentication, f"{place}.clientAuthentication"
        audience = identity.issuer if keys.assertion_audience == "issuer" else None
        match keys.method:
            case "private_key_jwt":
                key = Rotating(secret_refs.private_key(keys, place, self._environ))
                return self._private_key_jwt(identity.client_id, key, keys, place, audience), key
            case "tls_client_auth":
                return client_auth.TlsClientAuth(), None
        secret = Rotating(secret_refs.client_secret(keys, place, self._environ))
        match keys.method:
            case "client_secret_jwt":
                jwt = client_auth.ClientSecretJwt(identity.client_id, secret, self._now, self._new_id, audience)
                return jwt, secret
            case "client_secret_post":
                return client_auth.ClientSecretPost(secret), secret
            case _:
                return client_auth.ClientSecretBasic(identity.client_id, secret, form_encoded=True), secret

    # --- IDaaS --------------------------------------------------------------------------------------------------------

    def _idaas(self, identity: IdaasIdentity, place: str, notes: Notes) -> TokenSource:
        config = identity.authn_configuration
        assert config is not None  # noqa: S101 - app/config/validate.py refused it otherwise; said again for the type checker
        if config.authn_method == "PLUGIN":
            return self._plugin(identity, config, place)
        auth, secret = self._client_auth(identity, config, f"{place}.authnConfiguration", notes)
        endpoint = TokenEndpoint(
            self._wires.to(identity.connection, f"{place}.connection", identity.http_configuration),
            _always(str(identity.token_endpoint)),
            str(identity.client_id),
            auth,
            self._now,
            secret=secret,
            warn=notes.warn,
        )
        wishes = {"scope": str(identity.scope)}
        exchange = identity.token_exchange
        if exchange is None:
            return ClientCredentials(endpoint, wishes)
        subject = self.source(exchange.subject, f"{place}.tokenExchange.subject", notes)
        return TokenExchange(endpoint, subject, exchange.subject_token_type, exchange.requested_token_type, wishes)

    def _plugin(self, identity: IdaasIdentity, config: AuthnConfiguration, place: str) -> TokenSource:
        return GenerateOauthToken(
            self._wires.to(identity.connection, f"{place}.connection", identity.http_configuration),
            endpoint=addresses.api_endpoint(str(identity.open_api_endpoint), f"{place}.openApiEndpoint"),
            instance_id=str(identity.idaas_instance_id),
            client_id=str(identity.client_id),
            scope=str(identity.scope),
            keys=AccessKeys(self._environ, role=self._metadata(config).role_keys).keys,
            now=self._now,
            new_id=self._new_id,
        )

    def _client_auth(self, identity: IdaasIdentity, config: AuthnConfiguration, place: str, notes: Notes) -> Proving:
        client_id, credential = str(identity.client_id), str(config.application_federated_credential_name)
        match config.authn_method:
            case "PRIVATE_KEY_JWT":
                key = Rotating(secret_refs.private_key(config, place, self._environ))
                return self._private_key_jwt(client_id, key, config, place), key
            case "PCA":
                # Key and certificate go together: the key of before would not fit the certificate of now.
                pair = secret_refs.private_key(config, place, self._environ)
                pca = client_auth.Pca(
                    credential,
                    self._private_key_jwt(client_id, pair, config, place),
                    secret_refs.certificate(config, place),
                    secret_refs.certificate_chain(config, place),
                    place,
                    lambda end: notes.ends("certificate", end),
                )
                return pca, None
            case "OIDC":
                read = secret_refs.federated_token(config, place, self._environ)
                return client_auth.Federated(credential, client_auth.ID_TOKEN_BEARER, _in_thread(read)), None
            case "PKCS7":
                metadata, instance = self._metadata(config), str(identity.idaas_instance_id)
                document = client_auth.Federated(
                    credential, client_auth.PKCS7_BEARER, lambda: metadata.identity_document(instance)
                )
                return document, None
        secret = Rotating(secret_refs.client_secret(config, place, self._environ))
        match config.authn_method:
            case "CLIENT_SECRET_BASIC":
                return client_auth.ClientSecretBasic(client_id, secret, form_encoded=False), secret
            case "CLIENT_SECRET_JWT":
                return client_auth.ClientSecretJwt(client_id, secret, self._now, self._new_id), secret
            case _:
                return client_auth.ClientSecretPost(secret), secret

    def _metadata(self, config: AuthnConfiguration) -> EcsMetadata:
        # A wire of its own: no leg's proxy, CA or certificate is the metadata service's business.
        wire = self._wires.to(Connection(proxy=addresses.NO_PROXY), "ecsMetadataEndpoint")
        return EcsMetadata(wire, config.ecs_metadata_endpoint.rstrip("/"), self._is_ours, self._now)

    def _private_key_jwt(
        self, client_id: str, key: Secret, keys: Keys, place: str, audience: str | None = None
    ) -> client_auth.PrivateKeyJwt:
        return client_auth.PrivateKeyJwt(
            client_id,
            key=key,
            password=secret_refs.password(keys, place, self._environ),
            algorithm=keys.algorithm,
            key_id=keys.key_id,
            place=place,
            now=self._now,
            new_id=self._new_id,
            audience=audience,
        )


def _always(url: str) -> Callable[[], Awaitable[str]]:
    async def known() -> str:
        return url

    return known


def _in_thread(read: Secret) -> Callable[[], Awaitable[str]]:
    async def reading() -> str:
        return await asyncio.to_thread(read)

    return reading
