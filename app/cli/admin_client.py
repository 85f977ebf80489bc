"""One request to the admin socket of the running sidecar, for `get`, `refresh`, `purge` and `log-level`."""

from __future__ import annotations

import http.client
import json
import os
import socket
import time
from collections.abc import Mapping
from typing import Any

from ..config.loader import load
from ..core.errors import ConfigError, Unreachable
from ..core.values import Credentials
from ..serve.peers.netlink import unix_peer
from ..system.sockets import unix_address

TIMEOUT_SECONDS = 120.0
"""Long enough for the refresh of every profile. Each request to the cloud has limits of its own."""


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_SECONDS)
        self.sock.connect(unix_address(self._path))


def admin_request(config: str | None, environ: Mapping[str, str], method: str, target: str) -> dict[str, Any]:
    """
    Return the JSON object that the running sidecar answers.

    Raises ConfigError where no socket is configured, the socket is another user's, or the sidecar rejects the request.
    Raises Unreachable where no sidecar answers within TIMEOUT_SECONDS.
    """
    path = _admin_socket(config, environ)
    status, body = _ask(path, method, target)
    if status != 200:
        raise ConfigError(f"{path}: {body.get('Message', status)}")
    return body


def _ask(path: str, method: str, target: str) -> tuple[int, dict[str, Any]]:
    """Return status and JSON object of the answer. Raises as `admin_request` does, whatever the status is."""
    connection = _UnixConnection(path)
    try:
        connection.connect()
        _check_owner(connection.sock, path)
        connection.request(method, target)
        response = connection.getresponse()
        return response.status, dict(json.loads(response.read()))
    except PermissionError:
        raise ConfigError(
            f"{path}: permission denied for uid {os.geteuid()}; run the command as the sidecar's user or as root"
        ) from None
    except OSError as error:
        raise Unreachable(f"{path}: {error.strerror or 'no answer in time'}; is the sidecar running?") from None
    except (ValueError, TypeError, http.client.HTTPException):
        raise Unreachable(f"{path}: not the answer of a sidecar; does another program listen there?") from None
    finally:
        connection.close()


def held_credentials(path: str, profile: str) -> Credentials | None:
    """
    Return the profile's credentials from the running sidecar at the socket `path`.

    Returns None where no sidecar of this user or root answers, or where it does not know the profile. Raises
    Unreachable, with the sidecar's reason, where it has no credentials.
    """
    try:
        status, body = _ask(path, "GET", f"/session/{profile}")
    except (ConfigError, Unreachable):
        return None
    if status == 503:
        raise Unreachable(f"the running sidecar ({path}): {body.get('Message', 'no credentials')}")
    found = body.get("credentials")
    return Credentials(**found) if status == 200 and isinstance(found, dict) else None


def _admin_socket(config: str | None, environ: Mapping[str, str]) -> str:
    loaded = load(config, environ, hostname=socket.gethostname(), now=time.time, look=False)
    path = loaded.settings.server.admin_socket
    if path is None:
        raise ConfigError(f"server.adminSocket: not set in {loaded.origin}; set it and restart the sidecar")
    return path


def _check_owner(connection: socket.socket, path: str) -> None:
    """Raise ConfigError unless the listener belongs to this user, root, or the owner of the socket's directory."""
    # Any process can bind an abstract name before the sidecar does, so its answers must not be trusted.
    owner = unix_peer(connection)
    if owner is None or owner.uid not in (os.geteuid(), 0, _owner_of_directory(path)):
        uid = owner.uid if owner else "unknown"
        raise ConfigError(f"{path}: the listener belongs to another user (uid {uid}); stop that program")


def _owner_of_directory(path: str) -> int | None:
    """
    Return the only user, root aside, who can make a socket at `path`; None for an abstract name or a shared directory.

    Root runs the commands for a sidecar of another user, such as that of a systemd unit.
    """
    if path.startswith("@"):
        return None
    found = os.stat(os.path.dirname(path))
    return None if found.st_mode & 0o022 else found.st_uid
