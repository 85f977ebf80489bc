"""`AssumeRole`: the credentials of a role, for a caller that signs the request and that the role trusts."""

import re
from collections.abc import Mapping
from typing import Any

from ..crypto.replay_cache import ReplayCache
from ..http.request import Request
from ..http.response import RefusedError
from ..world.trust_policy import ACTION, allows
from .issued_sessions import IssuedSessions
from .request_signatures import Caller, authenticate
from .session import assumed_role_user, check_parameters

NAME = "AssumeRole"
_EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]{2,1224}")


class AssumeRole:
    """The action `AssumeRole`. The request must be signed."""

    def __init__(self, sessions: IssuedSessions, nonces: ReplayCache) -> None:
        self._sessions = sessions
        self._nonces = nonces

    def __call__(self, request: Request, fields: Mapping[str, str]) -> dict[str, Any]:
        """Return the members of the response except RequestId. Raises `RefusedError`."""
        caller = authenticate(request, self._sessions, self._nonces)
        _check_fields(fields)
        role_arn = fields["RoleArn"]
        role = request.world.roles.get(role_arn)
        check_parameters(fields, role)
        if role is None:
            raise RefusedError("EntityNotExist.Role", f"The role not exists: {role_arn}.")
        context = {"sts:ExternalId": (fields["ExternalId"],)} if "ExternalId" in fields else {}
        is_trusted = allows(
            role.trust_policy, principal_type="RAM", principals=_matching_principals(caller), context=context
        )
        if ACTION not in caller.allowed_actions or not is_trusted:
            raise RefusedError(
                "NoPermission", "You are not authorized to do this action. You should be authorized by RAM.", 403
            )
        user = assumed_role_user(role_arn, fields["RoleSessionName"])
        return {"AssumedRoleUser": user, "Credentials": self._sessions.issue(request, fields, user["Arn"])}


def _matching_principals(caller: Caller) -> tuple[str, ...]:
    """Return the ARNs by which a trust policy can name the caller: its own, its role's, its account's root."""
    return caller.principal, caller.principal.rpartition("/")[0], f"acs:ram::{caller.account}:root"


def _check_fields(fields: Mapping[str, str]) -> None:
    for name in ("RoleArn", "RoleSessionName"):
        if not fields.get(name):
            raise RefusedError(f"Missing{name}", f"{name} is mandatory for this action.")
    if "ExternalId" in fields and not _EXTERNAL_ID.fullmatch(fields["ExternalId"]):
        raise RefusedError("InvalidParameter.ExternalId", "The parameter ExternalId is wrongly formed.")
