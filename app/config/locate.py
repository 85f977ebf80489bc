"""Where the configuration and the admin socket are, found without reading the whole configuration.

A command that runs beside the sidecar counts against the memory limit of the same container: it imports little.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ..system import files
from ..system.json_file import read_object

DEFAULT_PATH = Path("/etc/idaas-sidecar/config.json")


def find(path: str | None, environ: Mapping[str, str], default_path: str) -> str | None:
    """Return the path of the configuration file: `path`, the variable's, the default's if it exists, else None."""
    named = path or environ.get("IDAAS_SIDECAR_CONFIG")
    if named:
        return named
    return default_path if files.exists(default_path) else None


def absolute(origin: str) -> str:
    """Return a configuration's origin for programs with another working directory: `environment`, or a whole path."""
    return origin if origin == "environment" else os.path.abspath(origin)


def admin_socket(path: str | None, environ: Mapping[str, str]) -> str | None:
    """
    Return `server.adminSocket` of the configuration file, or None where it has none that is plain text.

    Raises ConfigError where the file cannot be read. Nothing else of the file is checked.
    """
    file = find(path, environ, str(DEFAULT_PATH))
    server = read_object(file).get("server") if file is not None else None
    name = server.get("adminSocket") if isinstance(server, dict) else None
    if not isinstance(name, str) or "$" in name:  # a variable: for the loader
        return None
    return files.expanded(name, environ.get("HOME"))
