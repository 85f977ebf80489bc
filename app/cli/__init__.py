"""The command line. Each command is a module with `run(arguments, environ) -> exit code`, imported when it is called,
so that `health` costs what a socket costs and `serve` never loads the emulator.

Exit codes: 0 done, 1 not healthy, 2 bad usage or configuration, 3 the cloud refused, 4 the cloud cannot be reached,
70 an error of the program itself.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence

from .. import __version__

TYPE_CHECKING = False  # the real one's module, `typing`, would be a tenth of what `health` costs
if TYPE_CHECKING:
    from typing import NoReturn

    Commands = argparse._SubParsersAction["_Parser"]

FORMATS = ("uri", "external", "env", "ini", "json")
SHELLS = ("sh", "fish", "powershell", "k8s")
BUG = 70


def main(argv: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Runs one command; its exit code."""
    arguments = _parser().parse_args(argv)

    def work() -> int:
        module = importlib.import_module(f".{arguments.command.replace('-', '_')}_", __name__)
        return int(module.run(arguments, environ))

    return call(arguments.command, work, debug=arguments.debug)


def call(command: str, work: Callable[[], int], *, debug: bool) -> int:
    """`work`'s exit code. An error is one line on stderr, behind its traceback if `debug`, and becomes its code."""
    try:
        code = work()
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        if debug:
            import traceback

            traceback.print_exc()
        complaint, code = _verdict(error)
        print(f"idaas-sidecar {command}: {complaint}", file=sys.stderr)
        return code


def _verdict(error: Exception) -> tuple[str, int]:
    """One line about the error, and the exit code. A foreign error's text is not shown: it may quote a secret."""
    from ..core.errors import ConfigError, Refused, SidecarError

    if not isinstance(error, SidecarError):
        return f"internal error ({type(error).__name__}); run it again with --debug and report what that shows", BUG
    code = 2 if isinstance(error, ConfigError) else 3 if isinstance(error, Refused) else 4
    return " ".join(str(error).split()), code


