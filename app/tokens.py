"""Where an OIDC token comes from: client credentials (RFC 6749 4.4) or a file; and a cache that profiles share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from cachetools import TLRUCache

from . import claims
from .client_auth import ClientAuth
from .model import Now, Refused, Secret, SidecarError, Token, Unreachable
from .upstream import Post, Reply, printable

_TRANSIENT = frozenset({"slow_down", "temporarily_unavailable", "server_error", "authorization_pending"})

_HINTS = {
    "invalid_client": "the client id, secret, key or assertion was not accepted: is it current, is the clock right?",
    "invalid_scope": "check the scope and that the application may use it",
    "scope_not_found": "the scope names a permission that the resource server does not have",
    "access_denied": "the application is not authorised for that resource server or scope",
    "operation_denied_by_license": "this IDaaS edition does not include the feature",
}


class TokenSource(Protocol):
    """Raises Refused, Unreachable or ConfigError."""

    async def token(self) -> Token: ...


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """A token for the application itself, from IDaaS's token endpoint."""

    wire: Post
    endpoint: str
    client_id: str
    scope: str
    auth: ClientAuth
    now: Now

    async def token(self) -> Token:
        try:
            return await self._ask()
        except Refused as error:
            # An assertion can be refused for its age or its jti alone: one made anew is the proof that it is not that.
            if error.code != "invalid_client":
                raise
            return await self._ask()

    async def _ask(self) -> Token:
        proof = await self.auth.prove(self.endpoint)
        common = {"client_id": self.client_id, "grant_type": "client_credentials", "scope": self.scope}
        reply = await self.wire.post(self.endpoint, {**common, **proof.fields}, proof.headers)
        if reply.status != 200:
            raise oauth_error(reply, self.endpoint)
        return token_from(reply.members(self.endpoint), now=self.now(), where=self.endpoint)


@dataclass(frozen=True, slots=True)
class TokenFile:
    """A token that somebody else writes (kubelet, a Vault agent); read at every refresh."""

    read: Secret
    place: str
    now: Now

    async def token(self) -> Token:
        value = await asyncio.to_thread(self.read)
        found = claims.unverified(value)
        if found is None:
            raise Refused(f"{self.place}: the file does not hold a JWT", status=0, code="invalid_token")
        if found.expires_at is not None and found.expires_at <= self.now():
            raise Unreachable(f"{self.place}: the token in the file has expired; whoever writes it is late")
        return Token(value, found.expires_at if found.expires_at is not None else self.now())


class SharedTokens:
    """
    One token per identity, whoever asks.

    A token is handed out until a fifth of its life, at least 60 s, is left. Concurrent askers share one request, and
    one who leaves does not end it for the others.
    """

    def __init__(self, *, now: Now, identities: int) -> None:
        self._now = now
        self._held: TLRUCache[Hashable, Token] = TLRUCache(
            maxsize=max(1, identities), ttu=self._hand_out_until, timer=now
        )
        self._flights: dict[Hashable, asyncio.Task[Token]] = {}

    async def token(self, identity: Hashable, fetch: Callable[[], Awaitable[Token]]) -> Token:
        """The identity's token, from memory or by `fetch`; raises what `fetch` raises."""
        held = self._held.get(identity)
        if held is not None:
            return held
        flight = self._flights.get(identity)
        if flight is None:
            flight = asyncio.ensure_future(self._fetch(identity, fetch))
            self._flights[identity] = flight
        return await asyncio.shield(flight)

    def forget(self, identity: Hashable) -> None:
        """Drops the identity's token, because somebody refused it."""
        self._held.pop(identity, None)

    async def _fetch(self, identity: Hashable, fetch: Callable[[], Awaitable[Token]]) -> Token:
        try:
            token = await fetch()
            self._held[identity] = token
            return token
        finally:
            del self._flights[identity]

    @staticmethod
    def _hand_out_until(_identity: Hashable, token: Token, now: float) -> float:
        return token.expires_at - max(60.0, 0.2 * (token.expires_at - now))


def token_from(members: Mapping[str, Any], *, now: float, where: str) -> Token:
    """
    The token of a successful answer, good until the earliest of what the answer and the JWT say.

    Raises Unreachable where the answer is no token answer, or where nothing says how long the token lives.
    """
    value = members.get("access_token")
    if not isinstance(value, str) or not value:
        raise Unreachable(f"{where}: HTTP 200 without access_token")
    kind = members.get("token_type")
    if kind is not None and str(kind).lower() != "bearer":
        raise Unreachable(f"{where}: a token of type {printable(str(kind))}, not Bearer")
    found = claims.unverified(value)
    if found is None:
        raise Unreachable(
            f"{where}: the access token is not a JWT, which STS needs; check the resource server's settings"
        )
    ends = [
        end
        for end in (_plus(now, members.get("expires_in")), _plus(0.0, members.get("expires_at")), found.expires_at)
        if end is not None
    ]
    if not ends:
        raise Unreachable(f"{where}: the answer says nowhere how long the token lives")
    if min(ends) <= now:
        raise Unreachable(f"{where}: the token has already expired by this machine's clock; check the clock")
    return Token(value, min(ends))


def oauth_error(reply: Reply, where: str) -> SidecarError:
    """A token endpoint's answer other than 200 as our error; it quotes the error code and request id, nothing else."""
    members = reply.members(where)
    code = printable(str(_first(members, "error", "Code", "code") or reply.status))
    request_id = printable(str(_first(members, "request_id", "RequestId", "requestId") or ""))
    description = str(_first(members, "error_description", "Message", "message") or "")
    text = f"{where}: HTTP {reply.status} {code}{f' (request {request_id})' if request_id else ''}"
    if reply.status >= 500 or reply.status == 429 or code in _TRANSIENT:
        return Unreachable(text, retry_after=reply.retry_after, code=code)
    hint = _HINTS.get(code) or ("is that the token endpoint's URL?" if reply.status == 404 else None)
    if "has not been authorized by resource server" in description:
        hint = "grant the application access to the resource server in IDaaS"
    return Refused(f"{text}: {hint}" if hint else text, status=reply.status, code=code, request_id=request_id)


def _plus(base: float, seconds: Any) -> float | None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < 1e11:
        return None
    return base + seconds


def _first(members: Mapping[str, Any], *names: str) -> Any:
    return next((members[name] for name in names if members.get(name)), None)
