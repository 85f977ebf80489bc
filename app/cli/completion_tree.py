"""The commands, options and values of the parser as a tree, for the completion scripts."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

FILE_METAVARS = ("FILE", "DIR", "NAME=FILE", "[WORKLOAD=]FILE", "POD")


@dataclass(frozen=True, slots=True)
class Argument:
    """
    An option, or a positional argument if `names` is empty.

    `choices`: the values if they are known. `is_file`: whether the value is a path. An option with `takes_value` false
    has no value. `is_command`: whether it is a command line after `--`, with all later arguments.
    """

    names: tuple[str, ...]
    help: str
    choices: tuple[str, ...] = ()
    is_file: bool = False
    takes_value: bool = True
    is_command: bool = False


@dataclass(frozen=True, slots=True)
class Node:
    """The program, a command, or a topic of a command. `path` is empty for the program."""

    path: tuple[str, ...]
    help: str
    options: tuple[Argument, ...]
    positionals: tuple[Argument, ...]
    children: tuple[Node, ...]

    def walk(self) -> Iterator[Node]:
        """Yield the node and everything below it."""
        yield self
        for child in self.children:
            yield from child.walk()


def tree(parser: argparse.ArgumentParser, commands: object) -> Node:
    """Return the tree of the whole command line. `help` takes the names of the commands."""
    assert isinstance(commands, argparse._SubParsersAction)  # noqa: S101 - said for the type checker
    return _node(parser, (), "", tuple(commands.choices))


def _node(parser: argparse.ArgumentParser, path: tuple[str, ...], summary: str, names: Sequence[str]) -> Node:
    options, positionals, children = [], [], []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            summaries = {choice.dest: str(choice.help) for choice in action._choices_actions}
            children = [_node(child, (*path, name), summaries[name], names) for name, child in action.choices.items()]
        elif action.option_strings:
            options.append(_argument(action))
        else:
            positionals.append(_argument(action, names if path == ("help",) else ()))
    return Node(path, summary, tuple(options), tuple(positionals), tuple(children))


def _argument(action: argparse.Action, choices: Sequence[str] = ()) -> Argument:
    found = tuple(map(str, action.choices)) if action.choices else tuple(choices)
    is_file = action.metavar in FILE_METAVARS
    is_command = action.nargs == argparse.REMAINDER
    return Argument(tuple(action.option_strings), str(action.help), found, is_file, action.nargs != 0, is_command)
