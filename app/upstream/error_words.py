"""The words of an error answer: code, message and request id, from the forms in which services write them.

JSON of OAuth (RFC 6749 5.2), of Alibaba Cloud's gateway and APIs, Okta, Entra, Keycloak, problem details (RFC 9457);
XML of STS; a page of a gateway or proxy; plain text. Everything is another side's text: the caller cleans it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ..core.record import Record

LARGEST_PAGE = 16_384
"""Characters of a page or an XML document that are looked at."""

_CODES = ("error", "Code", "code", "errorCode", "error_code")
_MESSAGES = (
    *("error_description", "error_message", "Message", "message", "errorSummary", "errorMessage", "detail"),
    *("title", "msg", "reason"),
)
_IDS = (
    *("request_id", "RequestId", "requestId", "trace_id", "errorId", "traceId", "correlation_id", "correlationId"),
    "log_id",
)

CODE = re.compile(r"[A-Za-z0-9._:/-]{1,64}")
"""The form of an error code. Keycloak, Auth0 and Spring also write a sentence into the member `error`."""


class ErrorWords(Record, frozen=True):
    """
    What an answer says, as it says it.

    `form` names what the body is, for a message. `from_api`: whether the body has the form of an API's error; a page
    or an empty body comes from something else, such as a gateway.
    """

    form: str
    from_api: bool = False
    code: str = ""
    message: str = ""
    request_id: str = ""


def error_words(body: bytes) -> ErrorWords:
    """Return the words of an error answer's body."""
    if not body.strip():
        return ErrorWords("an empty body")
    text = body[: 4 * LARGEST_PAGE].decode("utf-8", "replace")
    if text.lstrip("\ufeff \t\r\n")[:1] == "<":
        return _of_markup(text[:LARGEST_PAGE], len(body))
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        plain = text if text.isprintable() or "\ufffd" not in text else ""
        return ErrorWords(f"{len(body)} bytes that are neither", message=plain[:LARGEST_PAGE])
    if isinstance(value, dict):
        return _of_members(value)
    message = value if isinstance(value, str) else json.dumps(value)[:LARGEST_PAGE]
    return ErrorWords(f"a JSON {type(value).__name__}", message=message)


def _of_members(members: Mapping[str, Any]) -> ErrorWords:
    nested = members.get("error")
    inner: Mapping[str, Any] = nested if isinstance(nested, dict) else {}
    code = _first(inner, "status", "code", *_CODES) or _first(members, *_CODES)
    message = _first(members, *_MESSAGES) or _first(inner, *_MESSAGES)
    if not CODE.fullmatch(code):
        code, message = "", message or code
    causes = members.get("errorCauses")  # Okta: the summary names the kind, the causes say what it was
    for cause in causes[:3] if isinstance(causes, list) else ():
        if isinstance(cause, dict):
            message = f"{message} {_first(cause, 'errorSummary')}".strip()
    # Entra repeats the ids and the time of its answer behind the description.
    message = re.split(r"\s*\bTrace ID: ", message, maxsplit=1)[0]
    return ErrorWords("a JSON object", True, code, message, _first(members, *_IDS) or _first(inner, *_IDS))


def _of_markup(text: str, length: int) -> ErrorWords:
    form = f"{length} bytes of HTML or XML"
    code = _element(text, "Code")
    if code:
        return ErrorWords(form, True, code, _element(text, "Message"), _element(text, "RequestId"))
    title = _element(text, "title") or _element(text, "h1")
    words = title or re.sub(r"<[^>]*>?", " ", re.sub(r"(?is)<(script|style)\b.*?(</\1\s*>|$)", " ", text))
    return ErrorWords(form, message=_unescaped(words))


def _element(text: str, name: str) -> str:
    found = re.search(rf"<{name}\b[^>]*>([^<]{{1,4000}})</{name}\s*>", text, re.IGNORECASE)
    return _unescaped(found[1]).strip() if found else ""


def _unescaped(text: str) -> str:
    import html  # loads 2 200 names of characters, which only an error needs

    return html.unescape(text)


def _first(members: Mapping[str, Any], *names: str) -> str:
    """Return the first member that is a text or a number, as text; empty without one."""
    for name in names:
        value = members.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and value:
            return str(value)
    return ""
