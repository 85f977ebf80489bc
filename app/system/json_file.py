"""One JSON object from a file. Error messages name line and column, and quote keys, never values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from ..core.errors import ConfigError
from . import files

LARGEST = 1_048_576
"""Bytes; a configuration of a thousand profiles has a third of it."""

MOST_MISTAKES = 50
"""Lines of one message. A file with more mistakes is of another kind."""

_TOKEN = re.compile(
    r"""(?P<text>"(?:[^"\\]|\\.)*")(?P<colon>\s*:)?   # a string; with the colon, a key
    | (?P<comment>//[^\n]*|/\*.*?(?:\*/|\Z))
    | (?P<bracket>[{}\[\]])
    | (?P<number>NaN|-?Infinity)""",
    re.DOTALL | re.VERBOSE,
)


def read_object(path: str, *, secret: bool = False, tolerant: bool = False) -> dict[str, Any]:
    """
    Return the file's JSON object. Raises ConfigError: a line per mistake, with file, line and column.

    `secret`: the file must be private. `tolerant`: comments, and line breaks within strings, are accepted.
    """
    try:
        raw = files.read_secret(path, LARGEST) if secret else files.read(path, LARGEST)
    except files.Unreadable as why:
        raise ConfigError(f"{path}: {why}", error_code="IDS-102") from None
    return parse_object(raw, path, tolerant=tolerant)


def parse_object(raw: bytes, name: str, *, tolerant: bool = False) -> dict[str, Any]:
    """
    Return `raw` as a JSON object; errors name it `name`. A duplicate key is an error: one value would be lost.

    `tolerant`: as for `read_object`.
    """
    mistakes: list[str] = []
    try:
        text = raw.decode(json.detect_encoding(raw)).removeprefix("\ufeff")
        mistakes += islice(_mistakes(text, name, comments=not tolerant), MOST_MISTAKES)
        value = json.loads(_TOKEN.sub(_blank, text), strict=not tolerant)
        # An escaped half of a surrogate pair is not a character: text with one cannot be printed or sent.
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeError:
        mistakes.append(f"{name}: not UTF-8 text")
    except json.JSONDecodeError as error:
        mistakes.append(f"{name}:{error.lineno}:{error.colno}: not JSON: {error.msg}")
    except ValueError:
        mistakes.append(f"{name}: not JSON: a number is too long")
    except RecursionError:
        mistakes.append(f"{name}: nested too deeply")
    if mistakes:
        raise ConfigError("\n".join(mistakes), error_code="IDS-103")
    if not isinstance(value, dict):
        raise ConfigError(f"{name}: must hold one JSON object, {{…}}", error_code="IDS-103")
    return value


def _blank(token: re.Match[str]) -> str:
    """Return a comment as white space of the same lines and columns, and every other token as it stands."""
    return re.sub(r"[^\n]", " ", token[0]) if token["comment"] else token[0]


def _mistakes(text: str, name: str, *, comments: bool) -> Iterator[str]:
    """Yield what Python's decoder would accept or not locate, in the order of the file. `comments`: those as well."""
    objects: list[set[str]] = []

    def place() -> str:
        start = token.start()
        return f"{name}:{text.count(chr(10), 0, start) + 1}:{start - text.rfind(chr(10), 0, start)}"

    for token in _TOKEN.finditer(text):
        if token["comment"] and comments:
            yield f"{place()}: a comment, which JSON does not have; remove it"
        elif token["number"]:
            yield f"{place()}: {token[0]} is not a number of JSON"
        elif token["bracket"] in ("{", "["):
            objects.append(set())
        elif token["bracket"]:
            del objects[-1:]
        elif token["colon"] and objects:
            key = _decoded(token["text"])
            if key in objects[-1]:
                yield f"{place()}: the key {json.dumps(key[:80])} appears twice in one object; remove one"
            objects[-1].add(key)


def _decoded(text: str) -> str:
    """Return what a JSON string stands for; a string with an invalid escape as it stands."""
    try:
        return str(json.loads(text, strict=False))
    except ValueError:
        return text
