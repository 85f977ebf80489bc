"""Step `sidecar`: the state of the running sidecar, if one runs."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ...config.loader import Loaded
from ...config.locate import absolute, find
from ...config.settings import Server
from ...core.addresses import listen_address
from ...core.errors import ConfigError, SidecarError, quoting
from ...core.text import coded
from .. import addresses
from ..finding import Finding, Step, broken, skipped, warning
from ..target import Target
from .configuration import USABLE

NAME = "sidecar"

Status = Mapping[str, Any]


async def run(target: Target, server: Server, loaded: Loaded | None) -> Step:
    """
    Read the sidecar's status from the configured admin socket, else from the operations listener.

    A sidecar that does not run is not a finding. Another program at a configured address is a finding, and so is an
    admin socket that refuses, because `get`, `refresh` and `status` use it. `loaded` is None if the configuration
    cannot be used; `server` still has its addresses, as far as they are valid.
    """
    path = server.admin_socket
    found: list[Finding] = []
    status: Status | None = None
    source = "admin socket"
    if path is not None:
        try:
            status = await asyncio.to_thread(target.admin, path)
        except SidecarError as error:
            found.append(_refused(error, path))
    if status is None:
        source = "operations listener"
        answer = await _from_ops(target, server)
        if isinstance(answer, str):
            # If no sidecar answers at the listener either, a missing socket is not a finding.
            found = [each for each in found if each.code != "IDS-503"]
            found += await addresses.taken(target, server, None)
            return Step(NAME, answer, findings=found) if found else skipped(NAME, answer)
        status = answer
    found += await addresses.taken(target, server, status)
    if status.get("stopping"):
        found.append(
            warning(
                "IDS-528",
                "the running sidecar received SIGTERM, and answers for at most shutdown.drainSeconds more",
                "start the next sidecar after it has ended; a second SIGTERM ends it at once",
            )
        )
    found += [*_profiles(status, target.profile, has_socket=path is not None), *_configuration(status, target, loaded)]
    states = {str(each.get("profile")): str(each.get("state")) for each in status["profiles"]}
    summary = ", ".join(f"{name} is {state}" for name, state in states.items())
    summary = f"stopping; {summary}" if status.get("stopping") else summary
    facts = {"profiles": states, "config": str(status.get("config", "")), "source": source}
    return Step(NAME, summary, findings=found, facts=facts)


def _refused(error: SidecarError, path: str) -> Finding:
    if error.error_code == "IDS-502":
        return addresses.of_program("server.adminSocket", error.cause)
    if isinstance(error, ConfigError):
        return warning("IDS-517", f"server.adminSocket: {error.cause}", error.cure)
    return warning(
        "IDS-503",
        f"server.adminSocket: {error.cause}",
        f"restart the sidecar with this configuration: the socket {path} is made at the start",
    )


async def _from_ops(target: Target, server: Server) -> Status | str:
    """Return the status from the operations listener, or the reason why there is no status."""
    ops = server.ops
    if ops is None:
        return "server.ops is null"
    host, port = listen_address(ops, "server.ops")
    if port == 0:
        return "server.ops has port 0"
    try:
        return await asyncio.to_thread(target.status, addresses.reachable(host), port)
    except SidecarError as error:
        if error.error_code == "IDS-502":
            return str(error)
        return f"no sidecar answers: {error.quoted_cause}"


def _profiles(status: Status, only: str | None, *, has_socket: bool) -> Iterator[Finding]:
    for each in status["profiles"]:
        name, state = each.get("profile"), each.get("state")
        if only not in (None, name):
            continue
        failure = each.get("failure") or {}
        reason = _reason(failure, str(each.get("last_error") or "no answer from the cloud yet"))
        cure = _cure(failure)
        if cure:  # the cure names the command `refresh`, which needs the socket
            cure += "; " + (
                "then run `idaas-sidecar refresh`" if has_socket else "the sidecar then tries again by itself"
            )
        code = str(failure.get("error_code") or "")
        if code:
            reason = f"{reason} ({code})"
        if state not in USABLE:
            found = broken("IDS-504", f"the running sidecar's profile {name} is {state}: {reason}", cure)
            yield replace(found, reports=code, profile=str(name))
        elif state == "stale":
            found = warning("IDS-505", f"the running sidecar's profile {name} is stale: {reason}", cure)
            yield replace(found, reports=code, profile=str(name))
        if each.get("on_trial"):
            failure = each.get("on_trial_failure") or {}
            reason = coded(_reason(failure, each["on_trial"]), each.get("on_trial_code"))
            found = warning(
                "IDS-506",
                f"the changed settings of profile {name} have no session yet: {reason}",
                "; or ".join(filter(None, (_cure(failure) or "correct the change", "restore the previous settings"))),
            )
            yield replace(found, reports=str(each.get("on_trial_code") or ""), profile=str(name))


def own_origin(target: Target) -> str:
    """Return the path of the file that this command reads, or `environment`."""
    return absolute(find(target.config, target.environ, str(target.default_path)) or "environment")


async def running(target: Target, server: Server) -> Status | None:
    """Return the status of the running sidecar, from its socket or its operations listener; None without one."""
    if server.admin_socket is not None:
        try:
            return await asyncio.to_thread(target.admin, server.admin_socket)
        except SidecarError:
            pass
    found = await _from_ops(target, server)
    return None if isinstance(found, str) else found


def _named(origin: object) -> str:
    return "the configuration of its environment" if origin == "environment" else f"the file {origin}"


def _reason(failure: Mapping[str, Any], text: str) -> str:
    """Return what failed, without the cure where it is known apart; `text` has both."""
    message = failure.get("message")
    return quoting(str(message), str(failure.get("cloud_message") or "")) if message else text


def _cure(failure: Mapping[str, Any]) -> str:
    return str(failure.get("cure") or "").removesuffix(".")


def _configuration(status: Status, target: Target, loaded: Loaded | None) -> Iterator[Finding]:
    origin, error, keys = status.get("config"), status.get("config_error"), status.get("restart_needed")
    own = own_origin(target)
    if origin != own:
        yield warning(
            "IDS-506",
            f"the running sidecar uses {_named(origin)}, and this command uses {_named(own)}",
            f"use --config {shlex.quote(str(origin))} to examine the running sidecar, or restart the sidecar with "
            f"{_named(own)}"
            if origin != "environment"
            else f"unset IDAAS_SIDECAR_CONFIG and leave --config out, or restart the sidecar with {_named(own)}",
        )
    if error:
        mistakes = status.get("config_mistakes") or [{"message": error, "error_code": status.get("config_error_code")}]
        reason = "; ".join(coded(_reason(each, str(error)), each.get("error_code")) for each in mistakes)
        cures = "; ".join(dict.fromkeys(filter(None, map(_cure, mistakes))))
        found = warning(
            "IDS-506", f"the running sidecar does not use the changed file: {reason}", cures or "correct the file"
        )
        yield replace(found, reports=str(status.get("config_error_code") or ""))
    if keys:
        yield warning("IDS-506", f"changed keys need a restart: {', '.join(map(str, keys))}", "restart the sidecar")
    known = {each.get("profile") for each in status["profiles"]}
    missing = [name for name in (loaded.settings.profiles if loaded is not None else ()) if name not in known]
    if missing:
        yield warning("IDS-506", f"the running sidecar has no profile {', '.join(missing)}", "restart the sidecar")
