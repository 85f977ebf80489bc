"""Where the configuration and the admin socket are, found without reading the whole configuration.

A command that runs beside the sidecar counts against the memory limit of the same container: it imports little.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..core.errors import ConfigError
from ..system import files
from ..system.json_file import read_object

DEFAULT_PATH = Path("/etc/idaas-sidecar/config.json")


def find(path: str | None, environ: Mapping[str, str], default_path: str) -> str | None:
    """Return the path of the configuration file: `path`, the variable's, the default's if it exists, else None."""
    named = path or environ.get("IDAAS_SIDECAR_CONFIG")
    if named:
        return named
    return default_path if files.exists(default_path) else None


def read(path: str) -> dict[str, Any]:
    """Return the object of the configuration file. Raises ConfigError, also where it is the IDaaS SDK's file."""
    raw: dict[str, Any] = {}
    failure: ConfigError | None = None
    try:
        raw = read_object(path)
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
    return raw


def _is_sdk_file(raw: dict[str, Any], path: str) -> bool:
    """Return whether a file has the SDK's keys instead of a configuration's. `raw` is empty if it has comments."""
    try:
        keys = (raw or read_object(path, tolerant=True)).keys()
    except ConfigError:
        return False
    return "authn_configuration" in map(snake_case, keys) and not keys & {"configVersion", "profiles"}


def snake_case(key: str) -> str:
    """Return `unsafeIgnoreSSLCert`, `unsafeIgnoreSslCert` and `unsafe_ignore_ssl_cert` alike as the last."""
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", key)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", words).lower()


def absolute(origin: str) -> str:
    """Return a configuration's origin for programs with another working directory: `environment`, or a whole path."""
    return origin if origin == "environment" else os.path.abspath(origin)


def admin_socket(path: str | None, environ: Mapping[str, str]) -> str | None:
    """
    Return `server.adminSocket` of the configuration file, or None where it has none that is plain text.

    Raises ConfigError where the file cannot be read. Nothing else of the file is checked.
    """
    file = find(path, environ, str(DEFAULT_PATH))
    server = read(file).get("server") if file is not None else None
    name = server.get("adminSocket") if isinstance(server, dict) else None
    if not isinstance(name, str) or "$" in name:  # a variable: for the loader
        return None
    return files.expanded(name, environ.get("HOME"))
