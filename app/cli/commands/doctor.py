"""`doctor`: find out why credentials do not arrive, and name the cure. Exit code 0: healthy, 1: findings."""

from __future__ import annotations

import asyncio
import os
import socket
from argparse import Namespace
from collections.abc import Mapping

from ...core.errors import ConfigError
from ...core.json_text import json_text
from ...doctor import output, ram
from ...doctor.finding import Step
from ...doctor.ram import RamAccess
from ...doctor.target import Caller, Target
from ...doctor.walk import Walk
from ...system import files
from ...system.hardening import no_dumps

FINDINGS = 1
LARGEST = 1_048_576
"""The most bytes of a file that an option names."""


def run(arguments: Namespace, environ: Mapping[str, str]) -> int:
    """Run the steps along a credential's path, and print the result of each step."""
    no_dumps()
    target = Target(
        arguments.config,
        environ,
        socket.gethostname(),
        _caller(arguments),
        profile=arguments.profile,
        trust_policy=_text(arguments.trust_policy, "--trust-policy") if arguments.trust_policy else None,
        client_environ=_environment(arguments.client_environment) if arguments.client_environment else None,
        ram=_ram_access(arguments, environ),
    )
    steps = asyncio.run(_walk(target, arguments.json))
    if arguments.json:
        print(json_text(output.document(steps), indent=2))
    else:
        print(output.verdict(steps))
    return 0 if output.healthy(steps) else FINDINGS


async def _walk(target: Target, quiet: bool) -> list[Step]:
    steps = []
    async for step in Walk(target).steps():
        steps.append(step)
        if not quiet:
            print("\n".join(output.lines(step)), flush=True)
    return steps


def _ram_access(arguments: Namespace, environ: Mapping[str, str]) -> RamAccess | None:
    """Return how to read RAM; None without an option for this. Raises ConfigError if the AccessKey is not set."""
    given = (arguments.ram_key_id, arguments.ram_key_secret, arguments.ram_security_token)
    if not (arguments.read_ram or arguments.ram_profile or any(given)):
        if arguments.ram_endpoint:
            raise ConfigError("--ram-endpoint: only with --read-ram or --ram-profile", error_code="IDS-125")
        return None
    if arguments.ram_profile and any(given):
        raise ConfigError("--ram-profile: not with variables of an AccessKey", cure="choose one", error_code="IDS-125")
    if (arguments.ram_key_id is None) != (arguments.ram_key_secret is None):
        raise ConfigError("--ram-key-id and --ram-key-secret: give both or neither", error_code="IDS-125")
    # A security token of other keys would make a named pair invalid.
    token = arguments.ram_security_token or ("" if arguments.ram_key_id else ram.STANDARD[2])
    variables = (arguments.ram_key_id or ram.STANDARD[0], arguments.ram_key_secret or ram.STANDARD[1], token)
    if not arguments.ram_profile:
        ram.keys_of(variables, environ)
    return RamAccess(variables, arguments.ram_profile, arguments.ram_endpoint)


def _caller(arguments: Namespace) -> Caller:
    """Return the caller that the options describe; by default this process."""
    own = arguments.uid is None and not arguments.gid
    uid = os.geteuid() if arguments.uid is None else arguments.uid
    gids = tuple(sorted({os.getegid(), *os.getgroups()})) if own else tuple(arguments.gid)
    return Caller(uid, gids, arguments.url)


def _environment(path: str) -> dict[str, str]:
    """Return the variables in a file that has the form of `env`'s output or of /proc/PID/environ."""
    text = _text(path, "--client-environment")
    lines = text.split("\0") if "\0" in text else text.splitlines()
    pairs = (line.removeprefix("export ").partition("=") for line in lines if "=" in line)
    return {name: value.strip("'\"") for name, _, value in pairs}


def _text(path: str, option: str) -> str:
    try:
        return files.read(path, LARGEST).decode()
    except files.Unreadable as why:
        raise ConfigError(why.at(f"{option}: {path}"), error_code="IDS-102") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{option}: {path}: not UTF-8 text", error_code="IDS-102") from None
