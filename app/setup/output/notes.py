"""The notes and the configuration file of a plan, as comment lines."""

from __future__ import annotations

from collections.abc import Iterator

from ...core.json_text import json_text
from ...core.text import one_line
from ..plan import Plan


def commented(plan: Plan) -> Iterator[str]:
    """Yield lines that begin with `#`: a description of the text, and the plan's notes."""
    yield "# Written by `idaas-sidecar setup`. Review it before you apply it."
    accounts = sorted({each.account for each in plan.providers} | {each.account for each in plan.roles})
    yield f"# Alibaba Cloud account: {', '.join(accounts)}"
    for note in plan.notes:
        yield f"# Note: {one_line(note)}"
    yield ""


def configuration(plan: Plan) -> Iterator[str]:
    """Yield the configuration file of the sidecar as lines that begin with `#`; none if the plan was made from one."""
    if plan.configuration is not None:
        yield ""
        yield "# Configuration of the sidecar (config.json):"
        yield from (f"# {line}" for line in json_text(plan.configuration, indent=2).splitlines())
