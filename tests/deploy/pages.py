"""The code blocks of the pages about Kubernetes. The comment above a block is its name: `<!-- install -->`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .conftest import ROOT

PAGES = {
    "kubernetes": ROOT / "docs" / "kubernetes.md",
    "monitoring": ROOT / "docs" / "monitoring.md",
    "chart": ROOT / "deploy" / "helm" / "idaas-credential-sidecar" / "README.md",
    "kustomize": ROOT / "deploy" / "kustomize" / "README.md",
}


@dataclass(frozen=True)
class Block:
    """A code block without its indentation, and its name; a block without a comment has none."""

    name: str
    language: str
    text: str


def parse(page: str) -> list[Block]:
    """Return the blocks of a page's text in their order."""
    found = re.findall(r"^( *)(?:<!-- ([^\n]*) -->\n\1)?```(\w*)\n(.*?)^\1```$", page, re.DOTALL | re.MULTILINE)
    return [
        Block(name, language, "\n".join(line.removeprefix(indent) for line in text.splitlines()))
        for indent, name, language, text in found
    ]


def block(page: str, name: str) -> str:
    """Return the text of the block with this name."""
    (found,) = [each.text for each in parse(PAGES[page].read_text()) if each.name == name]
    return found
