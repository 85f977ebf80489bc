"""`status`: print the running sidecar's status, from its admin socket or else from its operations listener.

Like `get`, the command often runs in the sidecar's own container: it imports neither the loader nor an HTTP client.
"""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from ... import __version__
from ...config import locate
from ...core.errors import ConfigError, Mistake, SidecarError, Unreachable
from ...core.json_text import json_value
from ...system.admin_socket import request_socket
from ...system.local_http import get
from ..status_text import lines
from . import health

TARGET = "/status.json"


def run(arguments: Namespace, environ: Mapping[str, str]) -> int:
    """Print the status of the running sidecar. Exit code 0 if it answers, for any state of its profiles."""
    status = _status(arguments.config, environ)
    if arguments.json:
        print(json.dumps(status))
        return 0
    if "host" not in status:
        version = status.get("version")
        raise ConfigError(
            f"the running sidecar has version {version}, which this command cannot show",
            cure="use --json",
            error_code="IDS-517",
        )
    colour = sys.stdout.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    try:
        shown = list(lines(status, colour=colour, width=_width()))
    except (LookupError, TypeError, AttributeError, ValueError, OverflowError):
        raise ConfigError(
            f"the answer is not the status of a sidecar of version {__version__}",
            cure="check which program listens there; --json prints the answer as it is",
            error_code="IDS-517",
        ) from None
    print("\n".join(shown))
    return 0


def _status(config: str | None, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the members of the status. Raises Unreachable, or ConfigError if the sidecar refuses."""
    path = locate.admin_socket(config, environ)
    if path is None:
        return _from_ops(config, environ)
    try:
        code, body = request_socket(path, "GET", TARGET)
        if code == 200:
            return body
        why: SidecarError = ConfigError.of([Mistake.answered(path, body, code, "IDS-517")])
    except SidecarError as error:  # no socket, or another user's: the operations listener answers every user
        why = error
    try:
        return _from_ops(config, environ)
    except (ConfigError, Unreachable) as error:
        cures = dict.fromkeys(filter(None, (why.cure, error.cure)))
        raise type(error)(
            f"{why.cause}; {error.cause}", cure=", or ".join(cures), error_code=error.error_code
        ) from None


def _from_ops(config: str | None, environ: Mapping[str, str]) -> dict[str, Any]:
    path = config or environ.get("IDAAS_SIDECAR_CONFIG")
    host, port = health.ops_address(path or health.DEFAULT_PATH, required=path is not None)
    code, text = get(host, port, TARGET)
    try:
        body = json_value(text)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Unreachable(
            f"{host}:{port}: another program listens there; its answer is not that of a sidecar", error_code="IDS-502"
        )
    if code != 200:
        raise ConfigError.of([Mistake.answered(f"{host}:{port}", body, code, "IDS-517")])
    return body


def _width() -> int:
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns
    except (OSError, ValueError):
        return 120
