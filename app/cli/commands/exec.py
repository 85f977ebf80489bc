"""
`exec`: run a command with a private sidecar on a random port, behind a path token that only the command receives.

The sidecar runs in this process and stops with the command. Signals from the terminal and from supervisors are
forwarded to the command. The exit code is the command's, or 128 + n if signal n ended it, as a shell returns it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import secrets
import signal
import socket
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Collection, Mapping

import msgspec
from msgspec.structs import replace

from ...config.explain import leaves
from ...config.loader import Loaded, load
from ...config.settings import Cache
from ...core.client_chain import HIGHER_PRIORITY_VARIABLES, without_java_keys
from ...core.errors import ConfigError, Reason, SidecarError, Unreachable
from ...main import logger
from ...main import run as run_loop
from ...service import Service
from ...system import files
from ...system.child_reaper import ChildReaper
from ...system.hardening import no_dumps
from ...system.interpreter import unusable_interpreter
from ..errors import CANNOT_EXECUTE, NOT_FOUND, CommandNotStarted
from ..profile_option import check_profile
from .env import client_variables

TERMINAL_SIGNALS = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGWINCH)
"""The signals that a terminal sends to every process of its foreground process group."""

FORWARDED_SIGNALS = (*TERMINAL_SIGNALS, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


def run(arguments: Namespace, environ: Mapping[str, str]) -> int:
    """Run the command and return its exit code. Raises CommandNotStarted if the command cannot be started."""
    command = arguments.command_line[arguments.command_line[:1] == ["--"] :]
    if not command:
        raise ConfigError(
            "no command",
            cure="write the command after --, as in: idaas-sidecar exec -- aliyun sts GetCallerIdentity",
            error_code="IDS-125",
        )
    no_dumps()
    loaded = load(arguments.config, environ, hostname=socket.gethostname(), now=time.time)
    check_profile(loaded, arguments.profile)
    unset = (*HIGHER_PRIORITY_VARIABLES, *PLAIN_HTTP_PROXY, *secret_variables(loaded))
    return run_loop(lambda: _run(private_configuration(loaded, arguments.profile), command, dict(environ), unset))


def private_configuration(loaded: Loaded, profile: str) -> Loaded:
    """
    Return `loaded`, reduced for one command to one profile, which is served on a free loopback port.

    No other listener is configured. There is no cache and there are no credential files, because both belong to the
    running sidecar: another process must not replace or remove what it wrote.
    """
    original = loaded.settings
    settings = msgspec.structs.replace(
        original,
        profiles={profile: msgspec.structs.replace(original.profiles[profile], required=True, callers=None, files=())},
        server=msgspec.structs.replace(original.server, bind="127.0.0.1:0", ops=None, metadata=None, admin_socket=None),
        access=msgspec.structs.replace(original.access, path_token=None),
        cache=Cache(),
        logging=msgspec.structs.replace(original.logging, level="warning"),  # the terminal belongs to the command
    )
    return replace(loaded, settings=settings)


def secret_variables(loaded: Loaded) -> list[str]:
    """Return the names of the variables that hold the secrets of any profile. The command needs credentials only."""
    return [value for key, value in leaves(loaded.settings) if key.lower().endswith("envvarname") and value]


_SHELL = re.compile(r"[\s|&;<>$`*]|^\w+=|^~")
SHELL_CURE = "write program and arguments apart, or run a shell: idaas-sidecar exec -- sh -c '...'"
"""For a whole command line in one argument, and for what only a shell understands."""

DEFAULT_REGION = "cn-hangzhou"
"""The region of aliyun-cli if neither the environment nor the profile names one. Every command can name another."""

PLAIN_HTTP_PROXY = ("HTTP_PROXY", "http_proxy")
"""
Unset for the command: credentials-python sends loopback requests through this proxy and ignores NO_PROXY. The proxy
would see the path token and the credentials. Cloud endpoints are https, which HTTPS_PROXY is for.
"""

CLI_PROFILE_FLAGS = ("--config-path", "--profile", "-p", "--mode", "--access-key-id")
"""The flags of aliyun-cli that choose other credentials than those of its default profile file."""


def with_cli_profile(command: list[str], uri: str, region: str, directory: str) -> list[str]:
    """
    Return the command. If it is aliyun-cli, add a profile file of its own in `directory`.

    aliyun-cli uses the credentials URI only if a profile has the mode `CredentialsURI`. No variable names the file of
    its profiles.
    """
    flags = {argument.partition("=")[0] for argument in command[1:]}
    if os.path.basename(command[0]) != "aliyun" or flags.intersection(CLI_PROFILE_FLAGS):
        return command
    path = os.path.join(directory, "aliyun-cli.json")
    profile = {"name": "default", "mode": "CredentialsURI", "credentials_uri": uri, "region_id": region}
    files.replace(path, json.dumps({"current": "default", "profiles": [profile]}).encode())
    return [*command, "--config-path", path]


def no_proxy_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return `no_proxy` and `NO_PROXY` with 127.0.0.1: most clients otherwise use a proxy for it (docs/clients.md)."""
    variables = {}
    for name, other in (("no_proxy", "NO_PROXY"), ("NO_PROXY", "no_proxy")):
        hosts = (environ.get(name) or environ.get(other) or "").split(",")
        variables[name] = ",".join(filter(None, [*hosts, *({"127.0.0.1"} - set(hosts))]))
    return variables


