"""Foreign text made fit for one line of a message or a log."""

from __future__ import annotations

import re

LONGEST_QUOTE = 200
"""Characters of another side's words that a message repeats."""


def one_line(text: str) -> str:
    """Return `text` with what does not print escaped: it may hold a line break, or reverse a terminal's direction."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def printable(text: str) -> str:
    """
    Return `text` with what does not print escaped, except its line breaks.

    For text on a terminal, where ESC and U+009B begin commands and U+202E reverses the direction.
    """
    return "\n".join(map(one_line, text.split("\n")))


def quoted(text: str, longest: int = LONGEST_QUOTE) -> str:
    """Return another side's words as one printable line: white space collapsed, at most `longest` characters."""
    line = one_line(" ".join(text.split()))
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def printable_id(text: str) -> str:
    """Return `text` if it has the form of an error code or a request id and cannot be a token, else `(unreadable)`."""
    return text if re.fullmatch(r"(?!eyJ)[A-Za-z0-9._:-]{0,64}", text) else "(unreadable)"
