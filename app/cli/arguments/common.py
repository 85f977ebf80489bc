"""Helpers to declare commands and options that several commands have."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from ...core.text import similar
from ..errors import bad_usage

TYPE_CHECKING = False  # importing `typing` for the real constant would take a tenth of the time of `health`
if TYPE_CHECKING:
    from typing import Any, NoReturn

    Commands = argparse._SubParsersAction["Parser"]
else:
    Commands = argparse._SubParsersAction  # at run time, the class takes no type argument


class Parser(argparse.ArgumentParser):
    """A parser that reports bad usage in one line, with the known option or choice that resembles the wrong one."""

    def error(self, message: str) -> NoReturn:
        bad_usage(self.prog, f"{message}; see {self.prog} --help")

    _options_only = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """
        Return argparse's result, with positional arguments on either side of an option.

        The command that meets unknown arguments reports them, not its parent parser.
        """
        if any(each.nargs in (argparse.PARSER, argparse.REMAINDER) for each in self._get_positional_actions()):
            # One argument is a command: ours, or the one that `exec` runs. All options after a command belong to it.
            found, unknown = super().parse_known_args(args, namespace)
        else:
            found, unknown = self._parse_intermixed(list(args), namespace)
        if unknown:
            name = next((each.partition("=")[0] for each in unknown if each.startswith("-")), "")
            close = similar(name, self._option_string_actions)
            self.error(f"unrecognized arguments: {' '.join(unknown)}" + (f"; did you mean {close}?" if close else ""))
        return found, unknown

    def _parse_intermixed(self, args: list[str], namespace: Any) -> Any:
        """
        Return argparse's result for the options of `args`, then for the rest.

        `parse_known_intermixed_args` of Python 3.11 takes an argument behind `--` for an option.
        """
        end = args.index("--") if "--" in args else len(args)
        positionals = {action: action.required for action in self._get_positional_actions()}
        self._options_only = True
        for action in positionals:
            action.required = False
        try:
            found, rest = super().parse_known_args(args[:end], namespace)
        finally:
            self._options_only = False
            for action, required in positionals.items():
                action.required = required
        if not positionals:
            return found, [*rest, *args[end + 1 :]]
        unknown = [each for each in rest if each.startswith("-") and each != "-"]
        if unknown:
            return found, unknown
        return super().parse_known_args(["--", *rest, *args[end + 1 :]], found)

    def _get_positional_actions(self) -> list[argparse.Action]:
        return [] if self._options_only else super()._get_positional_actions()

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        known = list(map(str, action.choices))
        close = similar(str(value), known)
        hint = f"; did you mean {close}?" if close else ""
        raise argparse.ArgumentError(
            action, f"invalid choice: {value!r} (choose from {', '.join(map(repr, known))}){hint}"
        )


def add_command(commands: Commands, name: str, summary: str, *examples: str) -> Parser:
    """Add a command. `--help` and docs/reference/commands.md show the same `examples`."""
    command = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog="\n".join(f"example: {each}" for each in examples),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--debug", action="store_true", help="print a traceback if the command fails")
    return command


def examples(command: argparse.ArgumentParser) -> list[str]:
    """Return the examples of a command."""
    return [line.removeprefix("example: ") for line in str(command.epilog).splitlines()]


def add_config_option(command: argparse.ArgumentParser) -> None:
    """Add the option that names the configuration file."""
    command.add_argument(
        "--config",
        metavar="FILE",
        help="configuration file (default: $IDAAS_SIDECAR_CONFIG, else /etc/idaas-sidecar/config.json, else the "
        "file of the IDaaS SDK and the environment variables of the Alibaba Cloud SDKs)",
    )


def add_profile_option(command: argparse.ArgumentParser) -> None:
    """Add the option that names one profile."""
    command.add_argument("--profile", default="default", help="profile to use (default: default)")


def whole_number(minimum: int, maximum: int) -> Callable[[str], int]:
    """Return a function that reads a whole number within the limits. At most nine ASCII digits, no sign."""

    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or len(text) > 9 or not minimum <= int(text) <= maximum:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {minimum} to {maximum}")
        return int(text)

    return read
