"""Finds secrets in any text by their form: JWTs, and values with the name of a secret. In linear time."""

from __future__ import annotations

import re
from collections.abc import Iterator

JWT = re.compile(r"eyJ[\w-]{6,}(?:\.[\w-]*){0,4}")

_NAMED = re.compile(
    r"""(?:secret|passw(?:or)?d|passphrase|token|assertion|api_?key)(?:_?key|_?value)?
    (?:(?:=|(?P<escaped>%3D))(?:\\*["'])?
    | (?P<quote>\\*["']|&quot;|&\#3[49];|\\+u002[27]|%22)\s*(?::|%3A)\s*(?P=quote))""",
    re.IGNORECASE | re.VERBOSE,
)
"""The name of a secret before its value, in a form (`client_secret=...`), an option or JSON, which may be a string of
other JSON, of HTML or of a URL."""

_END = re.compile(r"""\s|["'&,;]""")
"""The end of a value without quotes."""

_ESCAPED_END = re.compile(rf"{_END.pattern}|%26")
"""The end of a value without quotes in a form that is a part of a URL."""


def named_values(text: str) -> Iterator[tuple[int, int]]:
    """Yield begin and end of each value with the name of a secret, in order. A value may be empty."""
    place = 0
    while (match := _NAMED.search(text, place)) is not None:
        begin = match.end()
        if match["quote"]:
            place = _closing(text, begin, match["quote"])
        else:
            found = (_ESCAPED_END if match["escaped"] else _END).search(text, begin)
            place = found.start() if found is not None else len(text)
        yield begin, place


def _closing(text: str, begin: int, quote: str) -> int:
    """Return where the value ends that begins with `quote`. A quote with more backslashes is a part of the value."""
    mark = quote.lstrip("\\")
    allowed, place = len(quote) - len(mark), text.find(mark, begin)
    while place >= 0:
        first = place
        while first > begin and text[first - 1] == "\\":
            first -= 1
        if place - first <= allowed:
            return first
        place = text.find(mark, place + len(mark))
    return len(text)
