"""
Check a configuration for another machine, such as a pod, in CI.

Variables, secrets and files that the configuration names exist only on the target machine: mistakes of values that
depend on them are not reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..config.decode import UNSET_VARIABLE
from ..config.examined import Examined
from ..config.loader import examine
from ..config.locate import DEFAULT_PATH, read
from ..core.checks import profile_of, profile_place
from ..core.display import shown_path
from ..core.errors import ConfigError, Mistake

NO_FILE = ("IDS-102", "IDS-124")
SDK_FILE = ".identity.clientConfigPath"
"""The end of the key that names a file of the IDaaS SDK, which is read with the configuration."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A configuration without mistakes that this machine can find, and the values that only the target can check."""

    origin: str
    profiles: tuple[str, ...]
    warnings: tuple[Mistake, ...]
    unchecked: tuple[str, ...]


def check(path: str | None, environ: Mapping[str, str], hostname: str) -> Checked:
    """
    Return the result for the file at `path`, else for the file that `serve` would read. Raises ConfigError.

    Raises it also without a file: the configuration is then the target machine's environment, which is unknown here.
    """
    origin = path or environ.get("IDAAS_SIDECAR_CONFIG") or str(DEFAULT_PATH)
    examined = examine(origin, environ, hostname=hostname, look=False)
    mistakes = [mistake for place, mistake in examined.found if not _of_the_target(place, mistake)]
    if mistakes:
        raise ConfigError.of(dict.fromkeys(mistakes))
    names = tuple(examined.settings.profiles) if examined.settings is not None else ()
    return Checked(origin, names, examined.warnings, tuple(_unchecked(examined)))


def _of_the_target(place: str, mistake: Mistake) -> bool:
    """Return whether a mistake may be none on the target machine."""
    missing = mistake.error_code in NO_FILE and place.endswith(SDK_FILE)
    return missing or mistake.error_code == UNSET_VARIABLE


def _unchecked(examined: Examined) -> list[str]:
    """Return a line for each value that depends on variables, and for each file of the SDK."""
    variables: dict[str, list[str]] = {}
    missing: list[str] = []
    raw = read(examined.origin)
    for place, mistake in examined.found:
        if mistake.error_code == UNSET_VARIABLE:
            variables.setdefault(place, []).append(mistake.variable)
        else:
            profile = str(profile_of(place))
            # As the file has it: `~` is another directory on the target machine.
            file = raw["profiles"][profile]["identity"]["clientConfigPath"]
            reason = mistake.cause.rpartition(": ")[2]
            what = "is not" if reason == "no such file" else f"cannot be used ({reason})"
            missing.append(f"{profile_place(profile)}: {shown_path(file)} {what} on this machine")
    return [*(f"{place}: depends on {', '.join(names)}" for place, names in variables.items()), *missing]
