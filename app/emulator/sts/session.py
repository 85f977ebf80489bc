"""STS sessions: what may be asked about one, and the credentials it has. For every action that opens one."""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from ..http.request import Asked
from ..http.response import RefusedError
from ..world.world import Role

_NAME = re.compile(r"[A-Za-z0-9.@_-]{2,64}")
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_LEAST, _MOST, _USUAL = 900, 43200, 3600
_LONGEST_POLICY = 2048


def check_parameters(fields: Mapping[str, str], role: Role | None) -> None:
    """
    Raises `RefusedError` for a bad session name, duration or policy.

    A role that does not exist is refused elsewhere; here it has the greatest maximum a role can have.
    """
    if not _NAME.fullmatch(fields["RoleSessionName"]):
        raise RefusedError("InvalidParameter.RoleSessionName", "The parameter RoleSessionName is wrongly formed.")
    most = role.max_session_duration if role else _MOST
    if not _LEAST <= _asked_seconds(fields) <= most:
        message = f"The Min/Max value of DurationSeconds is 15min/{most / 3600:g}hr."
        raise RefusedError("InvalidParameter.DurationSeconds", message)
    if "Policy" in fields and not _is_policy(fields["Policy"]):
        raise RefusedError("InvalidParameter.PolicyGrammar", "The parameter Policy has not passed grammar check.")


def credentials(
    asked: Asked, fields: Mapping[str, str], random: Callable[[int], bytes]
) -> tuple[dict[str, str], float]:
    """New credentials, in the cloud's spelling and of its lengths; and when they end."""
    expires_at = asked.at + _seconds(asked, fields)
    found = {
        "AccessKeyId": "STS." + _alphanumeric(random(24)),
        "AccessKeySecret": _alphanumeric(random(44)),
        "SecurityToken": "CAIS" + base64.b64encode(random(441)).decode(),
        "Expiration": timestamp(expires_at),
    }
    return found, expires_at


def assumed_role_user(role_arn: str, session_name: str) -> dict[str, str]:
    """Who the caller has become. A role's id follows from its ARN."""
    role_id = 3 * 10**17 + int.from_bytes(hashlib.sha256(role_arn.encode()).digest()[:7]) % 10**17
    return {"AssumedRoleId": f"{role_id}:{session_name}", "Arn": f"{role_arn}/{session_name}"}


def timestamp(seconds: float) -> str:
    """Unix seconds as `YYYY-MM-DDThh:mm:ssZ`, rounded down."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _seconds(asked: Asked, fields: Mapping[str, str]) -> float:
    if asked.fault.expiration_offset is not None:
        return asked.fault.expiration_offset
    fixed = asked.world.session_seconds
    return _asked_seconds(fields) if fixed is None else fixed


def _asked_seconds(fields: Mapping[str, str]) -> int:
    text = fields.get("DurationSeconds", str(_USUAL))
    return int(text) if text.isascii() and text.isdigit() else 0


def _is_policy(text: str) -> bool:
    try:
        policy: Any = json.loads(text)
    except ValueError:
        return False
    return len(text) <= _LONGEST_POLICY and isinstance(policy, dict) and {"Version", "Statement"} <= policy.keys()


def _alphanumeric(random: bytes) -> str:
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in random)
