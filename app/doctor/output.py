"""The steps as text lines for people, and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..core.text import one_line
from .consequences import independent
from .finding import Step
from .steps import sidecar, token


def lines(step: Step) -> Iterator[str]:
    """Yield the printable lines of one step: its state, name and summary, then each finding with its cure."""
    yield from map(one_line, _lines(step))


def _lines(step: Step) -> Iterator[str]:
    where = f" {step.profile}" if step.profile else ""
    yield f"{step.state:<8} {step.name}{where}: {step.summary}"
    for finding in step.findings:
        yield f"         {finding.code} {finding.message}"
        yield f"         cure: {finding.cure}"
    for key, value in _claims(step):
        yield f"         {key}: {value}"


def _claims(step: Step) -> Iterator[tuple[str, Any]]:
    """Yield the token's header and claims, and STS's reading of them, so that an administrator can compare with RAM."""
    for part in ("header", "claims", "OIDCTokenInfo"):
        for key, value in dict(step.facts.get(part, {})).items():
            yield f"{part}.{key}", value


def healthy(steps: Sequence[Step]) -> bool:
    """Return whether there is no fault, and the cloud or the running sidecar has supplied credentials."""
    if any(step.findings for step in steps):
        return False
    running = any(step.name == sidecar.NAME and not step.skipped for step in steps)
    return running or not any(step.name == token.NAME and step.skipped for step in steps)


def verdict(steps: Sequence[Step]) -> str:
    """Return the last line of the output, which sums up all steps."""
    found = independent(steps)
    if not found:
        if not healthy(steps):
            return "nothing is known of the credentials: no token was requested, and no running sidecar was asked"
        if any(step.name == token.NAME and step.skipped for step in steps):
            return "healthy: the running sidecar has credentials; no token was requested"
        if any(step.skipped for step in steps if step.name == sidecar.NAME):
            return "healthy: the cloud gives credentials; no running sidecar was asked"
        return "healthy: credentials arrive"
    codes = ", ".join(dict.fromkeys(finding.code for finding in found))
    return f"{len(found)} finding{'s' if len(found) > 1 else ''}: {codes}; `idaas-sidecar help CODE` explains each"


def document(steps: Iterable[Step]) -> dict[str, Any]:
    """Return all steps as JSON members. Codes and states are stable; messages are for people."""
    known = list(steps)
    return {"healthy": healthy(known), "steps": [_members(step) for step in known]}


def _members(step: Step) -> dict[str, Any]:
    return {
        "step": step.name,
        "profile": step.profile or None,
        "state": step.state,
        "summary": step.summary,
        "findings": [
            {
                "state": each.state,
                "code": each.code,
                "message": each.message,
                "cure": each.cure,
                "follows": list(each.follows),
            }
            for each in step.findings
        ],
        "facts": dict(step.facts),
    }
