"""STS AssumeRole: requests a further role's credentials, signed with the previous credentials (ACS3-HMAC-SHA256)."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from ..core.record import Record
from ..core.values import Credentials, ServerNow
from ..upstream import acs3
from ..upstream.acs3 import KeyPair
from ..upstream.answers.errors import answer_of
from ..upstream.dated import dated
from ..upstream.response import Post
from .sts import STATUSES, credentials_from, first_reachable

VERSION = "2015-04-01"


class AssumeRole(Record, frozen=True):
    """One chained role. The endpoints are tried in order while they cannot be reached."""

    http: Post
    endpoints: tuple[str, ...]
    role_arn: str
    session_name: str
    duration_seconds: int
    policy: str | None
    external_id: str | None
    source_identity: str | None
    now: ServerNow
    new_id: Callable[[], str]

    async def assume(self, parent: Credentials) -> Credentials:
        """
        Return a session of this role that ends no later than its parent. Revoking the parent also ends its refreshes.

        Raises Refused or Unreachable.
        """
        found = await first_reachable(self.endpoints, lambda endpoint: self._dated(endpoint, parent))
        return replace(found, expires_at=min(found.expires_at, parent.expires_at))

    async def _dated(self, endpoint: str, parent: Credentials) -> Credentials:
        return await dated(lambda: self.now(endpoint), lambda at: self._request(endpoint, parent, at))

    async def _request(self, endpoint: str, parent: Credentials, at: float) -> Credentials:
        query = self._query()
        # The parameters are in the URL, as the official SDK sends them; none of them is secret.
        headers = acs3.acs3(
            endpoint.partition("://")[2],
            query,
            action="AssumeRole",
            version=VERSION,
            keys=KeyPair(parent.access_key_id, parent.access_key_secret, parent.security_token),
            at=at,
            nonce=self.new_id(),
        )
        response = await self.http.post(f"{endpoint}/?{acs3.canonical_query(query)}", {}, headers)
        secrets = (parent.access_key_secret,)
        members = answer_of(response, endpoint, asked="STS", wanted="Credentials", statuses=STATUSES, secrets=secrets)
        return credentials_from(members, now=self.now(endpoint), where=endpoint, secrets=(*response.sent, *secrets))

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
