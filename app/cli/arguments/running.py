"""The arguments of the commands that ask a running sidecar: `health`, `status`, `refresh`, `purge` and `log-level`."""

from __future__ import annotations

import argparse

from .common import Commands, add_command, add_config_option

LOG_LEVELS = ("debug", "info", "warning", "error")


def add_health(commands: Commands) -> None:
    """Add the command `health`."""
    command = add_command(commands, "health", "check that the sidecar is running", "idaas-sidecar health --ready")
    add_config_option(command)
    command.add_argument(
        "--ready", action="store_true", help="check that every required profile has a usable credential"
    )


def add_status(commands: Commands) -> None:
    """Add the command `status`."""
    command = add_command(
        commands,
        "status",
        "show what the running sidecar does: profiles, last attempts, errors with their cures, callers; "
        "exits with 0 for any state: the check for scripts is `health --ready`",
        "idaas-sidecar status",
        "idaas-sidecar status --json",
    )
    add_config_option(command)
    command.add_argument("--json", action="store_true", help="print the members of /status.json as one line")


def add_refresh(commands: Commands) -> None:
    """Add the command `refresh`."""
    command = add_command(commands, "refresh", "refresh the running sidecar's credentials now", "idaas-sidecar refresh")
    _add_refresh_options(command)


def add_purge(commands: Commands) -> None:
    """Add the command `purge`."""
    command = add_command(
        commands, "purge", "drop stored credentials, then refresh", "idaas-sidecar purge --profile default"
    )
    _add_refresh_options(command)


def add_log_level(commands: Commands) -> None:
    """Add the command `log-level`."""
    command = add_command(
        commands, "log-level", "set the log level of the running sidecar", "idaas-sidecar log-level debug"
    )
    add_config_option(command)
    command.add_argument("level", choices=LOG_LEVELS, help="lowest level to write, until the next reload or start")


def _add_refresh_options(command: argparse.ArgumentParser) -> None:
    add_config_option(command)
    command.add_argument("--profile", help="one profile (default: all)")
    command.add_argument("--json", action="store_true", help="print the results as JSON")
