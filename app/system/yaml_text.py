"""Documents of YAML text, for commands that read files of Kubernetes. No other command needs PyYAML."""

from __future__ import annotations

from typing import Any

from ..core.errors import ConfigError
from ..core.text import one_line


def documents(raw: bytes, place: str) -> list[Any]:
    """Return the documents of YAML text. Raises ConfigError, whose message begins with `place`, also without PyYAML."""
    try:
        import yaml  # type: ignore[import-untyped, unused-ignore]  # the extras `yaml` and `webhook`
    except ImportError:
        raise ConfigError(
            f"{place}: reading YAML needs PyYAML; install idaas-credential-sidecar[yaml], or write the file as JSON"
        ) from None
    try:
        return list(yaml.safe_load_all(raw))
    except yaml.YAMLError as error:
        raise ConfigError(f"{place}: not YAML: {one_line(str(error))}") from None
