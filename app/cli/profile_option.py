"""Checks the value of `--profile`. A separate module, so that `env` imports neither pipeline nor HTTP client."""

from __future__ import annotations

from ..config.loader import Loaded
from ..core.errors import ConfigError


def check_profile(loaded: Loaded, name: str) -> None:
    """Raise ConfigError unless the configuration has the profile `name`."""
    if name not in loaded.settings.profiles:
        known = ", ".join(loaded.settings.profiles)
        raise ConfigError(
            f"--profile: there is no profile {name!r} in {loaded.origin}; there is {known}", error_code="IDS-120"
        )
