"""STS AssumeRoleWithOIDC: exchanges a token for credentials. Unsigned; the token is in the form, never in the URL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ..core.errors import Refused
from ..core.formats import timestamp
from ..core.record import Record
from ..core.text import quoted
from ..core.values import Credentials, ServerNow, Token
from ..upstream.answers.errors import answer_of
from ..upstream.redaction import repeats
from ..upstream.response import Post
from .sts import STATUSES, credentials_from, first_reachable

LONGEST_TOKEN = 20_000
"""The most characters of a token (AssumeRoleWithOIDC's OIDCToken, 4 to 20,000)."""


class AssumeRoleWithOidc(Record, frozen=True):
    """
    One role. The endpoints are tried in order while they cannot be reached.

    After STS has accepted a token, `verified` is called with the OIDCTokenInfo of the answer: the claims that STS read.
    """

    http: Post
    endpoints: tuple[str, ...]
    role_arn: str
    provider_arn: str
    session_name: str
    duration_seconds: int
    policy: str | None
    now: ServerNow
    verified: Callable[[Mapping[str, str]], None] = lambda _info: None

    async def credentials(self, token: Token) -> Credentials:
        """Return a new session. Raises Unreachable, or Refused, with `renew_token` if a new token may be accepted."""
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
        members = answer_of(response, endpoint, asked="STS", wanted="Credentials", statuses=STATUSES)
        self.verified(_token_info(members, response.sent))
        return credentials_from(members, now=self.now(endpoint), where=endpoint, secrets=response.sent)

    def _fields(self, token: Token) -> dict[str, str]:
        fields = {
            "RoleArn": self.role_arn,
            "OIDCProviderArn": self.provider_arn,
            "OIDCToken": token.value,
            "RoleSessionName": self.session_name,
            "DurationSeconds": str(self.duration_seconds),
        }
        return fields | ({"Policy": self.policy} if self.policy is not None else {})


def _token_info(members: Mapping[str, Any], sent: Sequence[str]) -> dict[str, str]:
    """Return the text members of OIDCTokenInfo that do not repeat the token, each as one line of limited length."""
    found = members.get("OIDCTokenInfo")
    known = ("Issuer", "Subject", "ClientIds", "IssuanceTime", "ExpirationTime", "VerificationInfo")
    values = found if isinstance(found, dict) else {}
    texts = {name: quoted(values[name]) for name in known if isinstance(values.get(name), str)}
    return {name: text for name, text in texts.items() if not repeats(text, sent)}
