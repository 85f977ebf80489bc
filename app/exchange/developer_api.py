"""IDaaS's DeveloperAPI, obtainAccessCredential: exchanges a token for credentials of a RAM role that IDaaS manages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from ..core.errors import Refused
from ..core.numbers import seconds
from ..core.record import Record
from ..core.values import Credentials, ServerNow, Token
from ..upstream.answers.errors import answer_of
from ..upstream.response import Get
from .sts import complete, instant

_CREDENTIAL = "cloudAccountRoleAccessCredential"
_CODES = {
    "access_denied": "IDS-427",  # at the token endpoint, the same code concerns the resource server
    "cloud_account_role_not_found": "IDS-423",
    "not_found": "IDS-423",
    "invalid_client_credential": "IDS-425",
    "invalid_audience": "IDS-425",
}

_STATUSES = {401: "IDS-426", 403: "IDS-427", 404: "IDS-428"}
"""Stable codes by status: the API documents no codes for these. 404 without a known code may mean a wrong host."""


class ObtainAccessCredential(Record, frozen=True):
    """One role. If `duration_seconds` is None, it is not sent, and the role's own session length applies."""

    http: Get
    endpoint: str
    instance_id: str
    role_arn: str
    duration_seconds: int | None
    now: ServerNow

    async def credentials(self, token: Token) -> Credentials:
        """Return a new session. Raises Unreachable, or Refused, with `renew_token` if the token was refused."""
        instance = quote(self.instance_id, safe="")
        where = f"{self.endpoint}/v2/{instance}/cloudAccountRoles/_/actions/obtainAccessCredential"
        response = await self.http.get(f"{where}?{self._query()}", {"Authorization": f"Bearer {token.value}"})
        members = answer_of(
            response, where, asked="the DeveloperAPI", wanted=_CREDENTIAL, codes=_CODES, statuses=_STATUSES
        )
        return self._session(members, where)

    def _query(self) -> str:
        query = f"cloudAccountRoleExternalId={quote(self.role_arn, safe='')}"
        return query if self.duration_seconds is None else f"{query}&durationSeconds={self.duration_seconds}"

    def _session(self, members: Mapping[str, Any], where: str) -> Credentials:
        found = _object(members.get(_CREDENTIAL))
        values = _object(found.get("alibabaCloudStsToken"))
        if found and not values:
            raise Refused(
                f"{where}: HTTP 200 without alibabaCloudStsToken: that role belongs to another cloud",
                status=200,
                code="another_vendor",
                error_code="IDS-424",
                endpoint=where,
            )
        triple = [values.get(name) for name in ("accessKeyId", "accessKeySecret", "securityToken")]
        return complete(triple, _end(found, values), now=self.now(where), where=where)


def _end(found: Mapping[str, Any], values: Mapping[str, Any]) -> float | None:
    """Return the earlier of the two ends in the answer. One of them may be missing."""
    said = seconds(found.get("accessCredentialExpiresAt"))
    ends = [end for end in (instant(values.get("expiration")), said) if end is not None]
    return min(ends, default=None)


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
