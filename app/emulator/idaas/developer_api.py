"""The DeveloperAPI operation `obtainAccessCredential`: credentials of a RAM role that IDaaS manages."""

import calendar
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from ..crypto.jws import Token, parse, verify_signature
from ..crypto.signing_keys import SigningKeys
from ..http.request import Request
from ..http.response import RefusedError, Response, json_response, request_id
from ..sts.issued_sessions import IssuedSessions
from ..world.entities import ManagedRole
from ..world.world import PAM_AUDIENCE, issuer_for

SCOPE = "cloud_account_role:obtain_access_credential"
PATH = re.compile(r"/v2/([^/]+)/cloudAccountRoles/_/actions/obtainAccessCredential")
_CREDENTIAL_MEMBERS = {"aws": "awsStsToken", "tencent_cloud": "tencentCloudStsToken"}
_STATUS = {"InternalError": 500, "ServiceUnavailable": 503, "server_error": 500, "temporarily_unavailable": 503}


class DeveloperApi:
    """The operation `obtainAccessCredential`. A bearer token authenticates the request."""

    def __init__(self, keys: SigningKeys, sessions: IssuedSessions, random: Callable[[int], bytes]) -> None:
        self._keys = keys
        self._sessions = sessions
        self._random = random

    def respond(self, request: Request) -> Response:
        """Return the role's credentials, with camelCase members. Raises `RefusedError`."""
        token = self._verified_token(request)
        if _instance_id(request.url) != request.world.instance_id:
            raise RefusedError("not_found", "The instance does not exist.", 404)
        arn = request.query.get("cloudAccountRoleExternalId", "")
        role = request.world.managed_roles.get(arn)
        if role is None:
            raise RefusedError("cloud_account_role_not_found", "The cloud account role does not exist.", 404)
        if token.claims.get("client_id") not in role.clients:
            raise RefusedError("access_denied", "The application is not authorised for that role.", 403)
        if role.broken:
            raise RefusedError("invalid_client_credential", "The vendor rejected the credential of IDaaS.", 400)
        return json_response(self._credentials(request, arn, role))

    def error_response(self, request: Request, error: RefusedError) -> Response:
        """Return an error in the format of OAuth."""
        document = {
            "error": error.code,
            "error_description": error.message,
            "request_id": request_id(self._random(16)),
        }
        return json_response(document, error.status or _STATUS.get(error.code, 400), error.code)

    def _verified_token(self, request: Request) -> Token:
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        try:
            token = parse(text.strip())
        except ValueError:
            raise _invalid_token("There is no bearer token.") from None
        rules = (
            (scheme.lower() == "bearer", "There is no bearer token."),
            (verify_signature(token, self._keys.published.values()), "The token's signature is wrong."),
            (token.claims.get("iss") == issuer_for(request.world, request.url), "The token is from another issuer."),
            (request.now < token.number("exp"), "The token has expired."),
        )
        for holds, reason in rules:
            if not holds:
                raise _invalid_token(reason)
        if PAM_AUDIENCE not in token.audiences or SCOPE not in str(token.claims.get("scope")).split():
            raise RefusedError("insufficient_scope", f"The token needs the scope {PAM_AUDIENCE}|{SCOPE}.", 403)
        return token

    def _credentials(self, request: Request, arn: str, role: ManagedRole) -> dict[str, Any]:
        seconds = _session_seconds(request.query, role)
        credentials = self._sessions.issue(request, {"DurationSeconds": str(seconds)}, f"{arn}/idaas")
        expires_at = calendar.timegm(time.strptime(credentials["Expiration"], "%Y-%m-%dT%H:%M:%SZ"))
        return {
            "cloudAccountId": "ca_demo",
            "cloudAccountRoleId": "carole_demo",
            "cloudAccountRoleName": arn.rpartition("/")[2],
            "cloudAccountRoleExternalId": arn,
            "cloudAccountVendorType": role.vendor,
            "cloudAccountRoleAccessCredential": {
                "accessCredentialExpiresAt": expires_at,
                _CREDENTIAL_MEMBERS.get(role.vendor, "alibabaCloudStsToken"): {
                    name[0].lower() + name[1:]: value for name, value in credentials.items()
                },
            },
        }


def _session_seconds(query: Mapping[str, str], role: ManagedRole) -> int:
    """Return the requested duration in seconds, limited to the role's maximum. Raises `RefusedError`."""
    text = query.get("durationSeconds", str(role.max_session_duration))
    seconds = int(text) if text.isascii() and text.isdigit() else 0
    if not 900 <= seconds <= 43200:
        raise RefusedError("invalid_request", "durationSeconds must be 900 to 43200.", 400)
    return min(seconds, role.max_session_duration)


def _instance_id(url: str) -> str | None:
    match = PATH.search(url)
    return match[1] if match else None


def _invalid_token(message: str) -> RefusedError:
    return RefusedError("invalid_token", message, 401)
