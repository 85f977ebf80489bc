"""The examples at the end of `--help`, which docs/reference/commands.md shows too."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator

import pytest

from app.cli.arguments.common import examples
from app.cli.parser import build_parser, parse


def commands() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield every command and topic with its parser."""
    for name, command in build_parser()[1].choices.items():
        yield name, command
        for action in command._actions:
            if isinstance(action, argparse._SubParsersAction):
                yield from ((f"{name} {topic}", parser) for topic, parser in action.choices.items())


EXAMPLES = [(name, example) for name, command in commands() for example in examples(command)]


def arguments(example: str) -> list[str]:
    """Return the arguments of the program in a line for a shell, before a pipe or redirection."""
    rest = example.partition("idaas-sidecar ")[2]
    return shlex.split(re.split(r"[)>|]", rest)[0].strip())


@pytest.mark.parametrize("name", [name for name, _ in commands()])
def test_each_command_has_one_to_three(name: str) -> None:
    """Every command and topic has one to three examples, and each calls it."""
    found = [example for owner, example in EXAMPLES if owner == name]

    assert 1 <= len(found) <= 3
    assert [example for example in found if f"idaas-sidecar {name.split()[0]}" not in example] == []


@pytest.mark.parametrize("example", [example for _, example in EXAMPLES])
def test_the_program_accepts_it(example: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The parser accepts the arguments of every example."""
    given = arguments(example)
    if given == ["help", "get"]:
        with pytest.raises(SystemExit, match="0"):
            parse(given)
    else:
        assert parse(given).command == given[0]
