"""The arguments of `demo`, `emulator` and `conformance`, which need the packages of the emulated cloud."""

from __future__ import annotations

import argparse

from .common import Commands, add_command, whole_number


def add_demo(commands: Commands) -> None:
    """Add the command `demo`."""
    command = add_command(
        commands, "demo", "run the emulated cloud and the sidecar in one process", "idaas-sidecar demo --profiles 2"
    )
    # The maximum leaves room for four ports in a row: credentials, ops, and two of the emulator.
    command.add_argument(
        "--port",
        type=whole_number(0, 65532),
        default=7117,
        help="credentials port; the next three ports are used too; 0 takes free ports (default: 7117)",
    )
    command.add_argument(
        "--profiles",
        type=whole_number(1, 1000),
        default=1,
        help="number of profiles, named default, p2, p3, … (default: 1)",
    )
    command.add_argument(
        "--lifetime", type=whole_number(1, 43200), default=3600, help="session lifetime in seconds (default: 3600)"
    )
    _add_common_options(command)


def add_emulator(commands: Commands) -> None:
    """Add the command `emulator`."""
    command = add_command(
        commands, "emulator", "run the emulated IDaaS and STS alone, on loopback", "idaas-sidecar emulator --port 7143"
    )
    command.add_argument(
        "--port",
        type=whole_number(0, 65534),
        default=7140,
        help="http port; https uses the next port; 0 takes free ports (default: 7140)",
    )
    command.add_argument("--world", metavar="FILE", help="JSON file with clients, providers and roles")
    _add_common_options(command)


def _add_common_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--seed",
        metavar="N",
        type=whole_number(0, 999_999_999),
        help="make the credentials that the emulated cloud issues repeatable, for tests (default: random)",
    )
    command.add_argument("--json", action="store_true", help="print one JSON line instead of text when ready")


def add_conformance(commands: Commands) -> None:
    """Add the command `conformance`."""
    command = add_command(
        commands,
        "conformance",
        "check which of the known clients can use a server",
        "idaas-sidecar conformance http://127.0.0.1:7117/credentials --ecs http://127.0.0.1:7117",
    )
    command.add_argument("url", metavar="URL", help="credentials URI as clients get it, with the path token if any")
    command.add_argument(
        "--ecs", metavar="URL", help="base URL of the ECS metadata paths; without it, ECS metadata is not checked"
    )
    command.add_argument(
        "--slow", action="store_true", help="also check idle connections and expired tokens: about ten seconds"
    )
    command.add_argument("--json", action="store_true", help="print one JSON document instead of text")
