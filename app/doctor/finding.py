"""The result of a step, as values for the text and the JSON output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ..core.error_index.index import INDEX
from ..core.errors import SidecarError

State = Literal["ok", "warning", "broken", "skipped"]
"""The state of a step. `warning`: it works, but not as intended, or not for long. `skipped`: an earlier step is broken,
or the step lacks input."""


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One mistake or fault. `code` is its entry in the errors index.

    `message` names only the cause. `cure` says what to do, and is never empty. `follows`: the codes of earlier findings
    that explain this finding. It ends when they are cured.
    """

    state: Literal["warning", "broken"]
    code: str
    message: str
    cure: str
    follows: tuple[str, ...] = ()


def broken(code: str, cause: str, cure: str = "") -> Finding:
    """Return a finding that keeps credentials from arriving. Without `cure`, the errors index supplies it."""
    return Finding("broken", code, cause, cure or INDEX[code].cure)


def warning(code: str, cause: str, cure: str = "") -> Finding:
    """Return a finding that does not keep credentials from arriving."""
    return Finding("warning", code, cause, cure or INDEX[code].cure)


def failed(error: Exception) -> Finding:
    """Return the finding for an error that the program raised. The message includes the cloud's own words."""
    if not isinstance(error, SidecarError):
        return broken("IDS-901", f"internal error ({type(error).__name__})")
    return broken(error.error_code, error.quoted_cause, error.cure)


@dataclass(frozen=True, slots=True)
class Step:
    """
    The result of one step. `profile` is empty if the step concerns all profiles. `summary` is one line.

    `facts`: the values that the step found, without secrets.
    """

    name: str
    summary: str
    profile: str = ""
    findings: Sequence[Finding] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    skipped: bool = False

    @property
    def state(self) -> State:
        """The worst state among the findings."""
        if self.skipped:
            return "skipped"
        states = {finding.state for finding in self.findings}
        return "broken" if "broken" in states else "warning" if "warning" in states else "ok"


def skipped(name: str, why: str, profile: str = "") -> Step:
    """Return a step that did not run."""
    return Step(name, why, profile, skipped=True)
