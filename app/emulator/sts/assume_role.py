"""`AssumeRole`: a role's credentials for whoever signs the call and is trusted by the role."""

import re
from collections.abc import Mapping
from typing import Any

from ..crypto.nonces import SeenOnce
from ..http.request import Asked
from ..http.response import RefusedError
from ..world.trust_policy import allows
from .issued_sessions import Sessions
from .request_signatures import Caller, caller
from .session import assumed_role_user, check_parameters

NAME = "AssumeRole"
_EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]{2,1224}")


class AssumeRole:
    """The action; signed."""

    def __init__(self, sessions: Sessions, seen: SeenOnce) -> None:
        self._sessions = sessions
        self._seen = seen

    def __call__(self, asked: Asked, fields: Mapping[str, str]) -> dict[str, Any]:
        """The body of the answer, but for its RequestId. Raises `RefusedError`."""
        who = caller(asked, self._sessions, self._seen)
        _check_present(fields)
        role_arn = fields["RoleArn"]
        role = asked.world.roles.get(role_arn)
        check_parameters(fields, role)
        if role is None:
            raise RefusedError("EntityNotExist.Role", f"The role not exists: {role_arn}.")
        facts = {"sts:ExternalId": (fields["ExternalId"],)} if "ExternalId" in fields else {}
        may = "sts:AssumeRole" in who.may
        if not may or not allows(role.trust_policy, kind="RAM", principals=_principals(who), facts=facts):
            raise RefusedError(
                "NoPermission", "You are not authorized to do this action. You should be authorized by RAM.", 403
            )
        user = assumed_role_user(role_arn, fields["RoleSessionName"])
        return {"AssumedRoleUser": user, "Credentials": self._sessions.open(asked, fields, user["Arn"])}


def _principals(who: Caller) -> tuple[str, ...]:
    """What a trust policy may call the caller: by name, by role, or as anybody of the account."""
    return who.principal, who.principal.rpartition("/")[0], f"acs:ram::{who.account}:root"


def _check_present(fields: Mapping[str, str]) -> None:
    for name in ("RoleArn", "RoleSessionName"):
        if not fields.get(name):
            raise RefusedError(f"Missing{name}", f"{name} is mandatory for this action.")
    if "ExternalId" in fields and not _EXTERNAL_ID.fullmatch(fields["ExternalId"]):
        raise RefusedError("InvalidParameter.ExternalId", "The parameter ExternalId is wrongly formed.")
