"""
The command line. Each command is a module with `run(arguments, environ)`, which returns the exit code.

A command's module is imported when the command is called. `health` therefore loads little more than `socket`, and
`serve` never loads the emulator.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence

from .errors import call_command
from .parser import parse


def main(argv: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Run one command and return its exit code. Raises SystemExit after bad usage, `--help` and `--version`."""
    arguments = parse(sys.argv[1:] if argv is None else argv)

    def run() -> int:
        module = importlib.import_module(f".{arguments.command.replace('-', '_')}_", __name__)
        return int(module.run(arguments, environ))

    return call_command(arguments.command, run, debug=arguments.debug)
