"""A configuration with mistakes: what can be read of it, what is wrong with it, and which profiles can be used."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from ..core.checks import profile_place
from ..core.errors import ConfigError, Mistake
from ..core.record import Record
from .settings import Settings


class Examined(Record, frozen=True):
    """
    A configuration as far as it can be read, which may have mistakes.

    `settings`: with defaults or stand-ins at the places of `unusable`; None where nothing can be read. `found`: each
    mistake with the place that it begins with, a dotted key; the first `wrong_values` are in the values themselves, the
    others in files and variables that these name. The other members are as in Loaded.
    """

    settings: Settings | None
    origin: str
    sources: Mapping[str, str]
    found: tuple[tuple[str, Mistake], ...]
    wrong_values: int
    unusable: frozenset[str]
    warnings: tuple[Mistake, ...]
    files: tuple[str, ...]

    def concerning(self, profile: str, *, values: bool = False) -> list[Mistake]:
        """
        Return the mistakes that keep a profile from credentials: its own, and those of shared settings.

        `values`: leave out mistakes in files and variables that the values name.
        """
        found = self.found[: self.wrong_values] if values else self.found
        return [mistake for place, mistake in found if _concerns(place, profile)]

    def wrong_sections(self) -> frozenset[str]:
        """Return the sections with a wrong value, `profiles` aside."""
        places = {_section(place) for place, _ in self.found[: self.wrong_values]}
        return frozenset(places | set(map(_section, self.unusable))) - {"profiles"}

    def sound(self) -> Settings | None:
        """
        Return the profiles whose values are right, which may be none. A section with a mistake has its defaults.

        None where nothing can be read.
        """
        if self.settings is None:
            return None
        profiles = {
            name: profile
            for name, profile in self.settings.profiles.items()
            if not self.concerning(name, values=True) and not {"profiles", profile_place(name)} & self.unusable
        }
        sections = {
            name: type(getattr(self.settings, name))() for name in self.wrong_sections().intersection(_OWN_SECTIONS)
        }
        return msgspec.structs.replace(self.settings, profiles=profiles, **sections)

    def error(self) -> ConfigError:
        """Return the error that `load` raises for the mistakes. There must be at least one."""
        return ConfigError.of(dict.fromkeys(mistake for _, mistake in self.found))


_OWN_SECTIONS = frozenset(
    ("server", "metadata", "access", "startup", "shutdown", "refresh", "cache", "logging", "telemetry")
)
"""Sections of the sidecar's own side: the cloud gives credentials whatever they say."""


def _concerns(place: str, profile: str) -> bool:
    section = _section(place)
    if section == "profiles" and place != "profiles":
        return f"{place}.".startswith((f"{profile_place(profile)}.", f"{profile_place(profile)}["))
    return section not in _OWN_SECTIONS


def _section(place: str) -> str:
    """Return the first key of a place; empty for a place in line and column, after a file's name."""
    return "" if re.search(r":\d+:\d+$", place) else re.split(r"[.\[]", place)[0]
