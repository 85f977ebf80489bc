"""Step `configuration`: the file and the environment, each value with its source, and every mistake."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...config.explain import leaves, shown
from ...config.loader import Loaded, load
from ...core.errors import ConfigError, Mistake
from ..finding import Step, broken, warning
from ..target import Target

NAME = "configuration"


@dataclass(frozen=True, slots=True)
class Configuration:
    """The step's result. `loaded` is None where the configuration cannot be used at all."""

    step: Step
    loaded: Loaded | None = None
    mistakes: tuple[Mistake, ...] = ()

    def usable(self, profile: str) -> bool:
        """Return whether no mistake concerns the profile: it names the profile, or no profile at all."""
        return not any(f"profiles.{profile}." in line or not re.search(r"profiles\.", line) for line in self.mistakes)


def run(target: Target) -> Configuration:
    """Load the configuration as `serve` does. Where secrets or files are missing, go on without them."""
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
    found = [broken(line.error_code, str(line)) for line in mistakes]
    if loaded is None:
        return Configuration(Step(NAME, "cannot be used", findings=found), None, mistakes)
    found += [warning(each.error_code, each) for each in loaded.warnings]
    values = [
        {"key": key, "value": shown(key, value), "source": loaded.sources[key]}
        for key, value in leaves(loaded.settings)
        if key in loaded.sources
    ]
    names = ", ".join(loaded.settings.profiles)
    step = Step(NAME, f"{loaded.origin}; profiles: {names}", findings=found, facts={"values": values})
    return Configuration(step, loaded, mistakes)


def _load(target: Target, *, look: bool) -> Loaded:
    return load(
        target.config,
        target.environ,
        hostname=target.hostname,
        now=target.clocks.wall,
        default_path=target.default_path,
        look=look,
    )
