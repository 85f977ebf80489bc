"""`log-level`: set the log level of the running sidecar, until its next reload or start."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping

from ..admin_client import admin_request


def run(arguments: Namespace, environ: Mapping[str, str]) -> int:
    """Set the level and print it."""
    admin_request(arguments.config, environ, "PUT", f"/log-level/{arguments.level}")
    print(f"log level: {arguments.level}")
    return 0
