"""JSON without characters that a terminal would obey instead of showing."""

from __future__ import annotations

import json
import re
from typing import Any


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
