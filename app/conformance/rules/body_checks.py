"""Compares a response's body with the body that every client accepts: what is missing, and what is added. Pure."""

from __future__ import annotations

import re
from typing import Any

from ..models.json_parser import json_object, timestamp_format
from ..models.parse_result import ACCESS_KEY, KEYS_AND_EXPIRATION
from ..models.timestamps import strict
from ..wire.header_text import describe_misfit, fits_header
from ..wire.response import Outcome, Response
from .rule import NotApplicable, Problems

_MEMBERS = ("Code", "StatusCode", *KEYS_AND_EXPIRATION, "LastUpdated")
_OSSFS_SEARCHES = ("Token", "Expiration", "AccessKeyId", "AccessKeySecret", "RoleArn", ",")
"""Texts by which ossfs v1 takes a member for another one."""


def require_response(outcome: Outcome) -> Response:
    """Return a response with status 200. Raises NotApplicable if there is none to check."""
    if not isinstance(outcome, Response):
        raise NotApplicable(f"no response: {outcome.reason}")
    if outcome.status != 200:
        raise NotApplicable(f"status {outcome.status}")
    return outcome


def succeeded(outcome: Outcome) -> bool:
    """Whether there is a response with status 200."""
    return isinstance(outcome, Response) and outcome.status == 200


def status_problems(outcome: Outcome, what: str, allowed: tuple[int, ...] = (200,)) -> Problems:
    """Return a problem if there is no response with one of the `allowed` statuses. `what` names the request."""
    if not isinstance(outcome, Response):
        return [f"{what}: {outcome.reason}"]
    return [] if outcome.status in allowed else [f"{what}: status {outcome.status}"]


def session_times(outcome: Outcome, now: float) -> tuple[float | None, float | None]:
    """
    Return the seconds that the session has left, and its length in seconds.

    None where the timestamps are missing or not in the format that every client accepts.
    """
    members = json_object(outcome.body) if isinstance(outcome, Response) else None
    texts = [(members or {}).get(name) for name in ("Expiration", "LastUpdated")]
    expires_at, issued_at = (strict(text) if isinstance(text, str) else None for text in texts)
    if expires_at is None:
        return None, None
    return expires_at - now, None if issued_at is None else expires_at - issued_at


def credential_body_problems(body: bytes, now: float) -> Problems:
    """Return where a body of the credentials URI or of a role differs from the body that every client accepts."""
    members = json_object(body)
    if members is None:
        return [f"{len(body)} bytes that are not a JSON object"]
    return [
        *(["more than one line"] if b"\n" in body or b"\r" in body else []),
        *_code(members),
        *(
            f"{name} is not a string with a value"
            for name in (*KEYS_AND_EXPIRATION, "LastUpdated")
            if not _has_text(members, name)
        ),
        *_timestamps(members, now),
        *_other_members(members),
    ]


def _code(members: dict[str, Any]) -> Problems:
    problems = [] if members.get("Code") == "Success" else ["Code is not the string Success"]
    if members.get("StatusCode", "200") != "200":
        problems.append("StatusCode is not the string 200")
    return problems


def _timestamps(members: dict[str, Any], now: float) -> Problems:
    texts = {name: members[name] for name in ("Expiration", "LastUpdated") if _has_text(members, name)}
    problems = [
        f"{name} has the format {timestamp_format(text)}" for name, text in texts.items() if strict(text) is None
    ]
    expires_at = strict(texts.get("Expiration", ""))
    if expires_at is None or expires_at > now:
        return problems
    return [*problems, f"it expired {now - expires_at:.0f} s ago"]


def _other_members(members: dict[str, Any]) -> Problems:
    others = {name: value for name, value in members.items() if name not in _MEMBERS}
    nested = [name for name, value in others.items() if isinstance(value, dict | list)]
    confusing = [
        name
        for name, value in others.items()
        if name not in nested and any(text in f"{name} {value}" for text in _OSSFS_SEARCHES)
    ]
    return [
        *(f"{_printable(name)} is an object or an array" for name in nested),
        *(f"{_printable(name)} contains a keyword or a comma that ossfs v1 misreads" for name in confusing),
    ]


def error_body_problems(response: Response) -> Problems:
    """Return the parts of an error that mislead clients which decide by the body."""
    members = json_object(response.body)
    if members is None:
        return [f"status {response.status}: {len(response.body)} bytes that are not a JSON object"]
    code = members.get("Code")
    problems = [] if isinstance(code, str) and code else [f"status {response.status}: no Code that is a string"]
    if isinstance(code, str) and code.lower() == "success":
        problems.append(f"status {response.status}: Code is Success")
    keys = [name for name in ACCESS_KEY if name in members]
    return [*problems, *(f"status {response.status}: the body has {name}" for name in keys)]


def header_text_problems(response: Response) -> Problems:
    """Return why the body of a token or a role list is not one line of visible ASCII without a line end."""
    text = response.body.decode("latin-1")
    return [] if fits_header(text) else [describe_misfit(text)]


def _printable(name: str) -> str:
    """Return a member's name if it is safe to print, and its length otherwise."""
    return name if re.fullmatch(r"[A-Za-z0-9_.-]{1,32}", name) else f"a name of {len(name)} characters"


def _has_text(members: dict[str, Any], name: str) -> bool:
    value = members.get(name)
    return isinstance(value, str) and value != ""
