"""The arguments of `completion`, `version` and `help`."""

from __future__ import annotations

from .common import Commands, add_command

COMPLETION_SHELLS = ("bash", "zsh", "fish")


def add_completion(commands: Commands) -> None:
    """Add the command `completion`."""
    command = add_command(
        commands,
        "completion",
        "print the completion script of a shell",
        "source <(idaas-sidecar completion bash)",
        'idaas-sidecar completion zsh > "${fpath[1]}/_idaas-sidecar"',
        "idaas-sidecar completion fish > ~/.config/fish/completions/idaas-sidecar.fish",
    )
    command.add_argument("shell", choices=COMPLETION_SHELLS, help="shell that reads the script")


def add_version(commands: Commands) -> None:
    """Add the command `version`."""
    add_command(commands, "version", "print the version", "idaas-sidecar version")


def add_help(commands: Commands) -> None:
    """Add the command `help`."""
    # `parse` converts `help` to --help, except for a code.
    command = add_command(
        commands,
        "help",
        "print the list of commands, the help of one command, or the meaning and cure of an error code",
        "idaas-sidecar help get",
        "idaas-sidecar help IDS-107",
    )
    command.add_argument("name", nargs="?", metavar="COMMAND", help="the command, or the error code")
