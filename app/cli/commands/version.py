"""`version`: print the program's name and version."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping

from ... import __version__
from ..errors import PROGRAM


def run(_arguments: Namespace, _environ: Mapping[str, str]) -> int:
    """Print the same line as `--version`."""
    print(f"{PROGRAM} {__version__}")
    return 0
