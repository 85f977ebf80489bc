"""Step `configuration`: the file and the environment, each value with its source, and every mistake."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import msgspec

from ...config.explain import leaves, shown
from ...config.loader import Loaded, load
from ...config.locate import find
from ...config.settings import Server
from ...core.addresses import listen_address
from ...core.errors import ConfigError, Mistake
from ...system.json_file import read_object
from ..finding import Step, broken, warning
from ..target import Target

NAME = "configuration"

OF_ANOTHER_USER = "IDS-131"
"""The code for root's check of another user's sidecar. It is no finding: the user owns the secret and can read it."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """
    The step's result. `loaded` is None if the configuration cannot be used at all.

    `server`: the configured addresses, as far as they are valid.
    """

    step: Step
    loaded: Loaded | None = None
    mistakes: tuple[Mistake, ...] = ()
    server: Server = field(default_factory=Server)

    def usable(self, profile: str) -> bool:
        """Return whether no mistake concerns the profile. A mistake that names no profile concerns all of them."""
        return not self._concerning(profile)

    def why_not(self, profile: str) -> str:
        """Return why no token is requested for an unusable profile."""
        found = self._concerning(profile)
        if any(line.error_code != OF_ANOTHER_USER for line in found):
            return "the configuration is broken"
        return f"{found[0].cause}. A sidecar of that user reads the file; run `sudo -u USER idaas-sidecar doctor`"

    def _concerning(self, profile: str) -> list[Mistake]:
        return [line for line in self.mistakes if f"profiles.{profile}." in line or not re.search(r"profiles\.", line)]


def run(target: Target) -> Configuration:
    """Load the configuration in the same way as `serve`. If secrets or files are missing, go on without them."""
    loaded: Loaded | None = None
    mistakes: tuple[Mistake, ...] = ()
    try:
        loaded = _load(target, look=True)
    except ConfigError as error:
        mistakes = error.mistakes
        try:
            loaded = _load(target, look=False)
        except ConfigError:
            loaded = None
    owners = [line for line in mistakes if line.error_code == OF_ANOTHER_USER]
    found = [broken(line.error_code, line.cause, line.cure) for line in mistakes if line not in owners]
    if loaded is None:
        return Configuration(Step(NAME, "cannot be used", findings=found), None, mistakes, _server(target))
    found += [
        warning(each.error_code, each.cause, each.cure)
        for each in loaded.warnings
        if not any(line.endswith(each) for line in owners)  # a file that its owner reads is not exposed
    ]
    values = [
        {"key": key, "value": shown(key, value), "source": loaded.sources[key]}
        for key, value in leaves(loaded.settings)
        if key in loaded.sources
    ]
    names = ", ".join(loaded.settings.profiles)
    step = Step(NAME, f"{loaded.origin}; profiles: {names}", findings=found, facts={"values": values})
    return Configuration(step, loaded, mistakes, loaded.settings.server)


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


def _load(target: Target, *, look: bool) -> Loaded:
    return load(
        target.config,
        target.environ,
        hostname=target.hostname,
        now=target.clocks.wall,
        default_path=target.default_path,
        look=look,
    )
