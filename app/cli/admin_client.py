"""One request to the admin socket of the running sidecar, for `get`, `status`, `refresh`, `purge` and `log-level`."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..config import locate
from ..core.errors import ConfigError, Mistake, Unreachable
from ..system.admin_socket import request_socket

if TYPE_CHECKING:
    from ..core.values import Credentials


def admin_request(config: str | None, environ: Mapping[str, str], method: str, target: str) -> dict[str, Any]:
    """
    Return the JSON object of the running sidecar's answer.

    Raises ConfigError if no socket is configured, if it belongs to another user, or if the sidecar rejects the request.
    Raises Unreachable if no sidecar answers in time.
    """
    path = _admin_socket(config, environ)
    status, body = request_socket(path, method, target)
    if status != 200:
        raise ConfigError.of([Mistake.answered(path, body, status, "IDS-517")])
    return body


def held_credentials(path: str, profile: str) -> Credentials | None:
    """
    Return the profile's credentials from the running sidecar at the socket `path`.

    Returns None if no sidecar of this user or root answers, or if the sidecar does not know the profile. Raises
    Unreachable, with the sidecar's reason, if the sidecar has no credentials.
    """
    try:
        status, body = request_socket(path, "GET", f"/session/{profile}")
    except (ConfigError, Unreachable):
        return None
    if status == 503:
        why = Mistake.answered(f"the running sidecar ({path})", body, status, "IDS-501")
        raise Unreachable(why, error_code=why.error_code)
    found = body.get("credentials")
    from ..core.values import Credentials  # msgspec, 2 MiB: `refresh`, `purge` and `log-level` hold no credentials

    return Credentials(**found) if status == 200 and isinstance(found, dict) else None


def _admin_socket(config: str | None, environ: Mapping[str, str]) -> str:
    plain = locate.admin_socket(config, environ)
    if plain is not None:
        return plain
    from ..config.loader import load  # takes 12 MiB: imported only for a path with a variable

    loaded = load(config, environ, hostname=socket.gethostname(), now=time.time, look=False)
    path = loaded.settings.server.admin_socket
    if path is None:
        raise ConfigError(
            f"server.adminSocket: not set in {loaded.origin}",
            cure="set the key and restart the sidecar",
            error_code="IDS-106",
        )
    return path
