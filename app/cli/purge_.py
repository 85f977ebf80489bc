"""`purge`: has the running sidecar drop the credentials that it holds, and prove its identity anew."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping

from .refresh_ import renew


def run(arguments: Namespace, environ: Mapping[str, str]) -> int:
    return renew("purge", arguments, environ)
