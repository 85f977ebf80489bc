"""Positional arguments may stand on either side of an option, for every command."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from app.cli.parser import parse

from .test_examples import commands

WITH_POSITIONALS = {
    name: parser
    for name, parser in commands()
    if name != "help"  # `parse` turns it into --help, except for a code
    and any(not action.option_strings for action in parser._actions)
    and not any(action.nargs in (argparse.PARSER, argparse.REMAINDER) for action in parser._actions)
}


def values(parser: argparse.ArgumentParser) -> list[str]:
    """Return a possible value of each positional argument, two where any number is possible."""
    found = []
    for action in parser._actions:
        if not action.option_strings:
            value = str(next(iter(action.choices))) if action.choices else "value"
            found += [value, "other"] if action.nargs == "*" else [value]
    return found


@pytest.mark.parametrize("name", WITH_POSITIONALS)
def test_every_order(name: str) -> None:
    """Options before, behind and between the positional arguments give the same result, as does `--`."""
    parser = WITH_POSITIONALS[name]
    given = values(parser)
    option = next(action for action in parser._actions if action.option_strings[-1:] not in ([], ["--help"]))
    flag = [option.option_strings[-1], *([] if option.nargs == 0 else ["1"])]
    expected = parse([*name.split(), *flag, *given])

    for at in range(1, len(given) + 1):
        assert parse([*name.split(), *given[:at], *flag, *given[at:]]) == expected
        assert parse([*name.split(), *given[:at], *flag, "--", *given[at:]]) == expected


def test_the_walk_has_commands() -> None:
    """Commands and topics with positional arguments are among them."""
    assert {"migrate report", "webhook explain", "setup cluster", "conformance", "log-level"} <= set(WITH_POSITIONALS)


def test_files_on_both_sides(tmp_path: Path) -> None:
    """`migrate report a --home D b` reads both files; behind `--`, a name may begin with a dash, and `-` is stdin."""
    found = parse(["migrate", "report", "a", "--home", str(tmp_path), "-", "b", "--json", "--", "--c"])

    assert (found.files, found.home, found.json) == (["a", "-", "b", "--c"], [str(tmp_path)], True)


def test_options_of_the_command_of_exec() -> None:
    """All that follows the command of `exec` belongs to that command."""
    found = parse(["exec", "--profile", "p2", "--", "tool", "--profile", "x", "--", "y"])

    assert (found.profile, found.command_line) == ("p2", ["--", "tool", "--profile", "x", "--", "y"])


@pytest.mark.parametrize("arguments", [["a", "--jsn", "b"], ["--jsn", "--", "a"]])
def test_unknown_options(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown option among positional arguments is named alone, with the one that resembles it."""
    with pytest.raises(SystemExit, match="2"):
        parse(["migrate", "report", *arguments])

    assert "report: unrecognized arguments: --jsn; did you mean --json?; see" in capsys.readouterr().err
