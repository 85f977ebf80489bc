"""STS AssumeRoleWithOIDC: a token for credentials. Unsigned; the token is in the form, never in the URL."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from ..core.errors import Refused
from ..core.formats import timestamp
from ..core.values import Credentials, ServerNow, Token
from ..upstream.errors import answer_of
from ..upstream.response import Post
from .sts import credentials_from, first_reachable

LONGEST_TOKEN = 20_000
"""Characters (AssumeRoleWithOIDC's OIDCToken, 4 to 20 000)."""


@dataclass(frozen=True, slots=True)
class AssumeRoleWithOidc:
    """One role. The endpoints are tried in order while they cannot be reached."""

    http: Post
    endpoints: tuple[str, ...]
    role_arn: str
    provider_arn: str
    session_name: str
    duration_seconds: int
    policy: str | None
    now: ServerNow

    async def credentials(self, token: Token) -> Credentials:
        """Return a new session. Raises Refused, with `renew_token` where a new token may pass; or Unreachable."""
        if not 4 <= len(token.value) <= LONGEST_TOKEN:
            raise Refused(
                f"the OIDC token has {len(token.value)} characters; STS takes 4 to {LONGEST_TOKEN}",
                status=0,
                code="token_length",
                error_code="IDS-421",
            )
        return await first_reachable(self.endpoints, lambda endpoint: self._request(endpoint, token))

    async def _request(self, endpoint: str, token: Token) -> Credentials:
        now = self.now(endpoint)
        query = f"Action=AssumeRoleWithOIDC&Version=2015-04-01&Format=JSON&Timestamp={quote(timestamp(now), safe='')}"
        response = await self.http.post(f"{endpoint}/?{query}", self._fields(token))
        members = answer_of(response, endpoint, asked="STS", wanted="Credentials")
        return credentials_from(members, now=self.now(endpoint), where=endpoint)

    def _fields(self, token: Token) -> dict[str, str]:
        fields = {
            "RoleArn": self.role_arn,
            "OIDCProviderArn": self.provider_arn,
            "OIDCToken": token.value,
            "RoleSessionName": self.session_name,
            "DurationSeconds": str(self.duration_seconds),
        }
        return fields | ({"Policy": self.policy} if self.policy is not None else {})
