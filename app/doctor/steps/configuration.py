"""Step `configuration`: the file and the environment, each value with its source, and every mistake."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from ...config.examined import Examined
from ...config.explain import as_members, rows
from ...config.loader import Loaded, examine
from ...config.locate import find
from ...config.settings import Server
from ...core.addresses import listen_address
from ...core.checks import place_of, profile_of
from ...core.errors import ConfigError
from ...system.json_file import read_object
from ..finding import Finding, Step, broken, warning
from ..target import Target

NAME = "configuration"

NO_CONFIGURATION, UNSET_VARIABLE = "IDS-101", "IDS-108"
USABLE = ("fresh", "stale")
"""The states of a running profile that has credentials."""

OF_ANOTHER_USER = "IDS-131"
"""The code for root's check of another user's sidecar. It is no finding: the user owns the secret and can read it."""

EXPOSED = "IDS-130"
"""The code of the warning that more processes than necessary can read a secret's file."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """
    The step's result. `loaded` has the profiles without a wrong value; None where there is none.

    `server`: the addresses of its sidecar, as far as they are valid. `names`: all profiles.
    """

    step: Step
    examined: Examined
    loaded: Loaded | None = None
    server: Server = field(default_factory=Server)

    @property
    def names(self) -> list[str]:
        """The names of all profiles, also of those with mistakes."""
        return list(self.examined.settings.profiles) if self.examined.settings is not None else []

    @property
    def listening(self) -> Loaded | None:
        """The configuration, where what it says of listeners and access can be used."""
        return None if self.examined.wrong_sections() & {"server", "access"} else self.loaded

    def usable(self, profile: str) -> bool:
        """Return whether no mistake concerns the profile."""
        return not self.examined.concerning(profile)

    def why_not(self, profile: str) -> str:
        """Return why no token is requested for an unusable profile."""
        found = self.examined.concerning(profile)
        if any(line.error_code != OF_ANOTHER_USER for line in found):
            return "the configuration is broken"
        return f"{found[0].cause}. A sidecar of that user reads the file; run `sudo -u USER idaas-sidecar doctor`"


def run(target: Target) -> Configuration:
    """Read the configuration as `serve` does. Where something is wrong, go on with what is right."""
    examined = examine(target.config, target.environ, hostname=target.hostname, default_path=target.default_path)
    values = [as_members(row) for row in rows(examined) if row.mistakes or row.key in examined.sources]
    sound = examined.sound()
    loaded = None
    if sound is not None and sound.profiles:
        loaded = Loaded(
            sound, examined.origin, target.clocks.wall(), examined.sources, examined.warnings, examined.files
        )
    summary = f"{examined.origin}; profiles: {', '.join(loaded.settings.profiles)}" if loaded else "cannot be used"
    names = examined.settings.profiles if examined.settings is not None else ()
    wrong = [name for name in names if loaded is not None and name not in loaded.settings.profiles]
    if wrong:
        summary += f"; with mistakes: {', '.join(wrong)}"
    step = Step(NAME, summary, findings=_findings(examined), facts={"values": values} if values else {})
    return Configuration(step, examined, loaded, sound.server if sound is not None else _server(target))


def _findings(examined: Examined) -> list[Finding]:
    """Return the mistakes and the warnings as findings. A secret that its owner can read is neither."""
    mistakes = list(dict.fromkeys(mistake for _, mistake in examined.found))
    owned = {place for place, mistake in examined.found if mistake.error_code == OF_ANOTHER_USER}
    found = [broken(each.error_code, each.cause, each.cure) for each in mistakes if each.error_code != OF_ANOTHER_USER]
    found += [
        warning(each.error_code, each.cause, each.cure)
        for each in examined.warnings
        if place_of(each) not in owned or each.error_code != EXPOSED  # a file that its owner reads is not exposed
    ]
    return found


def beside(read: Configuration, status: Mapping[str, Any], own: str) -> Step:
    """
    Return the step of `read` with the cures that the running sidecar's status gives.

    `own`: the file that this command reads.

    The running sidecar's file is known if this command finds none. A secret's variable may be set for the running
    sidecar alone: then credentials arrive, and only this command lacks it.
    """
    origin = str(status.get("config") or "")
    usable = {each.get("profile") for each in status["profiles"] if each.get("state") in USABLE}
    unset_here = {
        mistake.cause
        for place, mistake in read.examined.found
        if mistake.error_code == UNSET_VARIABLE and mistake.variable and profile_of(place) in usable
    }
    found = []
    for each in read.step.findings:
        if each.code == NO_CONFIGURATION and origin.startswith("/"):
            each = replace(each, cure=f"name the running sidecar's file: --config {shlex.quote(origin)}")
        if each.message in unset_here and origin == own:
            here = "set the variable to the secret in this terminal, too: the running sidecar has it"
            each = replace(each, state="warning", cure=here)
        found.append(each)
    return replace(read.step, findings=found)


def _server(target: Target) -> Server:
    """Return the addresses in an unusable file, because a sidecar may run with an earlier version of the file."""
    file = find(target.config, target.environ, str(target.default_path))
    try:
        found = msgspec.convert(read_object(file).get("server", {}), Server) if file is not None else Server()
        for name, address in (("bind", found.bind), ("metadata", found.metadata), ("ops", found.ops)):
            if address is not None:
                listen_address(address, f"server.{name}")
    except (ConfigError, msgspec.ValidationError):
        return Server()
    return found
