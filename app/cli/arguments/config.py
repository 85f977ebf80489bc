"""The arguments of `config`."""

from __future__ import annotations

from .common import Commands, add_command, add_config_option


def add_config(commands: Commands) -> None:
    """Add the command `config`."""
    command = add_command(
        commands,
        "config",
        "check the configuration",
        "idaas-sidecar config --show",
        "idaas-sidecar config --offline --config deploy/config.json",
        "idaas-sidecar config --example > config.json",
    )
    add_config_option(command)
    command.add_argument(
        "--offline",
        action="store_true",
        help="for CI: check without the files, secrets and variables that the configuration names and that only the "
        "target machine has",
    )
    output = command.add_mutually_exclusive_group()
    output.add_argument("--schema", action="store_true", help="print the JSON Schema of the file; check nothing")
    output.add_argument("--example", action="store_true", help="print a complete example of the file; check nothing")
    output.add_argument(
        "--show",
        action="store_true",
        help="print each effective value and its source, also where something is wrong; text leaves out defaults of "
        "null",
    )
    command.add_argument("--json", action="store_true", help="with --show: print JSON")
