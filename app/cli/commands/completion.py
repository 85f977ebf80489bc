"""`completion`: print a script that completes commands, options and values in bash, zsh or fish."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping

from ..completion_scripts import SCRIPTS
from ..completion_tree import tree
from ..parser import build_parser


def run(arguments: Namespace, _environ: Mapping[str, str]) -> int:
    """Print the script of one shell."""
    print(SCRIPTS[arguments.shell](tree(*build_parser())), end="")
    return 0
