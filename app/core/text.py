"""Makes another party's text fit for one line of a message or log, and finds the known word that a wrong one means."""

from __future__ import annotations

import re

TYPE_CHECKING = False  # `typing` takes 5 ms, and `health` needs this module
if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST_QUOTE = 200
"""The most characters of another side's words that a message repeats."""


def one_line(text: str) -> str:
    """
    Return `text` with characters that do not print escaped.

    Without escaping, the text could hold a line break, or reverse the direction of a terminal's line.
    """
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def printable(text: str) -> str:
    """
    Return `text` with characters that do not print escaped, except line breaks.

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


def similar(word: str, known: Iterable[str], likeness: float = 0.6) -> str | None:
    """Return the known word that resembles `word` most; None if all are below `likeness` (difflib's ratio)."""
    import difflib  # only an error message needs it

    return next(iter(difflib.get_close_matches(word, list(known), 1, likeness)), None)
