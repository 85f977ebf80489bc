"""A token for an AccessKey or an ECS role: the EIAM OpenAPI's GenerateOauthToken, signed (the SDK's PLUGIN method)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ..core.model import Now, Token, Unreachable
from ..upstream import acs3
from ..upstream.acs3 import KeyPair
from ..upstream.client import Post, Reply
from ..upstream.errors import Meaning, error_of
from .token_response import token_from

VERSION = "2021-12-01"

_CODES = {
    "NoPermission": Meaning("withdrawn", "the AccessKey or role needs eiam:GenerateOauthToken on the application"),
    "EntityNotExist.Application": Meaning("refused", "check clientId and idaasInstanceId"),
}


@dataclass(frozen=True, slots=True)
class GenerateOauthToken:
    """`scope` reads `<audience>|<value> …`; `keys` is asked at every call."""

    wire: Post
    endpoint: str
    instance_id: str
    client_id: str
    scope: str
    keys: Callable[[], Awaitable[KeyPair]]
    now: Now
    new_id: Callable[[], str]

    async def token(self) -> Token:
        """Raises Refused, Unreachable or ConfigError."""
        query = self._query()
        headers = acs3.acs3(
            self.endpoint.partition("://")[2],
            query,
            action="GenerateOauthToken",
            version=VERSION,
            keys=await self.keys(),
            at=self.now(),
            nonce=self.new_id(),
        )
        reply = await self.wire.post(f"{self.endpoint}/?{acs3.canonical_query(query)}", {}, headers)
        if reply.status != 200:
            raise error_of(reply, self.endpoint, codes=_CODES)
        return self._token(reply)

    def _query(self) -> dict[str, str]:
        items = self.scope.split()
        values = {f"ScopeValues.{index}": item.partition("|")[2] for index, item in enumerate(items, 1)}
        return {
            "InstanceId": self.instance_id,
            "ApplicationId": self.client_id,
            "Audience": items[0].partition("|")[0],
            **values,
        }

    def _token(self, reply: Reply) -> Token:
        found = reply.members(self.endpoint).get("TokenResponse")
        if not isinstance(found, dict):
            raise Unreachable(f"{self.endpoint}: HTTP 200 without TokenResponse")
        names = {
            "access_token": "AccessToken",
            "token_type": "TokenType",
            "expires_in": "ExpiresIn",
            "expires_at": "ExpiresAt",
        }
        members = {ours: found.get(theirs) for ours, theirs in names.items()}
        return token_from(members, now=self.now(), where=self.endpoint)
