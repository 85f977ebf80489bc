"""JSON in and out: values that are not nested too deeply, and text without characters that a terminal would obey."""

from __future__ import annotations

import json
import re

TYPE_CHECKING = False  # `typing` takes 5 ms, and `health` needs this module
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

MOST_LEVELS = 100
"""The most levels of nested objects and lists. A policy has 7, and an answer of a cloud 5. Python's decoder and the
functions that walk through a value fail at a few hundred levels, each at a different number."""


class TooDeep(ValueError):
    """JSON with more levels than are read. The text is the end of a message."""

    def __init__(self) -> None:
        super().__init__("nested too deeply")


def json_value(text: str | bytes, *, strict: bool = True, constant: Callable[[str], Any] | None = None) -> Any:
    """
    Return the value of a JSON text. Raises json.JSONDecodeError, TooDeep, or ValueError for a number that is too long.

    `strict`: control characters in strings are errors. `constant` returns the value for NaN and Infinity.
    """
    try:
        value = json.loads(text, strict=strict, parse_constant=constant)
    except RecursionError:
        raise TooDeep from None
    level, levels = [value], 0
    while level := [item for item in level if isinstance(item, dict | list)]:
        levels += 1
        if levels > MOST_LEVELS:
            raise TooDeep
        level = [child for item in level for child in (item.values() if isinstance(item, dict) else item)]
    return value


def json_kind(value: Any) -> str:
    """Return the kind of a JSON value that is no object, for a message: `a JSON list`."""
    names = {list: "list", str: "string", bool: "boolean", int: "number", float: "number"}
    return f"a JSON {names.get(type(value), 'null')}"


def json_text(value: Any, *, indent: int | None = None, compact: bool = False) -> str:
    """
    Return `value` as JSON with letters of every language; characters that do not print are escaped.

    `json.dumps` does not escape DEL, U+009B and U+202E, and a terminal obeys them. Half of a surrogate pair has no
    UTF-8 form. `compact`: without white space.
    """
    text = json.dumps(value, indent=indent, separators=(",", ":") if compact else None, ensure_ascii=False)
    # Outside of strings, JSON contains only printable characters and line breaks.
    return re.sub(r"[^\n -~]", _escaped, text)


def _escaped(found: re.Match[str]) -> str:
    char = found[0]
    return char if char.isprintable() else json.dumps(char)[1:-1]
