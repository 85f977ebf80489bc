"""
The command line. `parser` reads the arguments that `arguments` declares, and each command is a module of `commands`.

A command's module is imported when the command is called. `health` therefore loads little more than `socket`, and
`serve` never loads the emulator.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType

from .. import __version__
from ..core.errors import ConfigError
from .errors import call_command
from .parser import parse

LASTING = ("serve", "exec", "demo", "emulator", "webhook")
"""The commands that serve until they are stopped, or run another program. All others end by themselves."""


def main(argv: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Run one command and return its exit code. Raises SystemExit after bad usage, `--help` and `--version`."""
    arguments = parse(sys.argv[1:] if argv is None else argv)
    if argv is None and arguments.command not in LASTING:
        _give_way()

    def run() -> int:
        return int(_command(arguments.command).run(arguments, environ))

    return call_command(arguments.command, run, debug=arguments.debug)


def _give_way() -> None:
    """
    Let the kernel end this process first where memory is short.

    Several commands in the container of a running sidecar share its memory limit. The kernel would end the largest
    process, which may be the sidecar.
    """
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")


def _command(name: str) -> ModuleType:
    """Import the module of a command. Raises ConfigError if this installation lacks packages that the command needs."""
    try:
        return importlib.import_module(f".commands.{name.replace('-', '_')}", __name__)
    except ModuleNotFoundError as error:
        program = __name__.rpartition(".")[0]
        if error.name not in (f"{program}.emulator", f"{program}.conformance"):
            raise
        raise ConfigError(
            f"the production image has no {error.name.rpartition('.')[2]}",
            cure=f"use the image with the tag {__version__}-emulator, or install the package idaas-credential-sidecar",
            error_code="IDS-129",
        ) from None
