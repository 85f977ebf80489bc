"""Step `sidecar`: the state of the running sidecar, if one runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

from ...config.loader import Loaded
from ...core.addresses import listen_address
from ...core.errors import SidecarError
from ..finding import Finding, Step, broken, skipped, warning
from ..target import Target

NAME = "sidecar"
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}  # noqa: S104 - a client cannot connect to a wildcard
_USABLE = ("fresh", "stale")


async def run(target: Target, loaded: Loaded) -> Step:
    """Read its status from the operations listener of the configuration. A sidecar that does not run is no finding."""
    ops = loaded.settings.server.ops
    if ops is None:
        return skipped(NAME, "server.ops is null")
    host, port = listen_address(ops, "server.ops")
    if port == 0:
        return skipped(NAME, "server.ops has port 0")
    try:
        status = await asyncio.to_thread(target.status, _WILDCARDS.get(host, host), port)
    except SidecarError as error:
        return skipped(NAME, f"does not run: {error}")
    found = [*_profiles(status, target.profile), *_configuration(status, loaded)]
    states = {str(each.get("profile")): str(each.get("state")) for each in status["profiles"]}
    summary = ", ".join(f"{name} is {state}" for name, state in states.items())
    return Step(NAME, summary, findings=found, facts={"profiles": states, "config": str(status.get("config", ""))})


def _profiles(status: Mapping[str, Any], only: str | None) -> Iterator[Finding]:
    for each in status["profiles"]:
        name, state = each.get("profile"), each.get("state")
        if only not in (None, name):
            continue
        reason = each.get("last_error") or "no answer from the cloud yet"
        if state not in _USABLE:
            yield broken("IDS-504", f"the running sidecar's profile {name} is {state}: {reason}")
        elif state == "stale":
            yield warning("IDS-505", f"the running sidecar's profile {name} is stale: {reason}")


def _configuration(status: Mapping[str, Any], loaded: Loaded) -> Iterator[Finding]:
    origin, error, keys = status.get("config"), status.get("config_error"), status.get("restart_needed")
    if origin != loaded.origin:
        yield warning(
            "IDS-506",
            f"the running sidecar uses {origin}, and this command {loaded.origin}",
            f"to use this file, restart the sidecar with it; to examine the running one, use --config {origin}",
        )
    if error:
        yield warning("IDS-506", f"the running sidecar does not use the changed file: {error}", "correct the file")
    if keys:
        yield warning("IDS-506", f"changed keys need a restart: {', '.join(map(str, keys))}", "restart the sidecar")
    known = {each.get("profile") for each in status["profiles"]}
    missing = [name for name in loaded.settings.profiles if name not in known]
    if missing:
        yield warning("IDS-506", f"the running sidecar has no profile {', '.join(missing)}", "restart the sidecar")
