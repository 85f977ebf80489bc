"""`purge`: drop the running sidecar's stored credentials, then refresh."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping

from .refresh import request_refresh


def run(arguments: Namespace, environ: Mapping[str, str]) -> int:
    """Drop the credentials of one profile or all, then refresh."""
    return request_refresh("purge", arguments, environ)
