"""`serve`: run the sidecar."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping

from ...main import serve


def run(arguments: Namespace, environ: Mapping[str, str]) -> int:
    """Run the sidecar until it is stopped."""
    return serve(arguments.config, environ)
