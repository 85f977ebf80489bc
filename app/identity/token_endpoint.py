"""Where an OIDC token comes from: client credentials (RFC 6749 4.4), token exchange (RFC 8693), or a file."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from ..core.model import Now, Refused, Secret, Token, TokenUse, Unreachable
from ..system.secrets import Rotating
from ..upstream.client import Post
from ..upstream.errors import Meaning, error_of
from . import jwt_claims
from .client_auth import ClientAuth
from .token_response import token_from

_STATUSES = {404: Meaning("refused", "is that the token endpoint's URL?")}

TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - a name (RFC 8693)


class TokenSource(Protocol):
    """Raises Refused, Unreachable or ConfigError."""

    async def token(self) -> Token: ...


@dataclass(frozen=True, slots=True)
class TokenEndpoint:
    """A token endpoint and one client there. `url` is asked each time: it may come from discovery."""

    wire: Post
    url: Callable[[], Awaitable[str]]
    client_id: str
    auth: ClientAuth
    now: Now
    use: TokenUse = "access_token"
    secret: Rotating | None = None
    """What `auth` proves itself with, where that may be replaced under us."""
    warn: Callable[[str], None] = lambda _sentence: None

    async def ask(self, grant: Mapping[str, str]) -> Token:
        """The token that `grant` obtains. Raises Refused, Unreachable or ConfigError."""
        url = await self.url()
        try:
            token = await self._post(url, grant)
        except Refused as error:
            if error.code != "invalid_client":
                raise
            token = await self._once_more(url, grant)
        if self.secret is not None:
            self.secret.worked()
        return token

    async def _once_more(self, url: str, grant: Mapping[str, str]) -> Token:
        """
        The same with a new proof, since an assertion can be refused for its age or its jti alone.

        A secret that was just replaced here may not be in force there yet: then with the one that worked before.
        """
        before = self.secret is not None and self.secret.refused()
        token = await self._post(url, grant)
        if before:
            self.warn("the new client secret or key is refused; the one before it still works, and is used until then")
        return token

    async def _post(self, url: str, grant: Mapping[str, str]) -> Token:
        proof = await self.auth.prove(url)
        reply = await self.wire.post(url, {"client_id": self.client_id, **grant, **proof.fields}, proof.headers)
        if reply.status != 200:
            raise error_of(reply, url, statuses=_STATUSES)
        return token_from(reply.members(url), now=self.now(), where=url, use=self.use)


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """A token for the client itself. `wishes`: scope, audience, resource, as far as they are configured."""

    endpoint: TokenEndpoint
    wishes: Mapping[str, str]

    async def token(self) -> Token:
        return await self.endpoint.ask({"grant_type": "client_credentials", **self.wishes})


@dataclass(frozen=True, slots=True)
class TokenExchange:
    """A token for the client, for the token of `subject`, which is asked for anew each time."""

    endpoint: TokenEndpoint
    subject: TokenSource
    subject_type: str
    requested_type: str | None
    wishes: Mapping[str, str]

    async def token(self) -> Token:
        subject = await self.subject.token()
        requested = {"requested_token_type": self.requested_type} if self.requested_type else {}
        return await self.endpoint.ask(
            {
                "grant_type": TOKEN_EXCHANGE,
                "subject_token": subject.value,
                "subject_token_type": self.subject_type,
                **requested,
                **self.wishes,
            }
        )


@dataclass(frozen=True, slots=True)
class TokenFile:
    """A token that somebody else writes (kubelet, a Vault agent); read at every refresh."""

    read: Secret
    place: str
    now: Now
    told: Callable[[], bool]
    """Whether `now` is certain. Where it is not, the cloud is asked, and its answer tells the time."""

    async def token(self) -> Token:
        value = await asyncio.to_thread(self.read)
        found = jwt_claims.unverified(value)
        if found is None:
            raise Refused(f"{self.place}: the file does not hold a JWT", status=0, code="invalid_token")
        if found.expires_at is not None and found.expires_at <= self.now() and self.told():
            raise Unreachable(f"{self.place}: the token in the file has expired; whoever writes it is late")
        return Token(value, found.expires_at if found.expires_at is not None else self.now())
