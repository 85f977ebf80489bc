"""Finds texts that look like a key or token, whatever issued them: long, without blanks, and random. In linear time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

SHORTEST = 32
"""Characters of the shortest text that is found. A UUID has 36, but small letters alone."""

SHORTEST_HEX = 48
"""Characters of the shortest hexadecimal text that is found: keys of 192 bits. Trace ids have 32 and
thumbprints 40."""

MOST_WORDLIKE = 0.4
"""The share of neighbours of another kind (small, capital, digit) up to which a text with slashes is a path. It is 0.64
in random base64, and about 0.25 in paths."""

_RUN = re.compile(rf"[\w+/=~-]{{{SHORTEST},}}", re.ASCII)
_SEGMENT = re.compile(r"[^/]+")
_BASE64 = re.compile(rf"[A-Za-z0-9+/]{{{SHORTEST},}}={{0,2}}")
_HEX = re.compile(rf"(?<![A-Za-z0-9])[0-9a-fA-F]{{{SHORTEST_HEX},}}(?![A-Za-z0-9])")
_KINDS = ("[a-z]", "[A-Z]", "[0-9]")


def opaque(text: str) -> Iterator[tuple[int, int]]:
    """Yield begin and end of each text that looks like a key or token."""
    for run in _RUN.finditer(text):
        for found in _in_run(run[0]):
            yield run.start() + found.start(), run.start() + found.end()
    for match in _HEX.finditer(text):
        if re.search("[0-9]", match[0]) and re.search("[a-fA-F]", match[0]):
            yield match.span()


def _in_run(run: str) -> Iterator[re.Match[str]]:
    """Yield parts of a text without blanks that look like a key or token: between slashes, or base64 with slashes."""
    for segment in _SEGMENT.finditer(run):
        if len(segment[0]) >= SHORTEST and _is_mixed(segment[0]):
            yield segment
    for found in _BASE64.finditer(run):
        if "/" in found[0] and _is_mixed(found[0]) and _is_random(found[0]):
            yield found


def _is_mixed(text: str) -> bool:
    """Return whether a text has small letters, capital letters and digits."""
    return all(re.search(kind, text) for kind in _KINDS)


def _is_random(text: str) -> bool:
    kinds = ["a" if char.islower() else "A" if char.isupper() else "0" for char in text if char.isalnum()]
    changes = sum(one != other for one, other in pairwise(kinds))
    return changes > MOST_WORDLIKE * len(kinds)
