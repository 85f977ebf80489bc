"""The pipeline of a refresh: the identity's token, its exchange for credentials, and the chain of further roles.

The only place that knows all requests of a refresh. Imported after the listeners are up, because httpx takes long to
import (`bench/imports.py` measures it).
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TypeVar

from msgspec.structs import replace

from ..config.settings import Profile, Settings
from ..core import arns
from ..core.checks import profile_place
from ..core.clocks import Clocks, CloudClock
from ..core.connection import Connection
from ..core.errors import Refused, SidecarError, Unreachable
from ..core.events import ClockRead, Event, IdentityExpiry, Interrupted, Observe, StageTimed, TokenVerified, Warned
from ..core.urls import server_of
from ..core.values import Credentials, Token
from ..exchange.settings import StsExchange
from ..identity import identities, jwt_claims
from ..identity.context import Context, Reporter, TokenSource
from ..identity.foreign_token import ForeignToken
from ..identity.idaas import IdaasIdentity
from ..identity.identities import Identity
from ..identity.oidc_client import OidcClientIdentity
from ..identity.token_file import TokenFileIdentity
from ..system import sockets
from ..system.child_reaper import ChildReaper
from ..system.disk import Disk, Stalled
from ..upstream.connections.resolver import Resolver
from ..upstream.keys import key_derivation
from ..upstream.keys.client_certificate import certificate_end, client_certificate
from .connections import Connections, Transport, real_transport
from .exchanges import Exchanges, exchanges
from .fetch_slots import FetchSlots, requests_of, servers_of
from .token_cache import TokenCache

T = TypeVar("T")


class Pipeline:
    """
    Fetches credentials for the profiles of `settings`.

    Profiles with one identity share one token. A changed configuration gets a new pipeline. To share `cloud_clock`,
    `tokens`, `resolver` and `slots` between pipelines, pass them in.
    """

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        *,
        clocks: Clocks,
        observe: Observe,
        cloud_clock: CloudClock | None = None,
        tokens: TokenCache | None = None,
        transport: Transport | None = None,
        resolver: Resolver | None = None,
        slots: FetchSlots | None = None,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
        is_ours: Callable[[str], bool] = sockets.is_ours,
        children: ChildReaper | None = None,
        disk: Disk | None = None,
    ) -> None:
        self._environ = environ
        self._clock = cloud_clock or CloudClock(clocks)
        self._clocks = clocks
        self._observer = observe
        self._profiles = settings.profiles
        self._tokens = tokens or TokenCache(now=self._clock.now)
        self._slots = slots or FetchSlots()
        self._disk = disk or Disk()
        self._servers = servers_of(settings, self._disk.directory)
        self._requests = requests_of(settings)
        self._connections = Connections(
            transport or real_transport(settings, environ, self._disk, resolver),
            now=clocks.wall,
            observe=self._observe,
        )
        context = Context(
            connect=self._connections.to,
            environ=environ,
            now=self._clock.now,  # the cloud compares these times with its own clock
            is_synchronised=self._clock.is_synchronised,
            server_now=self._server_now,
            server_is_synchronised=lambda url: self._clock.is_synchronised(server_of(url)),
            new_id=new_id,
            is_ours=is_ours,
            children=children or ChildReaper(),
            disk=self._disk,
        )
        self._exchanges = {
            name: exchanges(
                profile,
                profile_place(name),
                self._connections,
                now=self._server_now,
                new_id=new_id,
                verified=partial(self._verified, name),
            )
            for name, profile in settings.profiles.items()
        }
        self._expiries: dict[Identity, dict[str, float]] = {}
        self._sources: dict[tuple[Identity, str], TokenSource] = {}
        for name, profile in settings.profiles.items():
            key = (profile.identity, self._judge(name))
            if key not in self._sources:
                self._sources[key] = self._source(name, profile.identity, context.at(key[1]))

    async def fetch(self, name: str) -> Credentials:
        """
        Return new credentials for a profile. If the exchange refuses the token, try once more with another one.

        Raises Refused, Unreachable or ConfigError.
        """

        async def fetch() -> Credentials:
            key_derivation.begin()
            credentials = await self._first_role(name)
            return await self._chain(name, credentials, self._exchanges[name])

        interrupted = partial(self._observe, Interrupted(name))
        return await self._slots.fetch(fetch, self._servers[name], self._requests[name], interrupted)

    async def token(self, name: str) -> Token:
        """Return a token of the profile's identity. Raises Refused, Unreachable or ConfigError."""
        key_derivation.begin()
        return await self._token(name)

    async def exchanged(self, name: str, token: Token) -> Credentials:
        """Return credentials for `token`, without another token if it is refused. Raises Refused or Unreachable."""
        credentials = await self._exchange(name, token)
        return await self._chain(name, credentials, self._exchanges[name])

    def forget_token(self, name: str) -> None:
        """Drop the token of the profile's identity, so that the next fetch obtains a new one."""
        self._tokens.forget(self._identity(name))

    async def aclose(self) -> None:
        """Close the connections, and drop the keys of profiles that may be gone. Those in use are derived again."""
        key_derivation.forget()
        await self._connections.aclose()

    # --- the stages ---------------------------------------------------------------------------------------------------

    async def _first_role(self, name: str) -> Credentials:
        token = await self._token(name)
        try:
            return await self._exchange(name, token)
        except Refused as error:
            if not error.renew_token:
                raise
            self._tokens.forget(self._identity(name), token)
            renewed = await self._token(name)
            if renewed.value == token.value:  # no newer token from the provider or in the file
                raise
            return await self._exchange(name, renewed)

    async def _token(self, name: str) -> Token:
        judge = self._judge(name)
        source = self._sources[self._identity(name), judge]

        async def obtain() -> Token:
            token = await source.token()
            self._inspect(token, name)
            # The token's expiry is in its server's time; the cache uses one clock for the tokens of all servers.
            return replace(token, expires_at=token.expires_at - self._server_now(judge) + self._clock.now())

        # A token file is read at each use and never cached, because its writer may have replaced the token.
        work = obtain() if isinstance(source, ForeignToken) else self._tokens.token(self._identity(name), obtain)
        token = await self._timed(name, "token", work)
        await self._report_expiries(name)
        return token

    async def _exchange(self, name: str, token: Token) -> Credentials:
        """Return a session for `token`. Raises Unreachable if the token is not valid yet."""
        try:
            return await self._timed(name, "exchange", self._exchanges[name].first.credentials(token))
        except Refused as error:
            now = self._server_now(self._exchanges[name].url)
            wait = jwt_claims.seconds_until_issued(token.value, now) if error.renew_token else 0.0
            if wait <= 0:
                raise
            # STS refuses a token whose iat is in the future. A new token would have the same fault, so this token is
            # kept until its iat has passed.
            raise Unreachable(
                f"{error.cause}; its iat is {wait:.0f} s ahead of the clock there: the issuer's clock is wrong",
                retry_after=wait,
                code=error.code,
                endpoint=error.endpoint,
                status=error.status,
                request_id=error.request_id,
                cloud_message=error.cloud_message,
                error_code="IDS-214",
            ) from None

    async def _chain(self, name: str, credentials: Credentials, found: Exchanges) -> Credentials:
        for index, role in enumerate(found.chain):
            stage = f"chain[{index}]"
            try:
                credentials = await self._timed(name, stage, role.assume(credentials))
            except SidecarError as error:
                raise error.at(stage) from None
        return credentials

    async def _timed(self, name: str, stage: str, work: Awaitable[T]) -> T:
        loop = asyncio.get_running_loop()
        started = loop.time()
        ended = True
        try:
            return await work
        except SidecarError as error:
            raise error.with_members(stage=stage) from None
        except asyncio.CancelledError:
            ended = False  # interrupted, or the process stops: the server has not answered
            raise
        finally:
            if ended:
                self._observe(StageTimed(name, stage, loop.time() - started))

    # --- what is noticed on the way -----------------------------------------------------------------------------------

    def _observe(self, event: Event) -> None:
        if isinstance(event, ClockRead):
            self._clock.learn(event.server, event.offset)
        self._observer(event)

    def _verified(self, name: str, info: Mapping[str, str]) -> None:
        self._observe(TokenVerified(name, info))

    def _server_now(self, url: str) -> float:
        return self._clock.now(server_of(url))

    def _judge(self, name: str) -> str:
        """Return the URL of the server that judges the profile's proof: the identity's own, else the exchange's."""
        own = identities.own_url(self._identity(name), f"{profile_place(name)}.identity")
        return own if own is not None else self._exchanges[name].url

    def _identity(self, name: str) -> Identity:
        """Return the key by which profiles share source and token: the identity as configured, scope included."""
        return self._profiles[name].identity

    def _source(self, name: str, identity: Identity, context: Context) -> TokenSource:
        expiries = self._expiries.setdefault(identity, {})
        reporter = Reporter(expiries.__setitem__, lambda each: self._observe(Warned(name, each, each.error_code)))
        return identities.build(identity, f"{profile_place(name)}.identity", context, reporter)

    async def _report_expiries(self, name: str) -> None:
        """Report when the profile's proof of identity expires. Another profile may have obtained the shared token."""
        identity = self._identity(name)
        found = dict(self._expiries[identity])
        connection = identities.connection_of(identity)
        if connection is not None:
            found |= await self._certificate_end(connection, f"{profile_place(name)}.identity.connection")
        for kind, not_after in found.items():
            self._observe(IdentityExpiry(name, kind, not_after))

    async def _certificate_end(self, connection: Connection, place: str) -> dict[str, float]:
        client = client_certificate(connection, place, self._environ)
        if client is None:
            return {}
        try:
            end = await self._disk.call(client.file, certificate_end, client)
        except Stalled:  # the TLS connection that needs the file reports this failure
            return {}
        return {"tlsCertificate": end} if end is not None else {}

    def _inspect(self, token: Token, name: str) -> None:
        """Warn if the token's claims differ from the configuration. The cloud alone decides about the token."""
        identity = self._identity(name)
        claims = jwt_claims.unverified(token.value)
        if claims is None:
            return
        if isinstance(identity, TokenFileIdentity) and claims.expires_at is not None:
            self._expiries[identity]["tokenFile"] = claims.expires_at
        for sentence in jwt_claims.mismatches(claims, expected_claims(self._profiles[name]), self._clocks.wall()):
            self._observe(Warned(name, sentence, sentence.error_code))


def expected_claims(profile: Profile) -> jwt_claims.ExpectedClaims:
    """Return the claims that STS expects in the token, as far as the configuration names them."""
    if not isinstance(profile.exchange, StsExchange):
        return jwt_claims.ExpectedClaims()
    match profile.identity:
        case IdaasIdentity() as identity:
            audience = arns.audience_of(str(identity.scope), "scope")
            # The subject of an exchanged token belongs to another identity.
            client_id = identity.client_id if identity.token_exchange is None else None
            return jwt_claims.ExpectedClaims(identity.issuer, audience, client_id)
        case OidcClientIdentity() as identity:
            return jwt_claims.ExpectedClaims(identity.issuer, identity.audience, None)
    return jwt_claims.ExpectedClaims()
