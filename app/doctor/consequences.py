"""Which findings follow from findings of earlier steps, so that only the first cause is repaired."""

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
    # A provider whose URL is another one has the keys of another issuer.
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
"""The findings of `clock`, `account`, `OIDC provider` and `trust policy` that explain each later one."""


def following(step: Step, earlier: Iterable[Step]) -> Step:
    """Return the step; a finding that earlier ones explain names them, and its cure is theirs."""
    known = [each.code for other in earlier for each in other.findings]
    return replace(step, findings=[_following(each, known) for each in step.findings])


def _following(finding: Finding, known: list[str]) -> Finding:
    explained = CAUSES.get(finding.code, ())
    causes = tuple(dict.fromkeys(code for code in known if code in explained))
    if not causes:
        return finding
    return of(finding, causes)


def of(finding: Finding, causes: tuple[str, ...]) -> Finding:
    """Return the finding as a consequence of earlier findings with the codes `causes`."""
    return replace(finding, cure=f"correct {', '.join(causes)} above; this follows from it", follows=causes)


def independent(steps: Iterable[Step]) -> list[Finding]:
    """Return the findings of all steps that do not follow from others."""
    return [finding for step in steps for finding in step.findings if not finding.follows]
