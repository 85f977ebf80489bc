"""Reads code, message and request id from an error answer, in the forms in which services write them.

The forms: JSON of OAuth (RFC 6749 5.2), of Alibaba Cloud's gateway and APIs, Apigee, DingTalk, Okta, Entra, Keycloak,
PingOne, Cognito, Hydra, Vault, problem details (RFC 9457), also as a JSON string; a form; XML of STS; a page of a
gateway or proxy; plain text.
All texts are untrusted: the caller cleans them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

from ...core.json_text import json_kind
from ...core.record import Record
from ..response import json_value, sized

LARGEST_PAGE = 16_384
"""The most characters of a page or an XML document that are read."""

FORM = "a form"
"""The form of the answers of GitHub and of old OAuth servers."""

_CODES = ("error", "code", "errorcode", "errcode")
_MESSAGES = (
    *("errordescription", "errormessage", "message", "errorsummary", "detail", "title", "msg", "reason"),
    *("description", "errormsg", "errmsg", "faultstring"),
)
_IDS = ("requestid", "traceid", "errorid", "correlationid", "logid")
"""The names of members as `_plain` returns them: services differ in capitals and underscores."""

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
    text = body[: 4 * LARGEST_PAGE].decode(json.detect_encoding(body), "replace")
    if text.lstrip("\ufeff \t\r\n")[:1] == "<":
        return _of_markup(text[:LARGEST_PAGE], len(body))
    try:
        value = _value(body)
    except ValueError:
        return _of_text(text, len(body))
    if isinstance(value, dict):
        return _of_members(value)
    if isinstance(value, list) and value and isinstance(value[0], dict):  # Salesforce
        return _of_members(value[0])
    message = value if isinstance(value, str) else json.dumps(value)[:LARGEST_PAGE]
    return ErrorWords(json_kind(value), message=message)


def _value(body: bytes) -> Any:
    """Return the JSON value of a body; of a JSON string that is itself JSON, the value of that. Raises ValueError."""
    value = json_value(body)
    return value if (inner := _inner_document(value)) is None else inner


def _inner_document(value: Any) -> dict[str, Any] | None:
    """Return the object whose JSON is in a string: gateways wrap the answer of another service this way."""
    if not isinstance(value, str) or not value.lstrip().startswith("{"):
        return None
    try:
        inner = json_value(value.encode("utf-8", "replace"))
    except ValueError:
        return None
    return inner if isinstance(inner, dict) else None


def _of_text(text: str, length: int) -> ErrorWords:
    """Return the words of plain text: those of a form (the answer of old OAuth servers), else the whole text."""
    if re.match(r"error(_\w+)?=", text):
        return _of_members(dict(parse_qsl(text[:LARGEST_PAGE])), FORM)
    readable = "\ufffd" not in text or (text.isprintable() and re.search(r"\w", text))
    plain = text if readable else ""
    return ErrorWords(sized(length, "another kind"), message=plain[:LARGEST_PAGE])


def _of_members(found: Mapping[str, Any], form: str = "a JSON object") -> ErrorWords:
    members = _plain(found)
    inner = _inner(members)
    code = _first(inner, "status", *_CODES[1:], *_CODES) or _first(members, *_CODES) or _code_below(inner)
    code = code or _text_of(found.get("__type")).rpartition("#")[2]  # Cognito, with or without a name space
    message = _first(members, *_MESSAGES) or _first(inner, *_MESSAGES) or _first(members, "errors")
    document = _inner_document(message)
    if document is not None:
        wrapped = _of_members(document)
        code, message = wrapped.code or code, wrapped.message or message
    if not CODE.fullmatch(code):
        code, message = "", message or code
    for cause in (*_causes(members), *_causes(inner)):
        message = message if cause in message else f"{message} {cause}".strip()
    # Entra repeats the ids and the time of its answer after the description.
    message = message.partition("Trace ID: ")[0].rstrip()  # a pattern with \s* takes quadratic time
    return ErrorWords(form, True, code, message, _first(members, *_IDS) or _first(inner, *_IDS))


def _causes(members: Mapping[str, Any]) -> Iterator[str]:
    """Yield the causes beside a message that names only the kind of error: those of Okta, PingOne, Hydra and Ory."""
    for causes in (members.get("errorcauses"), members.get("details")):
        for cause in causes[:3] if isinstance(causes, list) else ():
            if isinstance(cause, dict):
                yield _first(_plain(cause), "errorsummary", "message")
    yield _first(members, "errorhint")
    reason = _first(members, "reason")
    if " " in reason:  # a word alone is a code, as in Kubernetes
        yield reason


def _plain(members: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members with names in small letters alone: `ErrorCode`, `error_code` and `errorCode` are one name."""
    return {re.sub(r"[-_]", "", str(name)).lower(): value for name, value in members.items()}


def _inner(members: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the object in `members` that describes the error: `error`, else the first one with a message, else {}."""
    nested = members.get("error")
    if isinstance(nested, dict):
        return _plain(nested)
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
            if isinstance(item, dict) and _first(plain := _plain(item), *_MESSAGES):
                return plain
    return {}


def _code_below(inner: Mapping[str, Any]) -> str:
    """Return the code in an object below the one that describes the error, as in Apigee's `fault.detail`; or ""."""
    below = (_first(_plain(item), *_CODES) for item in list(inner.values())[:MOST_OBJECTS] if isinstance(item, dict))
    return next(filter(None, below), "")


def _of_markup(text: str, length: int) -> ErrorWords:
    form = sized(length, "HTML or XML")
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
    """Return the first of these members that has a text, as text; empty if there is none."""
    return next(filter(None, map(_text_of, map(members.get, names))), "")


def _text_of(value: Any) -> str:
    """Return a text or a number as text; of a list, the texts in it (Vault, NestJS); else an empty text."""
    if isinstance(value, list):
        return "; ".join(item for item in value[:MOST_OBJECTS] if isinstance(item, str))
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) and value else ""
