"""Checks the value of `--profile`. A separate module, so that `env` imports neither pipeline nor HTTP client."""

from __future__ import annotations

from collections.abc import Collection

from ..core.errors import ConfigError

TYPE_CHECKING = False  # the loader takes 12 MiB, and `get` beside a sidecar does not need it
if TYPE_CHECKING:
    from ..config.loader import Loaded


def check_profile(loaded: Loaded, name: str) -> None:
    """Raise ConfigError unless the configuration has the profile `name`."""
    check_name(name, loaded.settings.profiles, loaded.origin)


def check_name(name: str, known: Collection[str], origin: str) -> None:
    """Raise ConfigError unless `name` is one of the profiles that are known at `origin`."""
    if name not in known:
        raise ConfigError(
            f"--profile: there is no profile {name!r} in {origin}; there is {', '.join(known)}", error_code="IDS-120"
        )