async def _run(loaded: Loaded, command: list[str], environ: dict[str, str], unset: Collection[str]) -> int:
    token = secrets.token_urlsafe(24)
    children = ChildReaper()
    service = Service(loaded, environ, logger(loaded, sys.stderr), path_token=token, children=children)
    await service.start()
    try:
        await _wait_for_credentials(service, loaded)
        ((profile, settings),) = loaded.settings.profiles.items()
        client = client_variables(service.urls()["credentials"], profile, token)
        for name in unset:
            environ.pop(name, None)
        region = environ.get("ALIBABA_CLOUD_REGION_ID") or getattr(settings.exchange, "region_id", None)
        with tempfile.TemporaryDirectory(prefix="idaas-sidecar-") as directory:  # mode 0700
            uri = client["ALIBABA_CLOUD_CREDENTIALS_URI"]
            with_profile = with_cli_profile(command, uri, region or DEFAULT_REGION, directory)
            # A script with aliyun-cli then fails, instead of signing with the developer's own key.
            ignored = {} if with_profile != command else {"ALIBABA_CLOUD_IGNORE_PROFILE": "TRUE"}
            kept = {name: without_java_keys(value) for name, value in environ.items()}
            variables = kept | client | ignored | no_proxy_variables(environ)
            return await _run_command(with_profile, variables, children)
    finally:
        await service.stop()


async def _wait_for_credentials(service: Service, loaded: Loaded) -> None:
    """Wait until the profile is usable. Raises the profile's error if permanent, or after startup.timeoutSeconds."""
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


def _file_of(command: str, environ: Mapping[str, str]) -> str | None:
    """Return the command's file, or None. A directory of PATH that this user may not search does not count."""
    if "/" in command:
        return command
    places = (os.path.join(place, command) for place in os.get_exec_path(environ))
    return next(filter(os.path.exists, places), None)


def _not_started(command: str, environ: Mapping[str, str], error: OSError) -> CommandNotStarted:
    """Return the error of a command that the system does not start, with the exit code that bash and env give it."""
    path = _file_of(command, environ)
    found = unusable_interpreter(path) if path is not None and _may_run(path) else None
    # A directory of PATH that this user may not search gives EACCES, although the file is in another one.
    absent = path is None or isinstance(error, FileNotFoundError)
    if found is not None:
        return CommandNotStarted(found.reason, exit_code=NOT_FOUND if absent or found.absent else CANNOT_EXECUTE)
    shown = command if command.isprintable() and command else repr(command)
    if absent:
        missing = Reason(f"{shown}: no such command", SHELL_CURE if _SHELL.search(command) else "")
        return CommandNotStarted(missing, exit_code=NOT_FOUND)
    # Other reasons are such as "Not a directory" or "Argument list too long".
    why = "not executable" if isinstance(error, PermissionError) else f"cannot be executed: {error.strerror}"
    return CommandNotStarted(f"{shown}: {why}", exit_code=CANNOT_EXECUTE)


def _may_run(path: str) -> bool:
    """Return whether this user has the permission to execute a file."""
    return not os.path.isdir(path) and os.access(path, os.X_OK)


async def _run_command(command: list[str], environ: Mapping[str, str], children: ChildReaper) -> int:
    """Return the command's exit code. A signal that arrives while the command starts is sent to it afterwards."""
    loop = asyncio.get_running_loop()
    early: list[signal.Signals] = []
    send: Callable[[signal.Signals], None] = early.append

    def forward(number: signal.Signals) -> None:
        if number in TERMINAL_SIGNALS and _in_foreground():
            return  # the terminal has sent the signal to the command, too
        with contextlib.suppress(ProcessLookupError):
            send(number)

    for each in FORWARDED_SIGNALS:
        loop.add_signal_handler(each, forward, each)
    try:
        child = await children.start(asyncio.create_subprocess_exec(*command, env=environ))
    except OSError as error:
        raise _not_started(command[0], environ, error) from None
    send = child.send_signal
    for each in early:
        forward(each)
    code = await child.wait()
    return code if code >= 0 else 128 - code


def _in_foreground() -> bool:
    """Return whether this process belongs to the foreground process group of the terminal on stdin."""
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):  # no terminal, no stdin
        return False
