"""The status of the running sidecar, from its admin socket or its operations listener."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from typing import Any

import msgspec

from ..core.errors import ConfigError, Unreachable
from ..system import local_http
from ..system.admin_socket import request_socket

TIMEOUT_SECONDS = 3.0


class _Failure(msgspec.Struct):
    error_code: str | None = None
    cure: str | None = None


class _Profile(msgspec.Struct):
    profile: str
    state: str
    last_error: str | None = None
    on_trial: str | None = None
    failure: _Failure | None = None


class _Status(msgspec.Struct):
    """The members of `/status.json` that `doctor` reads. Any local user may listen at the port of the sidecar."""

    profiles: list[_Profile]
    config: str | None = None
    config_error: str | None = None
    restart_needed: list[str] | None = None


def admin_status(path: str) -> Mapping[str, Any]:
    """
    Return the JSON object of `/status.json` of the admin socket at `path`. Blocks.

    Raises ConfigError where the socket refuses or is another user's, and Unreachable unless a sidecar answers.
    """
    code, found = request_socket(path, "GET", "/status.json", TIMEOUT_SECONDS)
    if code != 200:
        raise ConfigError(f"{path}: {found.get('Message', code)}", error_code="IDS-517")
    if not _is_status(found):
        raise Unreachable(f"{path}: not the status of a sidecar", error_code="IDS-503")
    return found


def connects(host: str, port: int) -> bool:
    """Return whether a program listens at host and port. Blocks; sends nothing."""
    try:
        socket.create_connection((host, port), TIMEOUT_SECONDS).close()
    except (OSError, UnicodeError):  # UnicodeError: no host name
        return False
    return True


def status(host: str, port: int) -> Mapping[str, Any]:
    """Return the JSON object of `/status.json`. Blocks. Raises Unreachable unless a sidecar answers."""
    found = None
    try:
        code, body = local_http.get(host, port, "/status.json")
        found = json.loads(body) if code == 200 else None
    except OSError as error:
        raise Unreachable(str(error), error_code="IDS-503") from None
    except (ValueError, RecursionError):
        pass  # no HTTP, or no JSON
    if not isinstance(found, dict) or not _is_status(found):
        raise Unreachable(
            f"{host}:{port}: another program listens there; its answer is not that of a sidecar", error_code="IDS-502"
        )
    return found


def _is_status(found: Mapping[str, Any]) -> bool:
    try:
        msgspec.convert(found, _Status)
    except msgspec.ValidationError:
        return False
    return True
