"""
The steps of a page below docs/start. A comment before each code block says what the block is:

    <!-- file config.json -->   the reader saves the block under this name
    <!-- run -->                the reader types the block into the current terminal; every command succeeds
    <!-- serve -->              the same, and the last command keeps running: the reader opens another terminal
    <!-- output -->             the lines that the last block prints; an ellipsis stands for any text
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(path.name for path in (DOCS / "start").glob("*.md") if path.name != "README.md")
_FENCED = re.compile(r"(?:<!-- (\w+)(?: (\S+))? -->\n)?```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl, which the pages use")
KINDS = frozenset({"file", "run", "serve", "output"})


@dataclass(frozen=True, slots=True)
class Step:
    """One code block. `kind` is one of KINDS, `name` the name of a file, `line` its line on the page."""

    kind: str
    name: str
    text: str
    line: int


def steps(text: str) -> list[Step]:
    """Return the steps of a page in their order. Fails for a code block without a comment, which no test would run."""
    found = []
    for match in _FENCED.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        assert match[1] in KINDS, f"line {line}: no comment says what this block is"
        found.append(Step(match[1], match[2] or "", match[4], line))
    return found
