"""Finds the findings that follow from findings of earlier steps, so that users repair only the first cause."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from .finding import Finding, Step

_POLICY = ("IDS-429", "IDS-430", "IDS-431", "IDS-432", "IDS-433", "IDS-438")

CAUSES: Mapping[str, tuple[str, ...]] = {
    "IDS-401": ("IDS-402", "IDS-412", *_POLICY),
    "IDS-402": ("IDS-402", "IDS-412"),
    "IDS-404": ("IDS-404",),
    "IDS-405": ("IDS-405",),
    "IDS-406": ("IDS-214", "IDS-406"),
    # A provider with a wrong URL has the keys of another issuer.
    "IDS-408": ("IDS-402", "IDS-405"),
    "IDS-409": ("IDS-410",),
    "IDS-410": ("IDS-410",),
    "IDS-412": ("IDS-402", "IDS-412"),
    "IDS-413": ("IDS-413",),
    "IDS-415": ("IDS-214",),
    "IDS-420": ("IDS-214",),
    "IDS-422": ("IDS-214",),
    "IDS-432": ("IDS-402",),
}
"""For the code of a finding, the codes of earlier findings that explain it. The earlier findings come from the steps
`clock`, `account`, `OIDC provider` and `trust policy`."""


def following(step: Step, earlier: Iterable[Step]) -> Step:
    """Return the step. A finding that earlier findings explain names them, and gets their cure."""
    known = [each.code for other in earlier for each in other.findings]
    return replace(step, findings=[_following(each, known) for each in step.findings])


def _following(finding: Finding, known: list[str]) -> Finding:
    explained = CAUSES.get(finding.code, ())
    causes = tuple(dict.fromkeys(code for code in known if code in explained))
    if not causes:
        return finding
    return replace(finding, cure=f"correct {', '.join(causes)} above; this follows from it", follows=causes)


def independent(steps: Iterable[Step]) -> list[Finding]:
    """Return the findings of all steps that do not follow from other findings."""
    return [finding for step in steps for finding in step.findings if not finding.follows]
