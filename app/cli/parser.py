"""The parser of the command line, of the commands that `arguments` declares."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence

from .. import __version__
from ..core.text import similar
from .arguments.common import Commands, Parser
from .arguments.config import add_config
from .arguments.credentials import add_env, add_exec, add_get, add_serve
from .arguments.doctor import add_doctor
from .arguments.emulation import add_conformance, add_demo, add_emulator
from .arguments.migrate import add_migrate
from .arguments.running import add_health, add_log_level, add_purge, add_refresh, add_status
from .arguments.setup import add_setup
from .arguments.usage import add_completion, add_help, add_version
from .arguments.webhook import add_webhook
from .errors import PROGRAM, bad_usage


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """
    Return the arguments of one command.

    Raises SystemExit with 0 after `help` without a code, `--help` and `--version`, and with 2 after bad usage. A call
    without arguments is bad usage, and prints the list of commands on stderr.
    """
    if argv and argv[0] == "help" and not any(word.upper().startswith(("-H", "--HELP", "IDS-")) for word in argv[1:2]):
        argv = [*argv[1:2], "--help"]
    name = argv[0] if argv else None
    # Only one parser is built: all of them would cost 10 ms of every start, and of every probe by `health`.
    parser, _ = build_parser([name] if name is not None and name in COMMANDS else COMMANDS)
    if name is None:
        parser.print_help(sys.stderr)
        bad_usage(PROGRAM, "no command is given; the list above has them")
    if not name.startswith("-") and name not in COMMANDS:
        bad_usage(PROGRAM, f"unknown command {name!r}; {_suggestion(name, COMMANDS)}")
    if name.startswith("-") and not any(option.startswith(name) for option in OPTIONS):
        bad_usage(PROGRAM, _option_mistake(name.partition("=")[0], argv))
    return parser.parse_args(argv)


OPTIONS = ("-h", "--help", "--version")
"""The options that need no command. All other options follow a command."""


def _option_mistake(option: str, argv: Sequence[str]) -> str:
    command = next((word for word in argv[1:] if word in COMMANDS), None)
    if command is not None:
        return f"{option!r} before the command; options follow it: {PROGRAM} {command} OPTION"
    return f"unknown option {option!r}; {_suggestion(option, OPTIONS)}"


def _suggestion(name: str, known: Iterable[str]) -> str:
    close = similar(name, known)
    return f"did you mean {close}?" if close else f"{PROGRAM} --help lists the commands"


def build_parser(names: Iterable[str] | None = None) -> tuple[Parser, Commands]:
    """Return the parser of the command line, and the parsers of its commands: of all, or of the commands `names`."""
    parser = Parser(
        prog=PROGRAM,
        description="Short-lived Alibaba Cloud credentials for every process on localhost.",
        epilog="example: idaas-sidecar demo",
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}", help="print the version")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", prog=PROGRAM)
    for name in COMMANDS if names is None else names:
        COMMANDS[name](commands)
    return parser, commands


# To add a command, add its arguments in a module of `arguments`, a row here, and its `run` in a module of `commands`.
COMMANDS: Mapping[str, Callable[[Commands], None]] = {
    "serve": add_serve,
    "demo": add_demo,
    "emulator": add_emulator,
    "get": add_get,
    "env": add_env,
    "exec": add_exec,
    "config": add_config,
    "doctor": add_doctor,
    "setup": add_setup,
    "conformance": add_conformance,
    "health": add_health,
    "status": add_status,
    "refresh": add_refresh,
    "purge": add_purge,
    "log-level": add_log_level,
    "migrate": add_migrate,
    "webhook": add_webhook,
    "completion": add_completion,
    "version": add_version,
    "help": add_help,
}
"""Every command, in the order of `--help`, and the function that adds its arguments."""
