"""The status of the running sidecar, from its admin socket or its operations listener."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Mapping
from typing import Any

import msgspec

from ..core.errors import ConfigError, Mistake, Unreachable
from ..core.json_text import json_value
from ..system import local_http
from ..system.admin_socket import request_socket

TIMEOUT_SECONDS = 3.0


class _Failure(msgspec.Struct):
    message: str | None = None
    error_code: str | None = None
    cloud_message: str | None = None
    cure: str | None = None


class _Profile(msgspec.Struct):
    profile: str
    state: str
    last_error: str | None = None
    on_trial: str | None = None
    on_trial_code: str | None = None
    on_trial_failure: _Failure | None = None
    failure: _Failure | None = None


class _Status(msgspec.Struct):
    """The members of `/status.json` that `doctor` reads. Checked, because any local user may listen at the port."""

    profiles: list[_Profile]
    config: str | None = None
    config_error: str | None = None
    config_error_code: str | None = None
    config_mistakes: list[_Failure] | None = None
    restart_needed: list[str] | None = None
    stopping: bool | None = None
    listeners: dict[str, str] | None = None


def admin_status(path: str) -> Mapping[str, Any]:
    """
    Return the JSON object of `/status.json` of the admin socket at `path`. Blocks.

    Raises ConfigError if the socket refuses the request or belongs to another user. Raises Unreachable if no sidecar
    answers: with IDS-502 if something else is at `path`, which would prevent a sidecar from starting.
    """
    if _is_other_file(path):
        raise Unreachable(f"{path}: exists, and is no socket", error_code="IDS-502")
    code, found = request_socket(path, "GET", "/status.json", TIMEOUT_SECONDS)
    if code != 200 and "Message" in found:
        raise ConfigError.of([Mistake.answered(path, found, code, "IDS-517")])
    if not _is_status(found):
        raise Unreachable(
            f"{path}: another program listens there; its answer is not that of a sidecar", error_code="IDS-502"
        )
    return found


def _is_other_file(path: str) -> bool:
    try:
        return not path.startswith("@") and not stat.S_ISSOCK(os.lstat(path).st_mode)
    except OSError:
        return False


def answers_as_sidecar(host: str, port: int) -> bool:
    """Return whether the listener at host and port refuses an unknown path in the same way as a sidecar. Blocks."""
    try:
        code, body = local_http.get(host, port, "/")
        return code >= 400 and _is_refusal(json_value(body))
    except (Unreachable, ValueError):
        return False


def _is_refusal(found: object) -> bool:
    return isinstance(found, dict) and {"Code", "Message"} <= found.keys()


def connects(host: str, port: int) -> bool:
    """Return whether a program listens at host and port. Blocks, but sends no data."""
    try:
        socket.create_connection((host, port), TIMEOUT_SECONDS).close()
    except (OSError, UnicodeError):  # UnicodeError: not a host name
        return False
    return True


def status(host: str, port: int) -> Mapping[str, Any]:
    """Return the JSON object of `/status.json`. Blocks. Raises Unreachable unless a sidecar answers."""
    found: Any = None
    try:
        code, body = local_http.get(host, port, "/status.json")
        found = json_value(body)
    except Unreachable as error:
        if error.error_code == "IDS-503":
            raise
    except ValueError:
        pass  # not JSON
    if _is_refusal(found):
        why = Mistake.answered(f"{host}:{port}", found, code, "IDS-503")
        raise Unreachable(why, error_code=why.error_code)
    if not isinstance(found, dict) or not _is_status(found):
        raise Unreachable(
            f"{host}:{port}: another program listens there; its answer is not that of a sidecar", error_code="IDS-502"
        )
    return found


def _is_status(found: Mapping[str, Any]) -> bool:
    try:
        msgspec.convert(found, _Status)
    except (msgspec.ValidationError, UnicodeEncodeError):  # the latter for half of a surrogate pair
        return False
    return True
