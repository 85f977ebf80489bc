"""A configuration while it is read: what is known of it, and the mistakes found."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.checks import Findings, place_of
from ..core.errors import ConfigError, Mistake
from ..core.text import one_line
from .settings import Settings
from .watched_files import needed_files

SHORTEST_HIDDEN = 4
"""The minimum length in characters of a value that messages hide. Shorter texts are no secrets, and occur in many
words."""


@dataclass(slots=True)
class Draft:
    """
    A configuration that is being read. `file`: None if the configuration comes from the environment.

    `patient`: whether to wait for settings files that do not exist yet.
    """

    origin: str
    file: str | None
    trace: bool = True
    patient: bool = False
    raw: dict[str, Any] = field(default_factory=dict, repr=False)
    sources: dict[str, str] = field(default_factory=dict)
    warnings: list[Mistake] = field(default_factory=list)
    findings: Findings = field(default_factory=Findings)
    files: list[str] = field(default_factory=list)
    absent: list[Mistake] = field(default_factory=list)
    """A line for each settings file that does not exist yet."""

    settings: Settings | None = None
    hidden: dict[str, str] = field(default_factory=dict, repr=False)
    """Values that may be secrets, with their replacements for messages."""
    replacements: dict[str, str] = field(default_factory=dict)
    """Beginnings of messages with their replacements: the variable or the file that really contains the value."""

    unfilled: dict[str, Mistake] = field(default_factory=dict)
    """The complaint about each value in which something was not replaced, by its key."""

    wrong_values: int = 0
    """The number of mistakes in the values themselves. Other mistakes are in files and variables that values name."""

    def lack(self, missing: Mistake) -> None:
        """Record that a settings file does not exist: in `absent` if `patient`, else as a mistake."""
        if self.patient:
            self.absent.append(missing)
        else:
            self.findings.add([missing])

    def stop_at_mistakes(self) -> None:
        """Raise ConfigError if there are mistakes, with a line for each."""
        if self.findings.mistakes:
            raise ConfigError.of(dict.fromkeys(map(self.located, self.findings.mistakes)))

    def named(self, environ: Mapping[str, str]) -> frozenset[str]:
        """Return the files that the configuration names, as far as the configuration could be read."""
        if self.settings is None:
            return frozenset(map(os.path.abspath, self.files))
        return needed_files(self.settings, self.files, environ)

    def shown(self, sentence: str) -> str:
        """Return a sentence as one line, without the values that may be secrets."""
        for value, shown in self.hidden.items():
            if len(value) < SHORTEST_HIDDEN:
                continue
            sentence = sentence.replace(repr(value)[1:-1], shown).replace(value, shown)
        return one_line(sentence)

    def located(self, mistake: Mistake) -> Mistake:
        """Return the mistake for display, with the file or the variable in which it can be corrected."""
        cause, cure = mistake.cause, mistake.cure
        if (unfilled := self.unfilled.get(place_of(mistake))) is not None:
            cure = unfilled.cure
        opening = next(filter(cause.startswith, self.replacements), "")
        if opening:
            cause = self.replacements[opening] + cause.removeprefix(opening)
        elif self.file is not None and not cause.startswith(f"{self.file}:"):
            cause = f"{self.file}: {cause}"
        return mistake.reworded(cause, cure).mapped(self.shown)
