"""The status of the running sidecar, from its admin socket or its operations listener."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping
from typing import Any

from ..core.errors import ConfigError, Unreachable
from ..system.admin_socket import request_socket

TIMEOUT_SECONDS = 3.0

LONGEST = 16 * 1_048_576
"""Bytes; the status of a thousand profiles has half a MiB."""


def admin_status(path: str) -> Mapping[str, Any]:
    """
    Return the JSON object of `/status.json` of the admin socket at `path`. Blocks.

    Raises ConfigError where the socket refuses or is another user's, and Unreachable unless a sidecar answers.
    """
    code, found = request_socket(path, "GET", "/status.json", TIMEOUT_SECONDS)
    if code != 200:
        raise ConfigError(f"{path}: {found.get('Message', code)}", error_code="IDS-517")
    if not isinstance(found.get("profiles"), list):
        raise Unreachable(f"{path}: not the status of a sidecar", error_code="IDS-503")
    return found


def connects(host: str, port: int) -> bool:
    """Return whether a program listens at host and port. Blocks; sends nothing."""
    try:
        socket.create_connection((host, port), TIMEOUT_SECONDS).close()
    except OSError:
        return False
    return True


def status(host: str, port: int) -> Mapping[str, Any]:
    """Return the JSON object of `/status.json`. Blocks. Raises Unreachable unless a sidecar answers."""
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/status.json")
        with connection.getresponse() as response:  # another program's answer may have no end
            found = json.loads(response.read(LONGEST)) if response.status == 200 else None
    except OSError as error:
        reason = error.strerror or "no answer in time"
        raise Unreachable(f"{host}:{port}: {reason}; is the sidecar running?", error_code="IDS-503") from None
    except (http.client.HTTPException, ValueError):
        found = None
    finally:
        connection.close()
    if not isinstance(found, dict) or not isinstance(found.get("profiles"), list):
        raise Unreachable(
            f"{host}:{port}: another program listens there; its answer is not that of a sidecar", error_code="IDS-502"
        )
    return found
