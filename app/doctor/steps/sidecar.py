"""Step `sidecar`: the state of the running sidecar, if one runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

from ...config.loader import Loaded
from ...config.locate import absolute, find
from ...config.settings import Server
from ...core.addresses import listen_address
from ...core.errors import ConfigError, SidecarError, quoting
from ...core.wording import coded
from .. import addresses
from ..finding import Finding, Step, broken, skipped, warning
from ..target import Target

NAME = "sidecar"
_USABLE = ("fresh", "stale")

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
    found += [*_profiles(status, target.profile, has_socket=path is not None), *_configuration(status, target, loaded)]
    states = {str(each.get("profile")): str(each.get("state")) for each in status["profiles"]}
    summary = ", ".join(f"{name} is {state}" for name, state in states.items())
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
        return f"does not run: {error}"


def _profiles(status: Status, only: str | None, *, has_socket: bool) -> Iterator[Finding]:
    for each in status["profiles"]:
        name, state = each.get("profile"), each.get("state")
        if only not in (None, name):
            continue
        failure = each.get("failure") or {}
        reason = str(each.get("last_error") or "no answer from the cloud yet")
        if failure.get("message"):
            reason = quoting(str(failure["message"]), str(failure.get("cloud_message") or ""))
        cure = str(failure.get("cure") or "").removesuffix(".")
        if cure:  # the cure names the command `refresh`, which needs the socket
            cure += "; " + (
                "then run `idaas-sidecar refresh`" if has_socket else "the sidecar then tries again by itself"
            )
        if failure.get("error_code"):
            reason = f"{reason} ({failure['error_code']})"
        if state not in _USABLE:
            yield broken("IDS-504", f"the running sidecar's profile {name} is {state}: {reason}", cure)
        elif state == "stale":
            yield warning("IDS-505", f"the running sidecar's profile {name} is stale: {reason}", cure)
        if each.get("on_trial"):
            yield warning(
                "IDS-506",
                f"the changed settings of profile {name} have no session yet: "
                f"{coded(each['on_trial'], each.get('on_trial_code'))}",
                "correct the change, or restore the previous settings",
            )


def _configuration(status: Status, target: Target, loaded: Loaded | None) -> Iterator[Finding]:
    origin, error, keys = status.get("config"), status.get("config_error"), status.get("restart_needed")
    own = absolute(find(target.config, target.environ, str(target.default_path)) or "environment")
    if origin != own:
        yield warning(
            "IDS-506",
            f"the running sidecar uses {origin}, and this command {own}",
            f"restart the sidecar with this file; to examine the running one, use --config {origin}",
        )
    if error:
        reason = coded(str(error), status.get("config_error_code"))
        yield warning("IDS-506", f"the running sidecar does not use the changed file: {reason}", "correct the file")
    if keys:
        yield warning("IDS-506", f"changed keys need a restart: {', '.join(map(str, keys))}", "restart the sidecar")
    known = {each.get("profile") for each in status["profiles"]}
    missing = [name for name in (loaded.settings.profiles if loaded is not None else ()) if name not in known]
    if missing:
        yield warning("IDS-506", f"the running sidecar has no profile {', '.join(missing)}", "restart the sidecar")
