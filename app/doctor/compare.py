"""Compares two values, and marks the characters that differ."""

from __future__ import annotations

from difflib import SequenceMatcher

LONGEST = 300
"""The most characters of a value that are shown."""

ALIKE = 0.6
"""The share of equal characters from which differences are marked. Below it, the values differ as a whole."""


def marked(found: str, wanted: str) -> str:
    """
    Return `found` as a quoted text in which `>>` and `<<` surround characters that differ from `wanted`.

    `>><<` marks a place where characters of `wanted` are missing.
    """
    found, wanted = found[:LONGEST], wanted[:LONGEST]
    matcher = SequenceMatcher(None, found, wanted, autojunk=False)
    if found == wanted or matcher.ratio() < ALIKE:
        return repr(found)
    parts = []
    for kind, start, end, _, _ in matcher.get_opcodes():
        if kind == "equal":
            parts.append(found[start:end])
        else:
            parts.append(f">>{found[start:end]}<<")
    return repr("".join(parts))


def closest(wanted: str, values: tuple[str, ...]) -> str:
    """Return the value that resembles `wanted` most; an empty text if there is none."""
    return max(values, key=lambda value: SequenceMatcher(None, value, wanted).ratio(), default="")
