"""
`health`: one GET to the running sidecar, for images without curl.

A probe that runs every few seconds must cost milliseconds. The command therefore imports neither the loader nor an
HTTP client, and reads the ops address from the configuration without checking the rest of the file.
"""

from __future__ import annotations

import json
import re
import sys
from argparse import Namespace
from collections.abc import Mapping

from ..core.text import printable
from ..system import files
from ..system.local_http import get

DEFAULT_PATH = "/etc/idaas-sidecar/config.json"
DEFAULT_OPS = "127.0.0.1:7118"
LARGEST = 1_048_576
"""Bytes of the configuration file."""


def run(arguments: Namespace, environ: Mapping[str, str]) -> int:
    """Print the body of the probe's response. Exit code 0 for status 200, else 1."""
    path = arguments.config or environ.get("IDAAS_SIDECAR_CONFIG")
    try:
        host, port = ops_address(path or DEFAULT_PATH, required=path is not None)
        status, body = get(host, port, "/readyz" if arguments.ready else "/livez")
    except (OSError, ValueError) as error:
        print(f"idaas-sidecar health: {error}", file=sys.stderr)
        return 1
    print(printable(body))
    return 0 if status == 200 else 1


def ops_address(path: str, *, required: bool) -> tuple[str, int]:
    """
    Return host and port of the ops listener that the file configures, or the default without a file.

    Raises OSError if the file cannot be read; a missing file counts only if `required`. Raises ValueError if the file
    is not JSON, configures no ops listener, or leaves its port to the kernel.
    """
    address = DEFAULT_OPS
    try:
        address = _configured_address(json.loads(files.read(path, LARGEST)))
    except files.Absent:
        if required:
            raise FileNotFoundError(f"{path}: no such file") from None
    except files.Unreadable as why:
        raise OSError(f"{path}: {why}") from None
    except RecursionError:
        raise ValueError(f"{path}: nested too deeply; see idaas-sidecar config --config {path}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}; see idaas-sidecar config --config {path}") from None
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if int(port) == 0:
        raise ValueError(f"{path}: server.ops: port 0 takes a free port, which this command cannot know; set a port")
    # A client cannot connect to a wildcard address, and this command resolves no names. `::` includes IPv4, whose
    # loopback address exists on every machine; ::1 does not where IPv6 is disabled.
    return {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1", "localhost": "127.0.0.1"}.get(host, host), int(port)  # noqa: S104


def _configured_address(config: object) -> str:
    server = config.get("server", {}) if isinstance(config, dict) else None
    address = server.get("ops", DEFAULT_OPS) if isinstance(server, dict) else None
    if not isinstance(address, str) or not re.fullmatch(r".+:[0-9]{1,5}", address):
        raise ValueError("server.ops: null or not of the form HOST:PORT, so there is no listener to check")
    return address
