"""The outbound half, put together: settings of a profile in, credentials out. The only place that knows all legs.

Imported after the listeners are up: httpx is 60 ms and 4 MiB.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TypeVar

from ..config.settings import Profile, Settings
from ..core import arns
from ..core.clocks import Clocks, CloudClock
from ..core.model import (
    ClockRead,
    Credentials,
    Event,
    IdentityEnds,
    Observe,
    Refused,
    SidecarError,
    StageTimed,
    Token,
    Unreachable,
    Warned,
)
from ..exchange.settings import StsExchange
from ..identity import jwt_claims
from ..identity.settings import IdaasIdentity, Identity, OidcClientIdentity, TokenFileIdentity
from ..identity.token_endpoint import TokenFile, TokenSource
from ..system import sockets
from ..system.child_reaper import Children
from ..upstream.tls import certificate_end
from .connections import Transport, Wires, real_transport
from .exchanges import Roles, roles
from .token_cache import SharedTokens
from .token_sources import Notes, Sources

T = TypeVar("T")

AT_ONCE = 2
"""Fetches at the same time. A hundred at once leave 10 KiB a profile behind, and the account's STS quota is shared."""

TURN_SECONDS = 1.0
"""The longest wait for a turn: at start-up the profiles of a pod are through in less, unless some of them hang."""

MOST_AT_ONCE = 32
"""Fetches at the same time, whatever hangs: a thousand that lost patience together would keep clients waiting."""


