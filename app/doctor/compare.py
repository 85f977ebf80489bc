"""Compares two values, and marks the characters that differ."""

from __future__ import annotations

from difflib import SequenceMatcher
from itertools import takewhile

LONGEST = 300
"""The most characters of a value that are shown."""

ALIKE = 0.6
"""The share of equal characters from which differences are marked. Below it, the values differ as a whole."""


def marked(found: str, wanted: str) -> str:
    """
    Return `found` as a quoted text in which `>>` and `<<` surround the part that differs from `wanted`.

    The part reaches from the first to the last character that differs, so exchanged letters are marked once. `>><<`
    marks a place where characters of `wanted` are missing.
    """
    found, wanted = found[:LONGEST], wanted[:LONGEST]
    matcher = SequenceMatcher(None, found, wanted, autojunk=False)
    if found == wanted or matcher.ratio() < ALIKE:
        return repr(found)
    start = _equal(found, wanted)
    end = _equal(found[start:][::-1], wanted[start:][::-1])
    return repr(f"{found[:start]}>>{found[start : len(found) - end]}<<{found[len(found) - end :]}")


def _equal(one: str, other: str) -> int:
    """Return the number of equal characters at the start of both texts."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def closest(wanted: str, values: tuple[str, ...]) -> str:
    """Return the value that resembles `wanted` most; an empty text if there is none."""
    return max(values, key=lambda value: SequenceMatcher(None, value, wanted).ratio(), default="")
