"""STS sessions: check the requested parameters and create credentials. Used by every action that issues a session."""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from ..http.request import Request
from ..http.response import RefusedError
from ..world.entities import Role

_NAME = re.compile(r"[A-Za-z0-9.@_-]{2,64}")
_ALPHANUMERICS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_MIN_SECONDS, _MAX_SECONDS, _DEFAULT_SECONDS = 900, 43200, 3600
_MAX_POLICY_LENGTH = 2048


def check_parameters(fields: Mapping[str, str], role: Role | None) -> None:
    """
    Check session name, duration and policy. Raises `RefusedError`.

    A `role` of None does not exist. Its absence is reported by the caller; here the duration may be up to 43200
    seconds, the greatest maximum that a role can have.
    """
    if not _NAME.fullmatch(fields["RoleSessionName"]):
        raise RefusedError("InvalidParameter.RoleSessionName", "The parameter RoleSessionName is wrongly formed.")
    maximum = role.max_session_duration if role else _MAX_SECONDS
    if not _MIN_SECONDS <= _requested_seconds(fields) <= maximum:
        message = f"The Min/Max value of DurationSeconds is 15min/{maximum / 3600:g}hr."
        raise RefusedError("InvalidParameter.DurationSeconds", message)
    if "Policy" in fields and not _is_policy(fields["Policy"]):
        raise RefusedError("InvalidParameter.PolicyGrammar", "The parameter Policy has not passed grammar check.")


def new_credentials(
    request: Request, fields: Mapping[str, str], random: Callable[[int], bytes]
) -> tuple[dict[str, str], float]:
    """
    Return new credentials and their expiration in Unix seconds.

    Member names and lengths are those of the real STS. `fields` may contain DurationSeconds.
    """
    expires_at = request.now + _session_seconds(request, fields)
    credentials = {
        "AccessKeyId": "STS." + _alphanumeric(random(24)),
        "AccessKeySecret": _alphanumeric(random(44)),
        "SecurityToken": "CAIS" + base64.b64encode(random(441)).decode(),
        "Expiration": timestamp(expires_at),
    }
    return credentials, expires_at


def assumed_role_user(role_arn: str, session_name: str) -> dict[str, str]:
    """Return the AssumedRoleUser of a session. The role's id is derived from its ARN."""
    role_id = 3 * 10**17 + int.from_bytes(hashlib.sha256(role_arn.encode()).digest()[:7]) % 10**17
    return {"AssumedRoleId": f"{role_id}:{session_name}", "Arn": f"{role_arn}/{session_name}"}


def timestamp(seconds: float) -> str:
    """Return Unix seconds as `YYYY-MM-DDThh:mm:ssZ`, rounded down."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _session_seconds(request: Request, fields: Mapping[str, str]) -> float:
    if request.fault.expiration_offset is not None:
        return request.fault.expiration_offset
    fixed = request.world.session_seconds
    return _requested_seconds(fields) if fixed is None else fixed


def _requested_seconds(fields: Mapping[str, str]) -> int:
    text = fields.get("DurationSeconds", str(_DEFAULT_SECONDS))
    return int(text) if text.isascii() and text.isdigit() else 0


def _is_policy(text: str) -> bool:
    try:
        policy: Any = json.loads(text)
    except ValueError:
        return False
    return len(text) <= _MAX_POLICY_LENGTH and isinstance(policy, dict) and {"Version", "Statement"} <= policy.keys()


def _alphanumeric(random_bytes: bytes) -> str:
    return "".join(_ALPHANUMERICS[byte % len(_ALPHANUMERICS)] for byte in random_bytes)
