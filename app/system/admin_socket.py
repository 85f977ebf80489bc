"""One request to the admin socket of a sidecar, for commands. Blocks."""

from __future__ import annotations

import os
import socket
from typing import Any

from ..core.errors import ConfigError, Unreachable
from ..core.json_text import json_value
from .local_http import IS_IT_RUNNING, WHO_LISTENS, received
from .sockets import peer_uid, unix_address

TIMEOUT_SECONDS = 120.0
"""Seconds for one request: enough for a refresh of all profiles. Each request to the cloud has shorter limits."""


def request_socket(path: str, method: str, target: str, timeout: float = TIMEOUT_SECONDS) -> tuple[int, dict[str, Any]]:
    """
    Return status and JSON object of the answer at the socket `path`.

    Raises ConfigError if the socket belongs to another user, and Unreachable if no sidecar answers within `timeout`.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout)
    try:
        connection.connect(unix_address(path))
        _check_owner(connection, path)
        # Written by hand, because http.client imports ssl and email, which take as much memory as the rest of the
        # command.
        head = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        connection.sendall(head.encode())
        status, body = _response(connection, timeout)
        return status, dict(json_value(body))
    except PermissionError:
        raise ConfigError(
            f"{path}: permission denied for uid {os.geteuid()}",
            cure="run the command as the sidecar's user or as root",
            error_code="IDS-517",
        ) from None
    except OSError as error:
        raise Unreachable(
            f"{path}: {error.strerror or 'no answer in time'}", cure=IS_IT_RUNNING, error_code="IDS-503"
        ) from None
    except (ValueError, TypeError):
        raise Unreachable(f"{path}: not the answer of a sidecar", cure=WHO_LISTENS, error_code="IDS-502") from None
    finally:
        connection.close()


def _response(connection: socket.socket, seconds: float) -> tuple[int, bytes]:
    """Return status and body of a response that ends with the connection. Raises ValueError if it is not HTTP."""
    head, separator, body = received(connection, seconds).partition(b"\r\n\r\n")
    version, status, *_ = head.split(b" ", 2)
    if version != b"HTTP/1.1" or not separator:
        raise ValueError("not a response")
    return int(status), body


def _check_owner(connection: socket.socket, path: str) -> None:
    """Raise ConfigError unless the listener belongs to this user, root, or the owner of the socket's directory."""
    # Any process can bind an abstract name before the sidecar does, so the listener's owner is checked first.
    uid = peer_uid(connection)
    if uid not in (os.geteuid(), 0, _owner_of_directory(path)) or uid is None:
        raise ConfigError(
            f"{path}: the listener belongs to another user (uid {'unknown' if uid is None else uid})",
            cure="stop that program",
            error_code="IDS-517",
        )


def _owner_of_directory(path: str) -> int | None:
    """
    Return the only user, beside root, who can make a socket at `path`; None for an abstract name or a shared directory.

    Root runs commands for the sidecar of another user, such as the sidecar of a systemd unit.
    """
    if path.startswith("@"):
        return None
    found = os.stat(os.path.dirname(path))
    return None if found.st_mode & 0o022 else found.st_uid
