"""
`health`: one GET to the running sidecar, for images without curl.

A probe that runs every few seconds must cost milliseconds. The command therefore imports neither the loader nor an
HTTP client. It reads the ops address from the configuration without checking the rest of the file.
"""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Mapping

from ...core.errors import ConfigError, Reason, Unreachable
from ...core.json_text import json_value
from ...core.text import printable
from ...system import files
from ...system.local_http import get
from ..errors import UNHEALTHY, CommandFailed

DEFAULT_PATH = "/etc/idaas-sidecar/config.json"
DEFAULT_OPS = "127.0.0.1:7118"
LARGEST = 1_048_576
"""The most bytes of the configuration file."""

_UNUSABLE = "IDS-102"
"""The stable code of a file from which the sidecar's address cannot be read."""


def run(arguments: Namespace, environ: Mapping[str, str]) -> int:
    """Print the body of the probe's response. Exit code 0 for status 200, else 1."""
    path = arguments.config or environ.get("IDAAS_SIDECAR_CONFIG")
    probe = "/readyz" if arguments.ready else "/livez"
    try:
        host, port = ops_address(path or DEFAULT_PATH, required=path is not None)
        status, body = get(host, port, probe)
    except ConfigError as error:
        raise CommandFailed(error.mistakes[0], exit_code=UNHEALTHY, error_code=error.error_code) from None
    except Unreachable as error:
        reason = Reason(error.cause, error.cure)
        raise CommandFailed(reason, exit_code=UNHEALTHY, error_code=error.error_code) from None
    print(printable(body))
    if status == 200:
        return 0
    raise CommandFailed(f"{host}:{port}: {probe} answers {status}", exit_code=UNHEALTHY, error_code=_code(status, body))


def _code(status: int, body: str) -> str:
    """Return the error code of a probe's answer: the code of its first profile, else the code of the answer."""
    if status != 503:
        return "IDS-502"  # another program listens there
    found = re.search(r'"error_code": ?"(IDS-[0-9]{3})"', body)
    return found[1] if found is not None else "IDS-504"


def ops_address(path: str, *, required: bool) -> tuple[str, int]:
    """
    Return host and port of the ops listener that the file configures, or the default without a file.

    Raises ConfigError if the file cannot be read, is not JSON, configures no ops listener, or leaves its port to the
    kernel. A missing file counts only if `required`.
    """
    address = DEFAULT_OPS
    try:
        address = _configured_address(json_value(files.read(path, LARGEST)))
    except files.Absent:
        if required:
            raise ConfigError(f"{path}: no such file", error_code=_UNUSABLE) from None
    except files.Unreadable as why:
        raise ConfigError(why.at(path), error_code=_UNUSABLE) from None
    except ValueError as error:
        raise ConfigError(
            f"{path}: {error}", cure=f"see idaas-sidecar config --config {path}", error_code=_UNUSABLE
        ) from None
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if int(port) == 0:
        raise ConfigError(
            f"{path}: server.ops: port 0 takes a free port, which this command cannot know",
            cure="set a port",
            error_code=_UNUSABLE,
        )
    # A client cannot connect to a wildcard address, and this command resolves no names. `::` includes IPv4, whose
    # loopback address exists on every machine. ::1 does not exist if IPv6 is disabled.
    return {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1", "localhost": "127.0.0.1"}.get(host, host), int(port)  # noqa: S104


def _configured_address(config: object) -> str:
    server = config.get("server", {}) if isinstance(config, dict) else None
    address = server.get("ops", DEFAULT_OPS) if isinstance(server, dict) else None
    # The system's functions raise TypeError for a NUL in a host, and the host becomes a header of the request.
    if not isinstance(address, str) or not re.fullmatch(r"[!-~]+:[0-9]{1,5}", address):
        raise ValueError("server.ops: null or not of the form HOST:PORT, so there is no listener to check")
    return address
