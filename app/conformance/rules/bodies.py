"""The bodies that every client accepts, as checks: what an answer's body lacks or has too much. Pure."""

from __future__ import annotations

import re
from typing import Any

from ..models.body_parser import FOUR, form, json_object
from ..models.timestamps import strict
from ..probe.walk import LONGEST_LINE, describe_line
from ..wire.answer import Answer, Reply
from .rule import NotSeen, Problems

KNOWN = ("Code", "StatusCode", *FOUR, "LastUpdated")
_TRAPS = ("Token", "Expiration", "AccessKeyId", "AccessKeySecret", "RoleArn", ",")
"""Words by which ossfs v1 takes a member for another one."""


def answered(reply: Reply, status: int = 200) -> Answer:
    """The answer, if it has this status. Raises NotSeen: there is nothing to look at."""
    if not isinstance(reply, Answer):
        raise NotSeen(f"no answer: {reply.why}")
    if reply.status != status:
        raise NotSeen(f"status {reply.status}")
    return reply


def status_problem(reply: Reply, what: str, wanted: tuple[int, ...] = (200,)) -> Problems:
    """A problem where the answer's status is none of these."""
    if not isinstance(reply, Answer):
        return [f"{what}: {reply.why}"]
    return [] if reply.status in wanted else [f"{what}: status {reply.status}"]


def credential_body(body: bytes, now: float) -> Problems:
    """What a body of the credentials URI, or of a role, does other than all clients accept."""
    members = json_object(body)
    if members is None:
        return [f"{len(body)} bytes that are no JSON object"]
    return [
        *(["more than one line"] if b"\n" in body or b"\r" in body else []),
        *_code(members),
        *(f"{name} is not a string with a value" for name in (*FOUR, "LastUpdated") if not _text(members, name)),
        *_times(members, now),
        *_extras(members),
    ]


def _code(members: dict[str, Any]) -> Problems:
    wrong = [] if members.get("Code") == "Success" else ["Code is not the string Success"]
    if members.get("StatusCode", "200") != "200":
        wrong.append("StatusCode is not the string 200")
    return wrong


def _times(members: dict[str, Any], now: float) -> Problems:
    texts = {name: members[name] for name in ("Expiration", "LastUpdated") if _text(members, name)}
    odd = [f"{name} has the form {form(text)}" for name, text in texts.items() if strict(text) is None]
    ends = strict(texts.get("Expiration", ""))
    return odd if ends is None or ends > now else [*odd, f"it expired {now - ends:.0f} s ago"]


def _extras(members: dict[str, Any]) -> Problems:
    extras = {name: value for name, value in members.items() if name not in KNOWN}
    nested = [name for name, value in extras.items() if isinstance(value, dict | list)]
    trapped = [
        name
        for name, value in extras.items()
        if name not in nested and any(trap in f"{name} {value}" for trap in _TRAPS)
    ]
    return [
        *(f"{shown(name)} is an object or an array" for name in nested),
        *(f"{shown(name)} has a word or a comma that ossfs v1 trips over" for name in trapped),
    ]


def error_body(answer: Answer) -> Problems:
    """What an error's answer does other than clients that judge by the body need."""
    members = json_object(answer.body)
    if members is None:
        return [f"status {answer.status}: {len(answer.body)} bytes that are no JSON object"]
    code = members.get("Code")
    wrong = [] if isinstance(code, str) and code else [f"status {answer.status}: no Code that is a string"]
    if isinstance(code, str) and code.lower() == "success":
        wrong.append(f"status {answer.status}: Code is Success")
    keys = [name for name in ("AccessKeyId", "AccessKeySecret") if name in members]
    return [*wrong, *(f"status {answer.status}: it holds {name}" for name in keys)]


def one_line(answer: Answer, longest: int = LONGEST_LINE) -> Problems:
    """A token's or a role list's body: one line of visible ASCII, no line end."""
    text = answer.body.decode("latin-1")
    if re.fullmatch(r"[!-~]+", text) and len(text) < longest:
        return []
    return [f"{len(text)} bytes, too long" if len(text) >= longest else describe_line(text)]


def shown(name: str) -> str:
    """A member's name where it is harmless to show."""
    return name if re.fullmatch(r"[A-Za-z0-9_.-]{1,32}", name) else f"a name of {len(name)} characters"


def _text(members: dict[str, Any], name: str) -> bool:
    value = members.get(name)
    return isinstance(value, str) and value != ""
