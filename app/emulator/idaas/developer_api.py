"""The emulated DeveloperAPI: `obtainAccessCredential`, credentials of a RAM role that IDaaS manages."""

import calendar
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from ..crypto.jws import Token, parse, signed_with_one_of
from ..crypto.signing_keys import SigningKeys
from ..http.request import Asked
from ..http.response import Answer, RefusedError, json_answer, request_id
from ..sts.issued_sessions import Sessions
from ..world.world import PAM_AUDIENCE, ManagedRole, issuer_of

SCOPE = "cloud_account_role:obtain_access_credential"
PATH = re.compile(r"/v2/([^/]+)/cloudAccountRoles/_/actions/obtainAccessCredential")
_VENDORS = {"aws": "awsStsToken", "tencent_cloud": "tencentCloudStsToken"}
_STATUS = {"InternalError": 500, "ServiceUnavailable": 503, "server_error": 500, "temporarily_unavailable": 503}


class DeveloperApi:
    """Answers for one operation; the bearer token is the proof."""

    def __init__(self, keys: SigningKeys, sessions: Sessions, random: Callable[[int], bytes]) -> None:
        self._keys = keys
        self._sessions = sessions
        self._random = random

    def answer(self, asked: Asked) -> Answer:
        """The credentials in camelCase. Raises `RefusedError`."""
        token = self._bearer(asked)
        if _instance(asked.url) != asked.world.instance_id:
            raise RefusedError("not_found", "The instance does not exist.", 404)
        arn = asked.query.get("cloudAccountRoleExternalId", "")
        role = asked.world.managed_roles.get(arn)
        if role is None:
            raise RefusedError("cloud_account_role_not_found", "The cloud account role does not exist.", 404)
        if token.claims.get("client_id") not in role.clients:
            raise RefusedError("access_denied", "The application is not authorised for that role.", 403)
        if role.broken:
            raise RefusedError("invalid_client_credential", "The vendor refused the server's credential.", 400)
        return json_answer(self._document(asked, arn, role))

    def refuse(self, asked: Asked, refused: RefusedError) -> Answer:
        """An error in OAuth's form."""
        document = {
            "error": refused.code,
            "error_description": refused.message,
            "request_id": request_id(self._random(16)),
        }
        return json_answer(document, refused.status or _STATUS.get(refused.code, 400), refused.code)

    def _bearer(self, asked: Asked) -> Token:
        scheme, _, text = asked.headers.get("authorization", "").partition(" ")
        try:
            token = parse(text.strip())
        except ValueError:
            raise _unauthorised("There is no bearer token.") from None
        rules = (
            (scheme.lower() == "bearer", "There is no bearer token."),
            (signed_with_one_of(token, self._keys.published.values()), "The token's signature is wrong."),
            (token.claims.get("iss") == issuer_of(asked.world, asked.url), "The token is another issuer's."),
            (asked.at < token.number("exp"), "The token has expired."),
        )
        for holds, otherwise in rules:
            if not holds:
                raise _unauthorised(otherwise)
        if PAM_AUDIENCE not in token.audiences or SCOPE not in str(token.claims.get("scope")).split():
            raise RefusedError("insufficient_scope", f"The token needs the scope {PAM_AUDIENCE}|{SCOPE}.", 403)
        return token

    def _document(self, asked: Asked, arn: str, role: ManagedRole) -> dict[str, Any]:
        seconds = _seconds(asked.query, role)
        found = self._sessions.open(asked, {"DurationSeconds": str(seconds)}, f"{arn}/idaas")
        sts = {name[0].lower() + name[1:]: value for name, value in found.items()}
        expires_at = calendar.timegm(time.strptime(found["Expiration"], "%Y-%m-%dT%H:%M:%SZ"))
        return {
            "cloudAccountId": "ca_demo",
            "cloudAccountRoleId": "carole_demo",
            "cloudAccountRoleName": arn.rpartition("/")[2],
            "cloudAccountRoleExternalId": arn,
            "cloudAccountVendorType": role.vendor,
            "cloudAccountRoleAccessCredential": {
                "accessCredentialExpiresAt": expires_at,
                _VENDORS.get(role.vendor, "alibabaCloudStsToken"): sts,
            },
        }


def _seconds(query: Mapping[str, str], role: ManagedRole) -> int:
    text = query.get("durationSeconds", str(role.max_session_duration))
    seconds = int(text) if text.isascii() and text.isdigit() else 0
    if not 900 <= seconds <= 43200:
        raise RefusedError("invalid_request", "durationSeconds must be 900 to 43200.", 400)
    return min(seconds, role.max_session_duration)


def _instance(url: str) -> str | None:
    match = PATH.search(url)
    return match[1] if match else None


def _unauthorised(message: str) -> RefusedError:
    return RefusedError("invalid_token", message, 401)
