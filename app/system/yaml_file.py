"""YAML, for the commands that read files of other tools. PyYAML is the extra `yaml`; the running sidecar needs none."""

from __future__ import annotations

from typing import Any

from ..core.errors import ConfigError
from ..core.text import one_line


def parse_documents(raw: bytes, path: str, *, extra: str = "yaml") -> list[Any]:
    """
    Return the documents of a YAML file. Raises ConfigError: the place of a mistake, or that PyYAML is missing.

    `extra` is the extra of the package that the message about PyYAML names.
    """
    try:
        import yaml  # type: ignore[import-untyped, unused-ignore]  # the extra `yaml`
    except ImportError:
        raise ConfigError(
            f"{path}: reading YAML needs PyYAML; install idaas-credential-sidecar[{extra}], or write the file as JSON",
            error_code="IDS-129",
        ) from None
    try:
        return list(yaml.safe_load_all(raw))
    except yaml.MarkedYAMLError as error:
        # Not `str(error)`: it quotes the line, which may hold a secret.
        mark = error.problem_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark is not None else ""
        raise ConfigError(
            f"{path}{place}: not YAML: {one_line(error.problem or 'a mistake')}", error_code="IDS-126"
        ) from None
    except (yaml.YAMLError, RecursionError):
        raise ConfigError(
            f"{path}: not YAML: characters that are not allowed, or nested too deeply", error_code="IDS-126"
        ) from None
