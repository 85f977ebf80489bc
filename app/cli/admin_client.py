"""What the commands that order a running sidecar about have in common: one request to its admin socket."""

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

SECONDS = 120.0
"""For proving every profile's identity anew; each leg has limits of its own."""


class _Connection(http.client.HTTPConnection):
    """HTTP to a unix socket whose owner is we ourselves or root."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(SECONDS)
        self.sock.connect(unix_address(self._path))


def order(config: str | None, environ: Mapping[str, str], method: str, target: str) -> dict[str, Any]:
    """The sidecar's answer to an order. Raises ConfigError where it was none, Unreachable where nobody answers."""
    path = _admin_socket(config, environ)
    connection = _Connection(path)
    try:
        connection.connect()
        _check_owner(connection.sock, path)
        connection.request(method, target)
        answer = connection.getresponse()
        body = json.loads(answer.read())
    except PermissionError:
        raise ConfigError(f"{path}: only the sidecar's own user and root may; this is uid {os.geteuid()}") from None
    except OSError as error:
        raise Unreachable(f"{path}: {error.strerror or 'no answer in time'}; does the sidecar run?") from None
    except (ValueError, http.client.HTTPException):
        raise Unreachable(f"{path}: no answer of a sidecar's; does something else listen there?") from None
    finally:
        connection.close()
    if answer.status != 200:
        raise ConfigError(f"{path}: {body.get('Message', answer.status)}")
    return dict(body)


def _admin_socket(config: str | None, environ: Mapping[str, str]) -> str:
    loaded = load(config, environ, hostname=socket.gethostname(), now=time.time, look=False)
    path = loaded.settings.server.admin_socket
    if path is None:
        raise ConfigError(f"server.adminSocket: not set in {loaded.origin}; set it, and start the sidecar anew")
    return path


def _check_owner(connection: socket.socket, path: str) -> None:
    # An abstract name belongs to whoever was first: not everybody's word is the sidecar's.
    owner = unix_peer(connection)
    if owner is None or owner.uid not in (os.geteuid(), 0):
        raise ConfigError(f"{path}: somebody else listens there (uid {owner.uid if owner else 'unknown'})")
