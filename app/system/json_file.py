"""One JSON object from a file. Error messages name line and column, and quote keys, never values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from ..core.display import displayed
from ..core.errors import ConfigError, Mistake
from ..core.json_text import TooDeep, json_value
from . import files

LARGEST = 1_048_576
"""The most bytes of a file. A configuration of a thousand profiles has a third of this size."""

MOST_MISTAKES = 50
"""The most lines of one message. A file with more mistakes is probably not a configuration."""

NO_NUMBER = float("nan")
"""The stand-in for NaN and Infinity, which are reported as mistakes. A policy with a float can be written as JSON."""

_INVALID = "IDS-103"
"""The stable code of a file that is not a JSON object."""

_TOKEN = re.compile(
    r"""(?P<text>"(?:[^"\\]|\\.)*+(?:"|\\?\Z))(?P<colon>\s*:)?   # a string; with the colon, a key
    | (?P<comment>(?<![A-Za-z]:)//[^\n]*|/\*.*?(?:\*/|\Z))
    | (?P<bracket>[{}\[\]])
    | (?P<number>NaN|-?Infinity)""",
    re.DOTALL | re.VERBOSE,
)
"""`//` after a letter and a colon belongs to a URL in single quotes, and the quotes are the mistake. A string without
an end takes the rest of the text: otherwise each of its escaped quotes would be tried as a beginning, for minutes."""

_TRAILING_COMMA = re.compile(r'("(?:[^"\\]|\\.)*+(?:"|\\?\Z))|,(?=\s*[}\]])', re.DOTALL)
"""A string, or the comma after the last member of an object or array. The text has no comments."""


def read_object(path: str, *, secret: bool = False, tolerant: bool = False) -> dict[str, Any]:
    """
    Return the file's JSON object. Raises ConfigError: a line per mistake, with file, line and column.

    `secret`: the file must be private. `tolerant`: comments, line breaks within strings, and a comma after the last
    member are accepted.
    """
    return parse_object(_content(path, secret=secret), path, tolerant=tolerant)


def examine_object(path: str) -> tuple[dict[str, Any], list[Mistake]]:
    """
    Return the file's JSON object, and the mistakes in its JSON, such as comments and duplicate keys.

    Raises ConfigError if the file has no readable object.
    """
    return _parsed(_content(path, secret=False), path, tolerant=False)


def _content(path: str, *, secret: bool) -> bytes:
    try:
        return files.read_secret(path, LARGEST) if secret else files.read(path, LARGEST)
    except files.Unreadable as why:
        raise ConfigError(why.at(path), error_code="IDS-102") from None


def parse_object(raw: bytes, name: str, *, tolerant: bool = False) -> dict[str, Any]:
    """
    Return `raw` as a JSON object; errors name it `name`. A duplicate key is an error: one value would be lost.

    `tolerant`: see `read_object`.
    """
    value, mistakes = _parsed(raw, name, tolerant=tolerant)
    if mistakes:
        raise ConfigError.of(mistakes)
    return value


def _parsed(raw: bytes, name: str, *, tolerant: bool) -> tuple[dict[str, Any], list[Mistake]]:
    """Return the object in `raw`, and the mistakes in its JSON. If a key is duplicate, its last value is returned."""
    value: Any = None
    mistakes: list[Mistake] = []
    broken = True
    try:
        text = raw.decode(json.detect_encoding(raw)).removeprefix("\ufeff")
        plain = _TOKEN.sub(_blank, text)
        mistakes += islice(_mistakes(text, name, comments=not tolerant), MOST_MISTAKES)
        if not tolerant:
            mistakes += islice(_trailing_commas(plain, name), MOST_MISTAKES)
        text = _TRAILING_COMMA.sub(lambda found: found[1] or " ", plain)
        value = json_value(text, strict=not tolerant, constant=lambda _: NO_NUMBER)
        # An escaped half of a surrogate pair is not a character: a text that contains it cannot be printed or sent.
        json.dumps(value, ensure_ascii=False).encode()
        broken = False
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        mistakes.append(Mistake(f"{name}:{line}:{column}: not UTF-8 text", _INVALID, "save the file as UTF-8"))
    except UnicodeError:
        mistakes.append(Mistake(f"{name}: not UTF-8 text", _INVALID))
    except json.JSONDecodeError as error:
        mistakes.append(_syntax(error, name))
    except TooDeep as error:
        mistakes.append(Mistake(f"{name}: {error}", _INVALID))
    except ValueError:
        mistakes.append(Mistake(f"{name}: not JSON: a number is too long", _INVALID))
    if not broken and not isinstance(value, dict):
        mistakes.append(Mistake(f"{name}: must hold one JSON object, {{…}}", _INVALID))
    if broken or not isinstance(value, dict):
        raise ConfigError.of(mistakes)
    return value, mistakes


def _syntax(error: json.JSONDecodeError, name: str) -> Mistake:
    """Return the mistake that stopped Python's decoder."""
    from . import json_syntax  # only a broken file needs it

    why = json_syntax.reason(error)
    return Mistake(f"{name}:{error.lineno}:{error.colno}: not JSON: {why.cause}", _INVALID, why.cure)


def _blank(token: re.Match[str]) -> str:
    """Return a comment as white space with the same lines and columns, and every other token unchanged."""
    return re.sub(r"[^\n]", " ", token[0]) if token["comment"] else token[0]


def _trailing_commas(plain: str, name: str) -> Iterator[Mistake]:
    """Yield the commas after last members. Python's decoder would report a missing key or value instead."""
    for found in _TRAILING_COMMA.finditer(plain):
        if not found[1]:
            cause = f"{_place(plain, found.start(), name)}: a comma after the last member, which JSON does not allow"
            yield Mistake(cause, _INVALID, "remove the comma")


def _place(text: str, start: int, name: str) -> str:
    """Return file, line and column of a position."""
    return f"{name}:{text.count(chr(10), 0, start) + 1}:{start - text.rfind(chr(10), 0, start)}"


def _mistakes(text: str, name: str, *, comments: bool) -> Iterator[Mistake]:
    """
    Yield mistakes that Python's decoder accepts or does not locate, in the order of the file.

    `comments`: comments are mistakes, too.
    """
    objects: list[set[str]] = []

    def place() -> str:
        return _place(text, token.start(), name)

    for token in _TOKEN.finditer(text):
        if token["comment"] and comments:
            yield Mistake(f"{place()}: a comment, which JSON does not have", _INVALID, "remove the comment")
        elif token["number"]:
            yield Mistake(f"{place()}: {token[0]} is not a number of JSON", _INVALID)
        elif token["bracket"] in ("{", "["):
            objects.append(set())
        elif token["bracket"]:
            del objects[-1:]
        elif token["colon"] and objects:
            key = _decoded(token["text"])
            if key in objects[-1]:
                name_of_key = json.dumps(displayed("", key)[:80])
                yield Mistake(f"{place()}: the key {name_of_key} appears twice in one object", _INVALID, "remove one")
            objects[-1].add(key)


def _decoded(text: str) -> str:
    """Return the value of a JSON string; a string with an invalid escape unchanged."""
    try:
        return str(json.loads(text, strict=False))
    except ValueError:
        return text
