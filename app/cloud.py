"""The outbound half, put together: settings of a profile in, credentials out. The only place that knows both legs.

Imported after the listeners are up: httpx is 60 ms and 4 MiB.
"""

from __future__ import annotations

import asyncio
import ssl
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping
from contextlib import asynccontextmanager
from functools import cache
from typing import TypeVar

import httpx

from . import check, claims, client_auth, places, secrets, workload
from .exchange import AssumeRoleWithOidc
from .model import Credentials, IdentityEnds, Now, Observe, Refused, StageTimed, Token, Warned
from .settings import AuthnConfiguration, IdaasIdentity, Profile, Settings, StsExchange, TokenFileIdentity
from .tokens import ClientCredentials, SharedTokens, TokenFile, TokenSource
from .upstream import Limits, Routes, Upstream, ssl_context

T = TypeVar("T")

AT_ONCE = 2
"""Fetches at the same time. A hundred at once leave 10 KiB a profile behind, and the account's STS quota is shared."""

TURN_SECONDS = 1.0
"""The longest wait for a turn: at start-up the profiles of a pod are through in less, unless some of them hang."""

Transport = Callable[[bool], httpx.AsyncBaseTransport]
"""Makes the transport under a leg; the argument says whether TLS is verified."""


class Cloud:
    """
    Fetches credentials for the profiles of `settings`.

    `fetch` raises Refused, Unreachable or ConfigError. Profiles with one identity share one token.
    """

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        *,
        now: Now,
        observe: Observe,
        transport: Transport | None = None,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self._environ = environ
        self._now = now
        self._observe = observe
        self._new_id = new_id
        self._transport = transport or _real(settings, environ)
        self._tokens = SharedTokens(now=now, identities=len(settings.profiles))
        self._profiles = settings.profiles
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._wires: dict[tuple[Limits, bool], Upstream] = {}
        self._sources = {name: self._source(profile, name) for name, profile in settings.profiles.items()}
        self._exchanges = {name: self._exchange(profile.exchange, name) for name, profile in settings.profiles.items()}

    async def fetch(self, name: str) -> Credentials:
        """New credentials for the profile `name`; a token that STS refuses is replaced once."""
        async with self._turn():
            try:
                return await self._exchanged(name, await self._token(name))
            except Refused as error:
                if not error.renew_token:
                    raise
                self._tokens.forget(self._identity(name))
                return await self._exchanged(name, await self._token(name))

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Lets few fetch at once; but who hangs must not hold up the others, so nobody waits for a turn for long."""
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self._turns.acquire()
        except TimeoutError:
            yield
            return
        try:
            yield
        finally:
            self._turns.release()

    async def aclose(self) -> None:
        for wire in self._wires.values():
            await wire.aclose()

    async def _token(self, name: str) -> Token:
        source = self._sources[name]

        async def ask() -> Token:
            token = await source.token()
            self._look_at(token, name)
            return token

        # A file is read when used, never kept: whoever writes it may have replaced the token.
        fresh = isinstance(source, TokenFile)
        return await self._timed(name, "token", ask() if fresh else self._tokens.token(self._identity(name), ask))

    async def _exchanged(self, name: str, token: Token) -> Credentials:
        return await self._timed(name, "exchange", self._exchanges[name].credentials(token))

    async def _timed(self, name: str, stage: str, work: Awaitable[T]) -> T:
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            return await work
        finally:
            self._observe(StageTimed(name, stage, loop.time() - started))

    def _identity(self, name: str) -> Hashable:
        """What makes two profiles' tokens the same one: the identity as configured, scope included."""
        return self._profiles[name].identity

    def _look_at(self, token: Token, name: str) -> None:
        """Says where the token's claims differ from the configuration; STS, not we, will judge it."""
        identity = self._profiles[name].identity
        found = claims.unverified(token.value)
        if found is None:
            return
        if isinstance(identity, TokenFileIdentity):
            if found.expires_at is not None:
                self._observe(IdentityEnds(name, "tokenFile", found.expires_at))
            wanted = claims.Wanted()
        else:
            audience = workload.audience_of(str(identity.scope), "scope")
            wanted = claims.Wanted(identity.issuer, audience, identity.client_id)
        for sentence in claims.mismatches(found, wanted, self._now()):
            self._observe(Warned(name, sentence))

    # --- from settings to objects -------------------------------------------------------------------------------------

    def _source(self, profile: Profile, name: str) -> TokenSource:
        place = f"profiles.{name}.identity"
        match profile.identity:
            case TokenFileIdentity(token_file=path):
                place = f"{place}.tokenFile"
                return TokenFile(secrets.from_file(path, place), place, self._now)
            case IdaasIdentity() as identity:
                return self._client_credentials(identity, place)

    def _client_credentials(self, identity: IdaasIdentity, place: str) -> ClientCredentials:
        http = identity.http_configuration
        config = identity.authn_configuration
        assert config is not None  # noqa: S101 - app/check.py refused it otherwise; said again for the type checker
        return ClientCredentials(
            self._wire(Limits(http.connect_timeout / 1000, http.read_timeout / 1000), not http.unsafe_ignore_ssl_cert),
            endpoint=str(identity.token_endpoint),
            client_id=str(identity.client_id),
            scope=str(identity.scope),
            auth=self._client_auth(str(identity.client_id), config, place),
            now=self._now,
        )

    def _client_auth(self, client_id: str, config: AuthnConfiguration, place: str) -> client_auth.ClientAuth:
        if config.authn_method == "PRIVATE_KEY_JWT":
            password = config.private_key_password_env_var_name
            return client_auth.PrivateKeyJwt(
                client_id,
                key=check.private_key(config, place, self._environ),
                password=secrets.from_environment(self._environ, password, f"{place}.authnConfiguration")
                if password
                else None,
                algorithm=config.algorithm,
                key_id=config.key_id,
                place=f"{place}.authnConfiguration",
                now=self._now,
                new_id=self._new_id,
            )
        secret = check.client_secret(config, place, self._environ)
        match config.authn_method:
            case "CLIENT_SECRET_BASIC":
                return client_auth.ClientSecretBasic(client_id, secret)
            case "CLIENT_SECRET_JWT":
                return client_auth.ClientSecretJwt(client_id, secret, self._now, self._new_id)
            case _:
                return client_auth.ClientSecretPost(secret)

    def _exchange(self, exchange: StsExchange, name: str) -> AssumeRoleWithOidc:
        place = f"profiles.{name}.exchange"
        return AssumeRoleWithOidc(
            self._wire(Limits(), verify=True),
            endpoints=places.sts_endpoints(
                region=exchange.region_id, vpc=exchange.vpc, explicit=exchange.endpoints, place=place
            ),
            role_arn=exchange.role_arn,
            provider_arn=exchange.oidc_provider_arn,
            session_name=str(exchange.role_session_name),
            duration_seconds=exchange.duration_seconds,
            policy=check.policy_text(exchange.policy, place),
            now=self._now,
        )

    def _wire(self, limits: Limits, verify: bool) -> Upstream:
        wire = self._wires.get((limits, verify))
        if wire is None:
            wire = Upstream(self._transport(verify), limits=limits, now=self._now, observe=self._observe)
            self._wires[limits, verify] = wire
        return wire


def _real(settings: Settings, environ: Mapping[str, str]) -> Transport:
    """Connections to the real world; one trust store for all of them, read when first needed."""

    @cache
    def routes(verify: bool) -> Routes:
        @cache
        def context() -> ssl.SSLContext:
            return ssl_context(settings.tls.ca_file, environ, verify=verify)

        return Routes(configured=settings.proxy, environ=environ, context=context)

    return routes
