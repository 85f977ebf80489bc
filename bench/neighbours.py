"""How soon a healthy profile has credentials beside many profiles whose cloud hangs or drips."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from table import Figure, Goal, plain

from tests.e2e.cloud import ENV
from tests.e2e.processes import emulator, serve
from tests.e2e.slow_servers import NEIGHBOURS, beside_healthy

GOAL = Goal(5, None, " s")


def figures(directory: Path) -> Iterator[Figure]:
    """Measure the seconds from the first log line to the healthy profile's credentials."""
    for case, (count, servers) in NEIGHBOURS.items():
        home = Path(tempfile.mkdtemp(dir=directory))
        with emulator(home=home) as cloud, servers() as ports:
            for leg in ("token", "sts"):
                with serve(beside_healthy(cloud, count, ports, leg), home=home, env=ENV) as sidecar:
                    since = time.perf_counter()
                    sidecar.process.event("credentials_issued", profile="healthy")
                    took = time.perf_counter() - since
                yield plain(f"a healthy profile beside {count} others, {case} ({leg})", took, "s", GOAL)
