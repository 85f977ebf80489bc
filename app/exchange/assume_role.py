"""Credentials for further credentials: STS AssumeRole, signed with what is held (ACS3-HMAC-SHA256)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ..core.model import Credentials, Now
from ..upstream import acs3
from ..upstream.acs3 import KeyPair
from ..upstream.client import Post
from ..upstream.errors import error_of
from .sts import credentials_from, first_reachable

VERSION = "2015-04-01"


@dataclass(frozen=True, slots=True)
class AssumeRole:
    """One link of a chain, asked for at each of `endpoints` in turn while they cannot be reached."""

    wire: Post
    endpoints: tuple[str, ...]
    role_arn: str
    session_name: str
    duration_seconds: int
    policy: str | None
    external_id: str | None
    source_identity: str | None
    now: Now
    new_id: Callable[[], str]

    async def assume(self, parent: Credentials) -> Credentials:
        """
        A session of this role, never longer than its parent: who revokes that one ends this one's refreshes too.

        Raises Refused or Unreachable.
        """
        found = await first_reachable(self.endpoints, lambda endpoint: self._ask(endpoint, parent))
        return replace(found, expires_at=min(found.expires_at, parent.expires_at))

    async def _ask(self, endpoint: str, parent: Credentials) -> Credentials:
        query = self._query()
        # The parameters stand in the URL, as the official SDK sends them; nothing secret is among them.
        headers = acs3.acs3(
            endpoint.partition("://")[2],
            query,
            action="AssumeRole",
            version=VERSION,
            keys=KeyPair(parent.access_key_id, parent.access_key_secret, parent.security_token),
            at=self.now(),
            nonce=self.new_id(),
        )
        reply = await self.wire.post(f"{endpoint}/?{acs3.canonical_query(query)}", {}, headers)
        if reply.status != 200:
            raise error_of(reply, endpoint)
        return credentials_from(reply.members(endpoint), now=self.now(), where=endpoint)

    def _query(self) -> dict[str, str]:
        given = {
            "RoleArn": self.role_arn,
            "RoleSessionName": self.session_name,
            "DurationSeconds": str(self.duration_seconds),
            "Policy": self.policy,
            "ExternalId": self.external_id,
            "SourceIdentity": self.source_identity,
        }
        return {name: value for name, value in given.items() if value is not None}
