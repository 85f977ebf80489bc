"""The latency of one client while the configuration of many profiles is reloaded."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import client
from sidecar import Cloud, Sidecar, sidecar
from table import Figure, Goal, plain

PROFILES = 1_000
GOAL = Goal(20, None, " ms")
"""A client's p99 during a reload."""

READY = 180.0
"""Seconds until all profiles have credentials."""

STORM = 200
"""Signals in a row, which lead to two reloads."""


def figures(cloud: Cloud, directory: Path) -> Iterator[Figure]:
    """Measure the p99 of a client from the order to reload until the configuration is in use."""
    with sidecar(cloud, directory, profiles=PROFILES) as ours:
        client.until_200(ours.ops, "/readyz", since=time.perf_counter(), timeout=READY)
        time.sleep(1)
        path, log = (directory / f"sidecar-{ours.port}.{ending}" for ending in ("json", "log"))
        yield plain(f"one client, a reload of {PROFILES:,} unchanged profiles: p99", _p99(ours, log), "ms", GOAL)
        p99 = _p99(ours, log, orders=STORM)
        yield plain(f"one client, {STORM} orders to reload {PROFILES:,} profiles: p99", p99, "ms", GOAL)
        _change(path)
        yield plain(f"one client, a reload that changes {PROFILES:,} profiles: p99", _p99(ours, log), "ms", GOAL)


def _change(path: Path) -> None:
    """Change the session length of every profile."""
    settings: dict[str, Any] = json.loads(path.read_text())
    for profile in settings["profiles"].values():
        profile["exchange"]["durationSeconds"] = 1_800
    path.with_suffix(".new").write_text(json.dumps(settings))
    path.with_suffix(".new").rename(path)


def _p99(ours: Sidecar, log: Path, orders: int = 1) -> float:
    """Return the 99th percentile of a client's requests until the log says that the reload is over, in milliseconds."""
    start = log.stat().st_size
    for _ in range(orders):
        os.kill(ours.pid, signal.SIGHUP)
    took = []
    with client.connection(ours.port) as sock:
        while b"config_reloaded" not in log.read_bytes()[start:] or len(took) < 100:
            since = time.perf_counter()
            assert client.get(ours.port, "/credentials", sock)[0] == 200
            took.append((time.perf_counter() - since) * 1000)
            time.sleep(0.001)
    return sorted(took)[int(len(took) * 0.99) - 1]
