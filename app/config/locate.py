"""Finds the configuration file and the admin socket without reading the whole configuration.

A command that runs beside the sidecar counts against the memory limit of the same container, so it imports little.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..core.errors import ConfigError, Mistake
from ..system import files
from ..system.json_file import examine_object, read_object

DEFAULT_PATH = Path("/etc/idaas-sidecar/config.json")


def find(path: str | None, environ: Mapping[str, str], default_path: str) -> str | None:
    """Return the path of the configuration file: `path`, else the variable, else an existing default file, or None."""
    named = path or environ.get("IDAAS_SIDECAR_CONFIG")
    if named:
        return named
    return default_path if files.exists(default_path) else None


def read(path: str) -> dict[str, Any]:
    """Return the object of the configuration file. Raises ConfigError, also if it is the IDaaS SDK's file."""
    raw, mistakes = examine(path)
    if mistakes:
        raise ConfigError.of(mistakes)
    return raw


def examine(path: str) -> tuple[dict[str, Any], list[Mistake]]:
    """
    Return the object of the configuration file, and the mistakes in its JSON.

    Raises ConfigError if the file has no readable object, or is the IDaaS SDK's file.
    """
    raw: dict[str, Any] = {}
    mistakes: list[Mistake] = []
    failure: ConfigError | None = None
    try:
        raw, mistakes = examine_object(path)
    except ConfigError as error:
        failure = error
    if _is_sdk_file(raw, path):
        raise ConfigError(
            f"{path}: this is the IDaaS SDK's file, not a configuration of the sidecar",
            cure="name its path in identity.clientConfigPath of a profile, or leave out --config and set "
            "CLOUD_IDAAS_CONFIG_PATH",
            error_code="IDS-116",
        )
    if failure is not None:
        raise failure
    return raw, mistakes


def _is_sdk_file(raw: dict[str, Any], path: str) -> bool:
    """Return whether a file has the keys of the SDK's file. `raw` is empty for a file with line breaks in strings."""
    try:
        keys = (raw or read_object(path, tolerant=True)).keys()
    except ConfigError:
        return False
    return "authn_configuration" in map(snake_case, keys) and not keys & {"configVersion", "profiles"}


def snake_case(key: str) -> str:
    """Return a key in snake case: `unsafe_ignore_ssl_cert` for `unsafeIgnoreSSLCert` and for `unsafeIgnoreSslCert`."""
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", key)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", words).lower()


def absolute(origin: str) -> str:
    """Return a configuration's origin as `environment` or an absolute path, for programs in another directory."""
    return origin if origin == "environment" else os.path.abspath(origin)


def admin_socket(path: str | None, environ: Mapping[str, str]) -> str | None:
    """
    Return `server.adminSocket` of the configuration file; None if the key is missing or contains a variable.

    Raises ConfigError if the file cannot be read. Does not check the other keys.
    """
    file = find(path, environ, str(DEFAULT_PATH))
    server = read(file).get("server") if file is not None else None
    name = server.get("adminSocket") if isinstance(server, dict) else None
    if not isinstance(name, str) or "$" in name:  # only the loader replaces variables
        return None
    return files.expanded(name, environ.get("HOME"))
