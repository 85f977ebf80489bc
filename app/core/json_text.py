"""JSON that a terminal shows as it stands."""

from __future__ import annotations

import json
import re
from typing import Any


def json_text(value: Any, *, indent: int | None = None, compact: bool = False) -> str:
    """
    Return `value` as JSON with letters of every language, and what does not print escaped.

    `json.dumps` leaves DEL, U+009B and U+202E as they are, and a terminal obeys them. Half of a surrogate pair has no
    UTF-8. `compact`: without white space.
    """
    text = json.dumps(value, indent=indent, separators=(",", ":") if compact else None, ensure_ascii=False)
    # Outside of strings, JSON has printable characters and line breaks alone.
    return re.sub(r"[^\n -~]", _escaped, text)


def _escaped(found: re.Match[str]) -> str:
    char = found[0]
    return char if char.isprintable() else json.dumps(char)[1:-1]
