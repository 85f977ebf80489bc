"""`version`: which one this is."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping

from .. import __version__


def run(_arguments: Namespace, _environ: Mapping[str, str]) -> int:
    print(f"idaas-sidecar {__version__}")
    return 0
