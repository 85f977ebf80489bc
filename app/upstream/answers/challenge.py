"""The error in a WWW-Authenticate header (RFC 6750 3.1, RFC 9449 7.1): the answer may have no body."""

from __future__ import annotations

import re

from .error_words import CODE, ErrorWords

LONGEST = 4_096
"""The most characters of a header that are read."""

_PARAMETER = re.compile(
    r"""\b(?P<name>error|error_description)\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*+)"|(?P<token>[\w.:/-]+))""",
    re.IGNORECASE | re.ASCII,
)


def challenge_words(header: str) -> ErrorWords | None:
    """Return code and message of the first challenge with an error; None without one. The caller cleans the texts."""
    found: dict[str, str] = {}
    for match in _PARAMETER.finditer(header[:LONGEST]):
        text = re.sub(r"\\(.)", r"\1", match["quoted"]) if match["token"] is None else match["token"]
        found.setdefault(match["name"].lower(), text)
    code = found.get("error", "")
    if not CODE.fullmatch(code):
        return None
    return ErrorWords("a WWW-Authenticate header", True, code, found.get("error_description", ""))
