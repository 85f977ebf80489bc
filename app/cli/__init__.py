"""The command line. Each command is a module with `run(arguments, environ) -> exit code`, imported when it is called,
so that `health` costs what a socket costs and `serve` never loads the emulator.

Exit codes: 0 done, 1 not healthy, 2 bad usage or configuration, 3 the cloud refused, 4 the cloud cannot be reached.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from .. import __version__

FORMATS = ("uri", "external", "env", "ini", "json")
SHELLS = ("sh", "fish", "powershell")


def main(argv: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Runs one command. Errors are one line on stderr; `--debug` shows the traceback too."""
    arguments = _parser().parse_args(argv)
    if arguments.command == "version":
        print(f"idaas-sidecar {__version__}")
        return 0
    try:
        command = importlib.import_module(f".{arguments.command}_", __name__)
        return int(command.run(arguments, environ))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        code = _exit_code(error)
        if code is None or arguments.debug:
            raise
        print(f"idaas-sidecar {arguments.command}: {error}", file=sys.stderr)
        return code


def _exit_code(error: Exception) -> int | None:
    """The exit code of an error of ours, or None for one that is a bug."""
    from ..model import ConfigError, Refused, SidecarError

    if not isinstance(error, SidecarError):
        return None
    return 2 if isinstance(error, ConfigError) else 3 if isinstance(error, Refused) else 4


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="idaas-sidecar",
        description="Short-lived Alibaba Cloud credentials for every process on localhost.",
        epilog="example: idaas-sidecar demo",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (_serve, _demo, _emulator, _get, _env, _config, _health):
        add(commands)
    _command(commands, "version", "print the version", "idaas-sidecar version")
    return parser


if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def _command(commands: Commands, name: str, text: str, example: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text.capitalize() + ".", epilog=f"example: {example}")
    command.add_argument("--debug", action="store_true", help="show a traceback when something fails")
    return command


def _with_config(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--config",
        metavar="FILE",
        help="configuration file; default: $IDAAS_SIDECAR_CONFIG, /etc/idaas-sidecar/config.json, the environment",
    )


def _serve(commands: Commands) -> None:
    command = _command(commands, "serve", "run the sidecar", "idaas-sidecar serve --config config.json")
    _with_config(command)


def _demo(commands: Commands) -> None:
    command = _command(
        commands, "demo", "run the emulated cloud and the sidecar in one process", "idaas-sidecar demo --profiles 2"
    )
    command.add_argument("--port", type=_whole(0, 65535), default=7117, help="credentials port; 0: all ports random")
    command.add_argument("--profiles", type=_whole(1, 1000), default=1, help="how many: default, p2, p3, …")
    command.add_argument("--lifetime", type=_whole(1, 43200), default=3600, help="seconds that a session lives")
    command.add_argument("--json", action="store_true", help="print one JSON line when ready, instead of text")


def _emulator(commands: Commands) -> None:
    command = _command(
        commands, "emulator", "run the emulated IDaaS and STS alone, on loopback", "idaas-sidecar emulator --port 7143"
    )
    command.add_argument("--port", type=_whole(0, 65535), default=7140, help="http port; https: the next; 0: random")
    command.add_argument("--world", metavar="FILE", help="JSON file of clients, providers, roles")
    command.add_argument("--json", action="store_true", help="print one JSON line when ready, instead of text")


def _get(commands: Commands) -> None:
    command = _command(
        commands, "get", "print one credential, without a server", "idaas-sidecar get --profile default --format env"
    )
    _with_config(command)
    command.add_argument("--profile", default="default", help="profile to get (default: default)")
    command.add_argument("--format", choices=FORMATS, default="json", help="what to print (default: json)")


def _env(commands: Commands) -> None:
    command = _command(commands, "env", "print the environment that a client needs", 'eval "$(idaas-sidecar env)"')
    _with_config(command)
    command.add_argument("--profile", default="default", help="profile to use (default: default)")
    command.add_argument("--shell", choices=SHELLS, default="sh", help="whose syntax (default: sh)")


def _config(commands: Commands) -> None:
    command = _command(commands, "config", "check the configuration", "idaas-sidecar config --show")
    _with_config(command)
    what = command.add_mutually_exclusive_group()
    what.add_argument("--schema", action="store_true", help="print the JSON Schema of the file")
    what.add_argument("--show", action="store_true", help="print each effective value and where it came from")
    command.add_argument("--json", action="store_true", help="with --show: as JSON")


def _health(commands: Commands) -> None:
    command = _command(commands, "health", "ask the running sidecar whether it lives", "idaas-sidecar health --ready")
    _with_config(command)
    command.add_argument("--ready", action="store_true", help="ask whether every required profile is usable")


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most}")
        return int(text)

    return read
