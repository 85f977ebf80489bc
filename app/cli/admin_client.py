"""One request to the admin socket of the running sidecar, for `refresh`, `purge` and `log-level`."""

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
    connection = _UnixConnection(path)
    try:
        connection.connect()
        _check_owner(connection.sock, path)
        connection.request(method, target)
        response = connection.getresponse()
        body = json.loads(response.read())
    except PermissionError:
        raise ConfigError(
            f"{path}: permission denied for uid {os.geteuid()}; run the command as the sidecar's user or as root"
        ) from None
    except OSError as error:
        raise Unreachable(f"{path}: {error.strerror or 'no answer in time'}; is the sidecar running?") from None
    except (ValueError, http.client.HTTPException):
        raise Unreachable(f"{path}: not the answer of a sidecar; does another program listen there?") from None
    finally:
        connection.close()
    if response.status != 200:
        raise ConfigError(f"{path}: {body.get('Message', response.status)}")
    return dict(body)


def _admin_socket(config: str | None, environ: Mapping[str, str]) -> str:
    loaded = load(config, environ, hostname=socket.gethostname(), now=time.time, look=False)
    path = loaded.settings.server.admin_socket
    if path is None:
        raise ConfigError(f"server.adminSocket: not set in {loaded.origin}; set it and restart the sidecar")
    return path


def _check_owner(connection: socket.socket, path: str) -> None:
    """Raise ConfigError unless the listener belongs to this user or root."""
    # Any process can bind an abstract name before the sidecar does, so its answers must not be trusted.
    owner = unix_peer(connection)
    if owner is None or owner.uid not in (os.geteuid(), 0):
        uid = owner.uid if owner else "unknown"
        raise ConfigError(f"{path}: the listener belongs to another user (uid {uid}); stop that program")
