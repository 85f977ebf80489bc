"""Names what stopped Python's JSON decoder, with a cure. Reads the text at the place of the error."""

from __future__ import annotations

import json
import re

from ..core.errors import Reason

_LOOKALIKES = {
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u2018\u2019\u00ab\u00bb\uff02", '"'),
    **dict.fromkeys("\uff1a", ":"),
    **dict.fromkeys("\uff0c\u3001", ","),
    **dict.fromkeys("\uff5b", "{"),
    **dict.fromkeys("\uff5d", "}"),
    **dict.fromkeys("\uff3b\u3010", "["),
    **dict.fromkeys("\uff3d\u3011", "]"),
}
"""The characters that word processors and input methods write in place of those of JSON."""

_BEGINNINGS = (
    (re.compile(r"\s*\Z"), "an empty file", "write the object, {…}, into it"),
    (re.compile(r"\s*<(?!<)"), "HTML or XML", "write the file again; a download may have failed"),
    (re.compile(r"\s*(?:---|[\w.-]+:(?:\s|$))"), "YAML", "write the file as JSON"),
    (re.compile(r"\s*[\w.-]+\s*="), "the format of a properties or TOML file", "write the file as JSON"),
)
"""The beginnings of files that are something else."""

_QUOTES = 'write it in double quotes, "…"'

_NUMBER = ("a number in a form that JSON does not have", "write it as 10 or 0.5")

_BY_TEXT = (
    (re.compile(r"'"), "a string in single quotes", _QUOTES),
    (re.compile(r"`"), "a string in backquotes", _QUOTES),
    (re.compile(r"#"), "a comment with #, which JSON does not have", "remove the comment"),
    (re.compile(r"<{7}|={7}|>{7}"), "a mark of a merge conflict", "resolve the conflict"),
    (re.compile(r"[=;]"), "a character of another format", "write a colon after a key, and a comma after a value"),
    (re.compile(r"(?:True|False|None)\b"), "a word of Python", "write true, false or null"),
    (re.compile(r"(?:undefined|nil|yes|no|on|off)\b"), "a word that JSON does not have", "write true, false or null"),
    (re.compile(r"[+.0]*[0-9]|[+.]"), *_NUMBER),
    (re.compile(r"[A-Za-z_$][\w$-]*\s*:"), "a key without quotes", _QUOTES),
    (re.compile(r"[A-Za-z_$]"), "a string without quotes", _QUOTES),
    (re.compile(r","), "an extra comma", "remove it"),
    (re.compile(r"[}\]]"), "a bracket of the wrong kind, or a missing value before the bracket", ""),
)
"""The kinds of text that may stand in place of a key or a value, each with the cure."""

_BY_MESSAGE = (
    ("Unterminated string", "a string without its closing quote", 'add the quote, "'),
    (
        "Invalid control character",
        "a line break or tab within a string, whose closing quote may be missing",
        'add the quote, ", or write the character as \\n or \\t',
    ),
    ("Invalid \\", "a backslash that escapes nothing", "write two, \\\\"),
    ("Extra data", "text after the end of the object", "remove it, or correct the brackets"),
)
"""The messages of the decoder that name the mistake themselves."""

_MISSING = (
    ("Expecting ':'", "a missing colon", "write the colon before this place"),
    (
        "Expecting ','",
        "a missing comma, or a quote within a string",
        'write a comma before this place, or the quote as \\"',
    ),
)
"""The messages where a key or a value stands in place of the character that the decoder expects."""


def reason(error: json.JSONDecodeError) -> Reason:
    """Return the decoder's message without line and column, with the kind of the text there and the cure."""
    found = _found(error)
    return Reason(f"{error.msg}: {found.cause}", found.cure) if found is not None else Reason(error.msg)


def _found(error: json.JSONDecodeError) -> Reason | None:
    """Return the kind of the text at the place of the error, from the first test that recognises it."""
    text, place = error.doc, error.pos
    return (
        _wrong_character(text[place : place + 1])
        or (_first(_BEGINNINGS, text, 0) if not text[:place].strip() else None)
        or _by_message(_BY_MESSAGE, error.msg)
        or _missing(error.msg, text, place)
        or _first(_BY_TEXT, text, place)
    )


def _wrong_character(char: str) -> Reason | None:
    """Return the reason for a character that resembles one of JSON or is invisible. None for others and at the end."""
    if char in _LOOKALIKES:
        return Reason(f"{char!a} in place of {_LOOKALIKES[char]}", f"write {_LOOKALIKES[char]}")
    if not char.isascii() and (char.isspace() or not char.isprintable()):
        return Reason(f"an invisible character, {char!a}", "remove it, or write a space")
    return None


def _missing(message: str, text: str, place: int) -> Reason | None:
    """Return what is missing before the text at `place`, or None."""
    if not text[place:].strip():
        return Reason("the file ends within an object or list", "add what is missing, such as the closing bracket")
    if text[place - 1 : place].isdigit() and re.match(r"[\w.]", text[place]):
        return Reason(*_NUMBER)
    return _by_message(_MISSING, message) if re.match(r'["\[{\w-]', text[place]) else None


def _by_message(known: tuple[tuple[str, str, str], ...], message: str) -> Reason | None:
    return next((Reason(what, cure) for beginning, what, cure in known if message.startswith(beginning)), None)


def _first(patterns: tuple[tuple[re.Pattern[str], str, str], ...], text: str, place: int) -> Reason | None:
    return next((Reason(what, cure) for pattern, what, cure in patterns if pattern.match(text, place)), None)