class _Parser(argparse.ArgumentParser):
    """One that complains in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="idaas-sidecar",
        description="Short-lived Alibaba Cloud credentials for every process on localhost.",
        epilog="example: idaas-sidecar demo",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", prog="idaas-sidecar")
    # A new command (doctor and setup are to come): its arguments here, its `run` in a module `<name>_`.
    for add in (
        _serve, _demo, _emulator, _get, _env, _exec, _config, _conformance, _health, _refresh, _purge, _log_level,
        _version,
    ):  # fmt: skip
        add(commands)
    return parser


def _serve(commands: Commands) -> None:
    _with_config(_command(commands, "serve", "run the sidecar", "idaas-sidecar serve --config config.json"))


def _demo(commands: Commands) -> None:
    command = _command(
        commands, "demo", "run the emulated cloud and the sidecar in one process", "idaas-sidecar demo --profiles 2"
    )
    # Four ports in a row: credentials, ops, and the emulator's two.
    command.add_argument("--port", type=_whole(0, 65532), default=7117, help="credentials port; 0: all ports random")
    command.add_argument("--profiles", type=_whole(1, 1000), default=1, help="how many: default, p2, p3, …")
    command.add_argument("--lifetime", type=_whole(1, 43200), default=3600, help="seconds that a session lives")
    command.add_argument("--json", action="store_true", help="print one JSON line when ready, instead of text")


def _emulator(commands: Commands) -> None:
    command = _command(
        commands, "emulator", "run the emulated IDaaS and STS alone, on loopback", "idaas-sidecar emulator --port 7143"
    )
    command.add_argument("--port", type=_whole(0, 65534), default=7140, help="http port; https: the next; 0: random")
    command.add_argument("--world", metavar="FILE", help="JSON file of clients, providers, roles")
    command.add_argument("--json", action="store_true", help="print one JSON line when ready, instead of text")


def _get(commands: Commands) -> None:
    command = _command(
        commands, "get", "print one credential, without a server", "idaas-sidecar get --profile default --format env"
    )
    _with_config(command)
    command.add_argument("--profile", default="default", help="profile to get (default: default)")
    command.add_argument("--format", choices=FORMATS, default="json", help="what to print (default: json)")
    command.add_argument("--out", metavar="FILE", help="write it there instead, mode 0600, whole or not at all")


def _env(commands: Commands) -> None:
    command = _command(commands, "env", "print the environment that a client needs", 'eval "$(idaas-sidecar env)"')
    _with_config(command)
    command.add_argument("--profile", default="default", help="profile to use (default: default)")
    command.add_argument(
        "--shell", choices=SHELLS, default="sh", help="whose syntax (default: sh); k8s: the env block of a container"
    )


def _exec(commands: Commands) -> None:
    command = _command(
        commands,
        "exec",
        "run a command with a private sidecar",
        "idaas-sidecar exec -- aliyun oss ls",
    )
    _with_config(command)
    command.add_argument("--profile", default="default", help="profile to use (default: default)")
    command.add_argument("command_line", nargs=argparse.REMAINDER, metavar="-- CMD ARGS", help="the command")


def _config(commands: Commands) -> None:
    command = _command(commands, "config", "check the configuration", "idaas-sidecar config --show")
    _with_config(command)
    what = command.add_mutually_exclusive_group()
    what.add_argument("--schema", action="store_true", help="print the JSON Schema of the file, and check nothing")
    what.add_argument("--show", action="store_true", help="print each effective value and where it came from")
    command.add_argument("--json", action="store_true", help="with --show: as JSON")


def _conformance(commands: Commands) -> None:
    command = _command(
        commands,
        "conformance",
        "ask a server whether every known client can use it",
        "idaas-sidecar conformance http://127.0.0.1:7117/credentials --ecs http://127.0.0.1:7117",
    )
    command.add_argument("url", metavar="URL", help="the credentials URI as clients get it, path token included")
    command.add_argument(
        "--ecs", metavar="URL", help="base of the ECS metadata paths; without it they are not looked at"
    )
    command.add_argument("--slow", action="store_true", help="also the rules that take some ten seconds to see")
    command.add_argument("--json", action="store_true", help="print one JSON document")


def _health(commands: Commands) -> None:
    command = _command(commands, "health", "ask the running sidecar whether it lives", "idaas-sidecar health --ready")
    _with_config(command)
    command.add_argument("--ready", action="store_true", help="ask whether every required profile is usable")


def _refresh(commands: Commands) -> None:
    _renewing(_command(commands, "refresh", "prove the running sidecar's identity anew", "idaas-sidecar refresh"))


def _purge(commands: Commands) -> None:
    _renewing(
        _command(
            commands,
            "purge",
            "drop what the running sidecar holds, and get new",
            "idaas-sidecar purge --profile default",
        )
    )


def _renewing(command: argparse.ArgumentParser) -> None:
    _with_config(command)
    command.add_argument("--profile", help="one profile (default: all)")
    command.add_argument("--json", action="store_true", help="print what came of it as JSON")


def _log_level(commands: Commands) -> None:
    command = _command(commands, "log-level", "how much the running sidecar writes", "idaas-sidecar log-level debug")
    _with_config(command)
    command.add_argument("level", choices=("debug", "info", "warning", "error"), help="the least of what is written")


def _version(commands: Commands) -> None:
    _command(commands, "version", f"print the version, {__version__}", "idaas-sidecar version")


def _command(commands: Commands, name: str, text: str, example: str) -> argparse.ArgumentParser:
    description = f"{text[0].upper()}{text[1:]}."
    command = commands.add_parser(name, help=text, description=description, epilog=f"example: {example}")
    command.add_argument("--debug", action="store_true", help="show a traceback when something fails")
    return command


def _with_config(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--config",
        metavar="FILE",
        help="configuration file; default: $IDAAS_SIDECAR_CONFIG, /etc/idaas-sidecar/config.json, the environment",
    )


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or len(text) > 9 or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most}")
        return int(text)

    return read
