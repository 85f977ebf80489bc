"""`exec`: runs a command with a sidecar of its own, on a free port and behind a path token that only the command gets.

The sidecar lives in this process and ends with the command. Signals that people and supervisors send are passed on, and
the command's exit code is ours: 128 + n if signal n ended it, as a shell says.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import sys
import time
from argparse import Namespace
from collections.abc import Collection, Mapping
from dataclasses import replace

import msgspec

from ..config.explain import leaves
from ..config.loader import Loaded, load
from ..config.settings import Cache
from ..core.errors import ConfigError, SidecarError, Unreachable
from ..main import logger
from ..main import run as run_loop
from ..service import Service
from ..system.child_reaper import ChildReaper
from ..system.hardening import no_dumps
from .env_ import IN_THE_WAY, variables
from .get_ import check_profile

FROM_TERMINAL = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGWINCH)
"""What a terminal sends to every process of its foreground group."""

PASSED_ON = (*FROM_TERMINAL, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


def run(arguments: Namespace, environ: Mapping[str, str]) -> int:
    command = arguments.command_line[arguments.command_line[:1] == ["--"] :]
    if not command:
        raise ConfigError("no command; write it after --, as in: idaas-sidecar exec -- aliyun sts GetCallerIdentity")
    no_dumps()
    loaded = load(arguments.config, environ, hostname=socket.gethostname(), now=time.time)
    check_profile(loaded, arguments.profile)
    hidden = (*IN_THE_WAY, *secret_variables(loaded))
    return run_loop(lambda: _run(private(loaded, arguments.profile), command, dict(environ), hidden))


def private(loaded: Loaded, profile: str) -> Loaded:
    """
    `loaded` for one command alone: its one profile, on a free port of loopback, and nothing else listening.

    Cache and files are the running sidecar's: what it wrote there is not to be replaced or tidied away.
    """
    whole = loaded.settings
    settings = msgspec.structs.replace(
        whole,
        profiles={profile: msgspec.structs.replace(whole.profiles[profile], required=True, callers=None, files=())},
        server=msgspec.structs.replace(whole.server, bind="127.0.0.1:0", ops=None, metadata=None, admin_socket=None),
        access=msgspec.structs.replace(whole.access, path_token=None),
        cache=Cache(),
        logging=msgspec.structs.replace(whole.logging, level="warning"),  # the terminal is the command's
    )
    return replace(loaded, settings=settings)


def secret_variables(loaded: Loaded) -> list[str]:
    """The variables that hold secrets, any profile's: the command gets credentials, not what they are got with."""
    return [value for key, value in leaves(loaded.settings) if key.lower().endswith("envvarname") and value]


def unproxied(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that keep loopback out of a proxy: most clients send it there otherwise (docs/clients.md)."""
    found = {}
    for name, other in (("no_proxy", "NO_PROXY"), ("NO_PROXY", "no_proxy")):
        hosts = (environ.get(name) or environ.get(other) or "").split(",")
        found[name] = ",".join(filter(None, [*hosts, *({"127.0.0.1"} - set(hosts))]))
    return found


async def _run(loaded: Loaded, command: list[str], environ: dict[str, str], hidden: Collection[str]) -> int:
    token = secrets.token_urlsafe(24)
    children = ChildReaper()
    service = Service(loaded, environ, logger(loaded, sys.stderr), path_token=token, children=children)
    await service.start()
    try:
        await _first_credentials(service, loaded)
        (profile,) = loaded.settings.profiles
        client = variables(service.urls()["credentials"], profile, token)
        for name in hidden:
            environ.pop(name, None)
        return await _command(command, environ | client | unproxied(environ), children)
    finally:
        await service.stop()


async def _first_credentials(service: Service, loaded: Loaded) -> None:
    """Waits for them; raises what kept them away."""
    try:
        async with asyncio.timeout(loaded.settings.startup.timeout_seconds):
            while not service.usable():
                await service.refreshers[0].settled()
                error = service.refreshers[0].last_error
                if isinstance(error, SidecarError) and error.permanent:
                    raise error
                await asyncio.sleep(0.05)
    except TimeoutError:
        error = service.refreshers[0].last_error
        raise error if isinstance(error, SidecarError) else Unreachable("no answer from the cloud") from None


async def _command(command_line: list[str], environ: Mapping[str, str], children: ChildReaper) -> int:
    try:
        child = await children.start(asyncio.create_subprocess_exec(*command_line, env=environ))
    except FileNotFoundError:
        raise ConfigError(f"{command_line[0]}: no such command") from None
    except PermissionError:
        raise ConfigError(f"{command_line[0]}: not executable") from None
    loop = asyncio.get_running_loop()

    def pass_on(number: signal.Signals) -> None:
        if number in FROM_TERMINAL and _in_foreground():
            return  # the terminal has sent it to the command as well
        with contextlib.suppress(ProcessLookupError):
            child.send_signal(number)

    for number in PASSED_ON:
        loop.add_signal_handler(number, pass_on, number)
    code = await child.wait()
    return code if code >= 0 else 128 - code


def _in_foreground() -> bool:
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):  # no terminal, no stdin
        return False
