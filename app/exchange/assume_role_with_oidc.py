"""A token for credentials: STS AssumeRoleWithOIDC, unsigned, the token in the form and never in the URL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote

from ..core.formats import timestamp
from ..core.model import Credentials, Now, Refused, Token
from ..upstream.client import Post
from ..upstream.errors import error_of
from .sts import credentials_from, first_reachable

LONGEST_TOKEN = 20_000
"""Characters (AssumeRoleWithOIDC's OIDCToken, 4 to 20 000)."""


class Exchange(Protocol):
    """Raises Refused, with `renew_token` where a new token may pass; or Unreachable."""

    async def credentials(self, token: Token) -> Credentials: ...


@dataclass(frozen=True, slots=True)
class AssumeRoleWithOidc:
    """One role, asked for at each of `endpoints` in turn while they cannot be reached."""

    wire: Post
    endpoints: tuple[str, ...]
    role_arn: str
    provider_arn: str
    session_name: str
    duration_seconds: int
    policy: str | None
    now: Now

    async def credentials(self, token: Token) -> Credentials:
        """A new session. Raises Refused, with `renew_token` where a new token may pass; or Unreachable."""
        if not 4 <= len(token.value) <= LONGEST_TOKEN:
            raise Refused(
                f"the OIDC token has {len(token.value)} characters; STS takes 4 to {LONGEST_TOKEN}",
                status=0,
                code="token_length",
            )
        return await first_reachable(self.endpoints, lambda endpoint: self._ask(endpoint, token))

    async def _ask(self, endpoint: str, token: Token) -> Credentials:
        now = self.now()
        query = f"Action=AssumeRoleWithOIDC&Version=2015-04-01&Format=JSON&Timestamp={quote(timestamp(now), safe='')}"
        reply = await self.wire.post(f"{endpoint}/?{query}", self._fields(token))
        if reply.status != 200:
            raise error_of(reply, endpoint)
        return credentials_from(reply.members(endpoint), now=self.now(), where=endpoint)

    def _fields(self, token: Token) -> dict[str, str]:
        fields = {
            "RoleArn": self.role_arn,
            "OIDCProviderArn": self.provider_arn,
            "OIDCToken": token.value,
            "RoleSessionName": self.session_name,
            "DurationSeconds": str(self.duration_seconds),
        }
        return fields | ({"Policy": self.policy} if self.policy is not None else {})
