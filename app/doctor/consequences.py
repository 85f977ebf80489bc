"""Finds the findings that follow from findings of earlier steps, so that users repair only the first cause."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from .finding import Finding, Step

_POLICY = ("IDS-429", "IDS-430", "IDS-431", "IDS-432", "IDS-433", "IDS-438")
_SERVER = (*(f"IDS-20{digit}" for digit in range(1, 8)), *(f"IDS-21{digit}" for digit in range(4)))

CAUSES: Mapping[str, tuple[str, ...]] = {
    # A proxy or a gateway in the way answers for every server.
    "IDS-209": ("IDS-209",),
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
    # Without a token, the policy is compared with the scope and the client id that the server refused.
    "IDS-429": ("IDS-303",),
    "IDS-431": ("IDS-301",),
    "IDS-432": ("IDS-402",),
    "IDS-437": ("IDS-214",),
    "IDS-506": ("IDS-101",),
    # The application's URL is examined beside its other variables, and again beside the configuration.
    "IDS-508": ("IDS-523", "IDS-524"),
    "IDS-514": ("IDS-514", "IDS-525"),
}
"""For the code of a finding, the codes of earlier findings about the same profile, or about all, that explain it."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """A finding with a code of `codes` follows from one of `causes` if `applies`, whatever their profiles are."""

    codes: Sequence[str]
    causes: Sequence[str]
    applies: Callable[[Finding, Finding], bool]

    def holds(self, finding: Finding, other: Finding) -> bool:
        """Return whether `finding` follows from the earlier finding `other`."""
        return finding.code in self.codes and other.code in self.causes and self.applies(finding, other)


def _same_subject(finding: Finding, other: Finding) -> bool:
    """Return whether `other` names the key or the server of `finding`."""
    subject = finding.about or finding.message.partition(": ")[0]
    return subject in other.message and finding.code in (other.code, *_PARTNERS.get(other.code, ()))


_PARTNERS = {"IDS-108": ("IDS-130",), "IDS-114": ("IDS-122",)}
"""Other codes of the same mistake. A secret's file that others can read is refused, and is also reported as readable. A
region in another form is also one that this version does not know."""


def _same_file(finding: Finding, other: Finding) -> bool:
    """Return whether the earlier finding is about the same key and file: all servers need a CA file, for example."""
    return finding.message in other.message


def _wrong_region(finding: Finding, other: Finding) -> bool:
    """Return whether the earlier finding is about a region with which the name of the finding's server was made."""
    region = other.message.partition("regionId: ")[2].partition(" ")[0]
    return bool(region) and f".{region}." in f".{finding.about}."


def _same_length(_finding: Finding, other: Finding) -> bool:
    """Return whether the earlier finding is about the length of sessions."""
    return "durationSeconds: " in other.message


_RULES = (
    _Rule((*_SERVER, "IDS-122", "IDS-124", "IDS-130"), (*_SERVER, "IDS-108", "IDS-114", "IDS-124"), _same_subject),
    _Rule(("IDS-124",), ("IDS-124",), _same_file),
    _Rule(("IDS-201", "IDS-202", "IDS-203", "IDS-204", "IDS-206"), ("IDS-122",), _wrong_region),
    _Rule(("IDS-435",), ("IDS-122",), _same_length),
)


class Consequences:
    """The findings of a whole run. Each step is `added` once, in the order of the run."""

    def __init__(self) -> None:
        self._earlier: list[tuple[str, Finding]] = []

    def added(self, step: Step) -> Step:
        """Return the step. A finding that earlier findings explain names them, and gets their cure."""
        found = []
        for finding in step.findings:
            profile = finding.profile or step.profile
            causes = finding.follows or tuple(dict.fromkeys(self._causes(finding, profile)))
            found.append(of(finding, causes) if causes else finding)
            self._earlier.append((profile, found[-1]))
        return replace(step, findings=found)

    def _causes(self, finding: Finding, profile: str) -> Iterable[str]:
        explained = {*CAUSES.get(finding.code, ()), *CAUSES.get(finding.reports, ()), finding.reports}
        for owner, other in self._earlier:
            mine = not owner or not profile or owner == profile
            named = mine and (other.code in explained or finding.code in other.explains)
            if named or any(rule.holds(finding, other) for rule in _RULES):
                yield other.code


def of(finding: Finding, causes: tuple[str, ...]) -> Finding:
    """Return the finding as a consequence of earlier findings with the codes `causes`."""
    return replace(finding, cure=f"correct {', '.join(causes)} above; this follows from it", follows=causes)


def independent(steps: Iterable[Step]) -> list[Finding]:
    """Return the findings of all steps that do not follow from other findings."""
    return [finding for step in steps for finding in step.findings if not finding.follows]
