"""Reads code, message and request id from an error answer, in the forms in which services write them.

The forms: JSON of OAuth (RFC 6749 5.2), of Alibaba Cloud's gateway and APIs, Okta, Entra, Keycloak, problem details
(RFC 9457); XML of STS; a page of a gateway or proxy; plain text. All texts come from another side: the caller cleans
them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ..core.record import Record
from .response import json_value

LARGEST_PAGE = 16_384
"""The most characters of a page or an XML document that are read."""

_CODES = ("error", "Code", "code", "errorCode", "error_code", "errorcode")
_MESSAGES = (
    *("error_description", "error_message", "Message", "message", "errorSummary", "errorMessage", "detail"),
    *("title", "msg", "reason", "description", "error_msg", "faultstring"),
)
_IDS = (
    *("request_id", "RequestId", "requestId", "trace_id", "errorId", "traceId", "correlation_id", "correlationId"),
    "log_id",
)

DEEPEST = 3
"""The most levels of objects and lists that are searched: gateways and APIs wrap the object of an error."""

MOST_OBJECTS = 100
"""The most members of one level that are searched."""

CODE = re.compile(r"[A-Za-z0-9._:/-]{1,64}")
"""The form of an error code. Keycloak, Auth0 and Spring also write a sentence into the member `error`."""


class ErrorWords(Record, frozen=True):
    """
    Code, message and request id of an answer, unchanged.

    `form` names the kind of body, for a message. `from_api`: whether the body has the form of an API's error; a page or
    an empty body comes from something else, such as a gateway.
    """

    form: str
    from_api: bool = False
    code: str = ""
    message: str = ""
    request_id: str = ""


def error_words(body: bytes) -> ErrorWords:
    """Return code, message and request id from an error answer's body."""
    if not body.strip():
        return ErrorWords("an empty body")
    text = body[: 4 * LARGEST_PAGE].decode("utf-8", "replace")
    if text.lstrip("\ufeff \t\r\n")[:1] == "<":
        return _of_markup(text[:LARGEST_PAGE], len(body))
    try:
        value = json_value(body)
    except ValueError:
        plain = text if text.isprintable() or "\ufffd" not in text else ""
        return ErrorWords(f"{len(body)} bytes that are neither", message=plain[:LARGEST_PAGE])
    if isinstance(value, dict):
        return _of_members(value)
    if isinstance(value, list) and value and isinstance(value[0], dict):  # Salesforce
        return _of_members(value[0])
    message = value if isinstance(value, str) else json.dumps(value)[:LARGEST_PAGE]
    return ErrorWords(f"a JSON {type(value).__name__}", message=message)


def _of_members(members: Mapping[str, Any]) -> ErrorWords:
    inner = _inner(members)
    code = _first(inner, "status", "code", *_CODES) or _first(members, *_CODES)
    message = _first(members, *_MESSAGES) or _first(inner, *_MESSAGES)
    if not CODE.fullmatch(code):
        code, message = "", message or code
    causes = members.get("errorCauses")  # Okta: the summary names the kind of error, the causes describe it
    for cause in causes[:3] if isinstance(causes, list) else ():
        if isinstance(cause, dict):
            message = f"{message} {_first(cause, 'errorSummary')}".strip()
    # Entra repeats the ids and the time of its answer after the description.
    message = re.split(r"\s*\bTrace ID: ", message, maxsplit=1)[0]
    return ErrorWords("a JSON object", True, code, message, _first(members, *_IDS) or _first(inner, *_IDS))


def _inner(members: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the object in `members` that describes the error: `error`, else the first one with a message, else {}."""
    nested = members.get("error")
    if isinstance(nested, dict):
        return nested
    if _first(members, *_CODES[1:], *_MESSAGES):
        return {}
    level: list[Any] = [members]
    for _ in range(DEEPEST):
        level = [
            item
            for outer in level
            for item in (outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ())
        ][:MOST_OBJECTS]
        for item in level:
            if isinstance(item, dict) and _first(item, *_MESSAGES):
                return item
    return {}


def _of_markup(text: str, length: int) -> ErrorWords:
    form = f"{length} bytes of HTML or XML"
    text = re.sub(r"(?s)<!\[CDATA\[(.*?)\]\]>", lambda found: _escaped(found[1]), text)
    code = _element(text, "Code")
    if code:
        return ErrorWords(form, True, code, _element(text, "Message"), _element(text, "RequestId"))
    title = _element(text, "title") or _element(text, "h1")
    page = re.sub(r"(?is)<(script|style|title)\b.*?(</\1\s*>|$)", " ", text)
    words = " ".join(_unescaped(re.sub(r"<[^>]*>?", " ", page)).split())
    # Keycloak uses the title of its login page; the reason stands below the title.
    return ErrorWords(form, message=words if not title or words.startswith(title) else f"{title} {words}".strip())


def _element(text: str, name: str) -> str:
    found = re.search(rf"<{name}\b[^>]*>([^<]{{1,4000}})</{name}\s*>", text, re.IGNORECASE)
    return " ".join(_unescaped(found[1]).split()) if found else ""


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _unescaped(text: str) -> str:
    import html  # loads 2,200 names of characters, which only an error needs

    return html.unescape(text)


def _first(members: Mapping[str, Any], *names: str) -> str:
    """Return the first of these members that is a text or a number, as text; empty if there is none."""
    for name in names:
        value = members.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and value:
            return str(value)
    return ""
