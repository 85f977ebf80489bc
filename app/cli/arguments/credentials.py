"""The arguments of the commands that give credentials to programs: `serve`, `get`, `env` and `exec`."""

from __future__ import annotations

import argparse

from .common import Commands, add_command, add_config_option, add_profile_option

FORMATS = ("json", "aliyun", "external", "env", "uri", "aws")
SHELLS = ("sh", "fish", "powershell", "k8s")


def add_serve(commands: Commands) -> None:
    """Add the command `serve`."""
    command = add_command(commands, "serve", "run the sidecar", "idaas-sidecar serve --config config.json")
    add_config_option(command)


def add_get(commands: Commands) -> None:
    """Add the command `get`."""
    command = add_command(
        commands,
        "get",
        "print one credential: a running sidecar's, else from the cloud",
        "idaas-sidecar get --profile default --format env",
    )
    add_config_option(command)
    add_profile_option(command)
    command.add_argument("--format", choices=FORMATS, default="json", help="output format (default: json)")
    command.add_argument("--out", metavar="FILE", help="write to FILE instead of stdout: atomically, with mode 0600")


def add_env(commands: Commands) -> None:
    """Add the command `env`."""
    command = add_command(
        commands,
        "env",
        "print shell code that sets the variables of the URI and unsets those that SDKs check first",
        'eval "$(idaas-sidecar env)"',
    )
    add_config_option(command)
    add_profile_option(command)
    command.add_argument(
        "--shell",
        choices=SHELLS,
        default="sh",
        help="syntax of the output (default: sh); k8s: the env block of a container",
    )


def add_exec(commands: Commands) -> None:
    """Add the command `exec`."""
    command = add_command(
        commands, "exec", "run a command with a private sidecar", "idaas-sidecar exec -- aliyun oss ls"
    )
    add_config_option(command)
    add_profile_option(command)
    command.add_argument(
        "command_line", nargs=argparse.REMAINDER, metavar="-- CMD ARGS", help="the command to run, with its arguments"
    )
