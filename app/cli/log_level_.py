"""`log-level`: how much the running sidecar writes, until its next reload or start."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping

from .admin_client import order


def run(arguments: Namespace, environ: Mapping[str, str]) -> int:
    order(arguments.config, environ, "PUT", f"/log-level/{arguments.level}")
    print(f"log level: {arguments.level}")
    return 0
