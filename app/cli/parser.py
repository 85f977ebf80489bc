"""The arguments of every command, and the help texts."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence

from .. import __version__
from ..core.text import similar
from .arguments.common import Parser, add_command, add_config, add_profile, whole_number
from .arguments.doctor import add_doctor
from .arguments.migrate import add_migrate
from .arguments.setup import add_setup
from .arguments.webhook import add_webhook
from .errors import PROGRAM, bad_usage

TYPE_CHECKING = False  # importing `typing` for the real constant would take a tenth of the time of `health`
if TYPE_CHECKING:
    from .arguments.common import Commands

FORMATS = ("json", "aliyun", "external", "env", "uri", "aws")
SHELLS = ("sh", "fish", "powershell", "k8s")
COMPLETION_SHELLS = ("bash", "zsh", "fish")
LOG_LEVELS = ("debug", "info", "warning", "error")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """
    Return the arguments of one command.

    Raises SystemExit with 0 after `help`, `--help` and `--version`, and with 2 after bad usage. A call without
    arguments is bad usage, and prints the list of commands on stderr.
    """
    if argv and argv[0] == "help" and not {"-h", "--help"}.intersection(argv[1:2]):
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


def _serve(commands: Commands) -> None:
    command = add_command(commands, "serve", "run the sidecar", "idaas-sidecar serve --config config.json")
    add_config(command)


def _demo(commands: Commands) -> None:
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
    _add_seed(command)
    command.add_argument("--json", action="store_true", help="print one JSON line instead of text when ready")


def _emulator(commands: Commands) -> None:
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
    _add_seed(command)
    command.add_argument("--json", action="store_true", help="print one JSON line instead of text when ready")


def _add_seed(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--seed",
        metavar="N",
        type=whole_number(0, 999_999_999),
        help="make the credentials that the emulated cloud issues repeatable, for tests (default: random)",
    )


def _get(commands: Commands) -> None:
    command = add_command(
        commands,
        "get",
        "print one credential: a running sidecar's, else from the cloud",
        "idaas-sidecar get --profile default --format env",
    )
    add_config(command)
    add_profile(command)
    command.add_argument("--format", choices=FORMATS, default="json", help="output format (default: json)")
    command.add_argument("--out", metavar="FILE", help="write to FILE instead of stdout: atomically, with mode 0600")


def _env(commands: Commands) -> None:
    command = add_command(
        commands,
        "env",
        "print shell code that sets the variables of the URI and unsets those that SDKs check first",
        'eval "$(idaas-sidecar env)"',
    )
    add_config(command)
    add_profile(command)
    command.add_argument(
        "--shell",
        choices=SHELLS,
        default="sh",
        help="syntax of the output (default: sh); k8s: the env block of a container",
    )


def _exec(commands: Commands) -> None:
    command = add_command(
        commands, "exec", "run a command with a private sidecar", "idaas-sidecar exec -- aliyun oss ls"
    )
    add_config(command)
    add_profile(command)
    command.add_argument(
        "command_line", nargs=argparse.REMAINDER, metavar="-- CMD ARGS", help="the command to run, with its arguments"
    )


def _config(commands: Commands) -> None:
    command = add_command(
        commands,
        "config",
        "check the configuration",
        "idaas-sidecar config --show",
        "idaas-sidecar config --offline --config deploy/config.json",
        "idaas-sidecar config --example > config.json",
    )
    add_config(command)
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


def _conformance(commands: Commands) -> None:
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


def _health(commands: Commands) -> None:
    command = add_command(commands, "health", "check that the sidecar is running", "idaas-sidecar health --ready")
    add_config(command)
    command.add_argument(
        "--ready", action="store_true", help="check that every required profile has a usable credential"
    )


def _status(commands: Commands) -> None:
    command = add_command(
        commands,
        "status",
        "show what the running sidecar does: profiles, last attempts, errors with their cures, callers; "
        "exits with 0 for any state: the check for scripts is `health --ready`",
        "idaas-sidecar status",
        "idaas-sidecar status --json",
    )
    add_config(command)
    command.add_argument("--json", action="store_true", help="print the members of /status.json as one line")


def _refresh(commands: Commands) -> None:
    command = add_command(commands, "refresh", "refresh the running sidecar's credentials now", "idaas-sidecar refresh")
    _add_refresh_options(command)


def _purge(commands: Commands) -> None:
    command = add_command(
        commands, "purge", "drop stored credentials, then refresh", "idaas-sidecar purge --profile default"
    )
    _add_refresh_options(command)


def _log_level(commands: Commands) -> None:
    command = add_command(
        commands, "log-level", "set the log level of the running sidecar", "idaas-sidecar log-level debug"
    )
    add_config(command)
    command.add_argument("level", choices=LOG_LEVELS, help="lowest level to write, until the next reload or start")


def _completion(commands: Commands) -> None:
    command = add_command(
        commands,
        "completion",
        "print the completion script of a shell",
        "source <(idaas-sidecar completion bash)",
        'idaas-sidecar completion zsh > "${fpath[1]}/_idaas-sidecar"',
        "idaas-sidecar completion fish > ~/.config/fish/completions/idaas-sidecar.fish",
    )
    command.add_argument("shell", choices=COMPLETION_SHELLS, help="shell that reads the script")


def _version(commands: Commands) -> None:
    add_command(commands, "version", "print the version", "idaas-sidecar version")


def _help(commands: Commands) -> None:
    # `help` is only declared here. `parse` converts it to --help.
    command = add_command(
        commands, "help", "print the list of commands, or the help of one command", "idaas-sidecar help get"
    )
    command.add_argument("name", nargs="?", metavar="COMMAND", help="the command to describe")


def _add_refresh_options(command: argparse.ArgumentParser) -> None:
    add_config(command)
    command.add_argument("--profile", help="one profile (default: all)")
    command.add_argument("--json", action="store_true", help="print the results as JSON")


# To add a command, add its arguments here and its `run` in a module of `commands`.
COMMANDS: Mapping[str, Callable[[Commands], None]] = {
    "serve": _serve,
    "demo": _demo,
    "emulator": _emulator,
    "get": _get,
    "env": _env,
    "exec": _exec,
    "config": _config,
    "doctor": add_doctor,
    "setup": add_setup,
    "conformance": _conformance,
    "health": _health,
    "status": _status,
    "refresh": _refresh,
    "purge": _purge,
    "log-level": _log_level,
    "migrate": add_migrate,
    "webhook": add_webhook,
    "completion": _completion,
    "version": _version,
    "help": _help,
}
"""Every command, in the order of `--help`, and the function that adds its arguments."""