class Cloud:
    """
    Fetches credentials for the profiles of `settings`.

    `fetch` raises Refused, Unreachable or ConfigError. Profiles with one identity share one token. `cloud_clock` and
    `tokens` outlive it where they are given: a changed configuration is another Cloud.
    """

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        *,
        clocks: Clocks,
        observe: Observe,
        cloud_clock: CloudClock | None = None,
        tokens: SharedTokens | None = None,
        transport: Transport | None = None,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
        is_ours: Callable[[str], bool] = sockets.is_ours,
        children: Children | None = None,
    ) -> None:
        self._clock = cloud_clock or CloudClock(clocks)
        self._clocks = clocks
        self._told = observe
        self._profiles = settings.profiles
        # What the cloud judges by its clock, and what it says in its time, is reckoned in its time.
        now = self._clock.now
        self._tokens = tokens or SharedTokens(now=now)
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._room = asyncio.Semaphore(MOST_AT_ONCE - AT_ONCE)
        self._ends: dict[Identity, dict[str, float]] = {}
        self._wires = Wires(transport or real_transport(settings, environ), now=clocks.wall, observe=self._observe)
        sources = Sources(
            self._wires,
            environ,
            now=now,
            told=self._clock.told,
            new_id=new_id,
            is_ours=is_ours,
            children=children or Children(),
        )
        self._sources: dict[Identity, TokenSource] = {}
        for name, profile in settings.profiles.items():
            if profile.identity not in self._sources:
                ends = self._ends.setdefault(profile.identity, {}).__setitem__
                notes = Notes(ends, lambda sentence, name=name: self._observe(Warned(name, sentence)))  # type: ignore[misc]
                self._sources[profile.identity] = sources.source(profile.identity, f"profiles.{name}.identity", notes)
        self._roles = {
            name: roles(profile, f"profiles.{name}", self._wires, now=now, new_id=new_id)
            for name, profile in settings.profiles.items()
        }

    async def fetch(self, name: str) -> Credentials:
        """New credentials for the profile `name`; a token that the exchange refuses is replaced once."""
        async with self._turn():
            return await self._chained(name, await self._first(name), self._roles[name])

    def forget(self, name: str) -> None:
        """Drops the token of the profile's identity: the next fetch proves it anew."""
        self._tokens.forget(self._identity(name))

    async def _first(self, name: str) -> Credentials:
        token = await self._token(name)
        try:
            return await self._presented(name, token)
        except Refused as error:
            if not error.renew_token:
                raise
            self._tokens.forget(self._identity(name), token)
            return await self._presented(name, await self._token(name))

    async def _presented(self, name: str, token: Token) -> Credentials:
        """A session for `token`. Raises Unreachable where its time is yet to come."""
        try:
            return await self._exchanged(name, token)
        except Refused as error:
            ahead = jwt_claims.ahead(token.value, self._clock.now()) if error.renew_token else 0.0
            if ahead <= 0:
                raise
            # STS refuses an iat in its future. A new token's would be there too: this one is kept until then.
            raise Unreachable(
                f"{error}; its iat is {ahead:.0f} s ahead of the clock there: the issuer's clock is wrong",
                retry_after=ahead,
                code=error.code,
            ) from None

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Lets few fetch at once; but who hangs must not hold up the others, so nobody waits for a turn for long."""
        turns = self._turns
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await turns.acquire()
        except TimeoutError:
            turns = self._room
            await turns.acquire()
        try:
            yield
        finally:
            turns.release()

    async def aclose(self) -> None:
        await self._wires.aclose()

    # --- the legs -----------------------------------------------------------------------------------------------------

    async def _token(self, name: str) -> Token:
        source = self._sources[self._identity(name)]

        async def ask() -> Token:
            token = await source.token()
            self._look_at(token, name)
            return token

        # A file is read when used, never kept: whoever writes it may have replaced the token.
        fresh = isinstance(source, TokenFile)
        work = ask() if fresh else self._tokens.token(self._identity(name), ask)
        token = await self._timed(name, "token", work)
        await self._tell_ends(name)
        return token

    async def _exchanged(self, name: str, token: Token) -> Credentials:
        return await self._timed(name, "exchange", self._roles[name].first.credentials(token))

    async def _chained(self, name: str, credentials: Credentials, roles: Roles) -> Credentials:
        for index, link in enumerate(roles.links):
            stage = f"chain[{index}]"
            try:
                credentials = await self._timed(name, stage, link.assume(credentials))
            except SidecarError as error:
                error.args = (f"{stage}: {error}",)
                raise
        return credentials

    async def _timed(self, name: str, stage: str, work: Awaitable[T]) -> T:
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            return await work
        finally:
            self._observe(StageTimed(name, stage, loop.time() - started))

    # --- what is noticed on the way -----------------------------------------------------------------------------------

    def _observe(self, event: Event) -> None:
        if isinstance(event, ClockRead):
            self._clock.learn(event.offset)
        self._told(event)

    def _identity(self, name: str) -> Identity:
        """What makes two profiles' source and token the same one: the identity as configured, scope included."""
        return self._profiles[name].identity

    async def _tell_ends(self, name: str) -> None:
        """Says until when the profile can prove itself; the token may have been another profile's doing."""
        identity = self._identity(name)
        found = dict(self._ends[identity])
        if isinstance(identity, IdaasIdentity | OidcClientIdentity) and identity.connection.certificate_file:
            end = await asyncio.to_thread(certificate_end, identity.connection.certificate_file)
            found |= {"tlsCertificate": end} if end is not None else {}
        for kind, not_after in found.items():
            self._observe(IdentityEnds(name, kind, not_after))

    def _look_at(self, token: Token, name: str) -> None:
        """Says where the token's claims differ from the configuration; the cloud, not we, will judge it."""
        identity = self._identity(name)
        found = jwt_claims.unverified(token.value)
        if found is None:
            return
        if isinstance(identity, TokenFileIdentity) and found.expires_at is not None:
            self._ends[identity]["tokenFile"] = found.expires_at
        for sentence in jwt_claims.mismatches(found, _wanted(self._profiles[name]), self._clocks.wall()):
            self._observe(Warned(name, sentence))


def _wanted(profile: Profile) -> jwt_claims.Wanted:
    """What STS will compare the token's claims with, as far as the configuration tells."""
    if not isinstance(profile.exchange, StsExchange):
        return jwt_claims.Wanted()
    match profile.identity:
        case IdaasIdentity() as identity:
            audience = arns.audience_of(str(identity.scope), "scope")
            # The subject of an exchanged token is the other's, not ours.
            client_id = identity.client_id if identity.token_exchange is None else None
            return jwt_claims.Wanted(identity.issuer, audience, client_id)
        case OidcClientIdentity() as identity:
            return jwt_claims.Wanted(identity.issuer, identity.audience, None)
    return jwt_claims.Wanted()
