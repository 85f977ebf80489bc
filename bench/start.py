"""Start and stop: how long a pod waits for its sidecar, a crowd right after the start, the probe command, the exit."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

import baselines
import client
import load
import size
from sidecar import Cloud, command, sidecar
from table import Figure, Goal, plain, ratio, skipped

CROWD = 500


def figures(cloud: Cloud, directory: Path, spawns: int) -> Iterator[Figure]:
    """Medians over `spawns` fresh processes. A start is measured from before the spawn to the end of the response."""
    without_tls = [_spawned(cloud, directory, tls=False) for _ in range(spawns)]
    with_tls = [_spawned(cloud, directory, tls=True) for _ in range(spawns)]
    yield plain("spawn to 200 on /livez", median(live for live, _ in without_tls), "ms", Goal(200, 100, " ms"))
    yield plain("spawn to the first credential", median(first for _, first in without_tls), "ms", Goal(350, 200, " ms"))
    yield plain("the same over https, as in production", median(first for _, first in with_tls), "ms")
    stops = [_stopped(cloud, directory) for _ in range(spawns)]
    yield plain("SIGTERM to exit, drainSeconds 0", median(stops), "ms", Goal(1000, None, " ms"))
    probe = _health(cloud, directory, spawns)
    yield plain("`health` beyond the start of the interpreter", probe, "ms", Goal(60, None, " ms"))


def crowd(cloud: Cloud, directory: Path, go: Path | None, body: bytes, spawns: int) -> Iterator[Figure]:
    """Measure 500 connections at once, as soon as the sidecar is ready."""
    name = f"{CROWD} connections at once, right after ready"
    if not load.has("ab"):
        yield skipped(name, load.AB)
        return
    ours = [_crowd_at_sidecar(cloud, directory) for _ in range(spawns)]
    errors = sum(failed for _, failed in ours)
    yield Figure(f"{name}: errors", str(errors), goal="0", verdict="reached" if errors == 0 else "MISSED")
    if go is None:
        yield skipped(name, baselines.GO)
        return
    mine, theirs = (median(took for took, _ in side) for side in (ours, _crowds_at_go(go, body, directory, spawns)))
    yield ratio(name, mine, "go", theirs, mine / theirs, "ms", Goal(2, None, " × Go"))


def _spawned(cloud: Cloud, directory: Path, *, tls: bool) -> tuple[float, float]:
    """Return the milliseconds to /livez and to the first credential."""
    since = time.perf_counter()
    with sidecar(cloud, directory, tls=tls) as ours:
        live = client.until_200(ours.ops, "/livez", since=since)
        first = client.until_200(ours.port, "/credentials", since=since)
    return live * 1000, first * 1000


def _stopped(cloud: Cloud, directory: Path) -> float:
    """Return the milliseconds from SIGTERM to the end of the process."""
    with sidecar(cloud, directory) as ours:
        size.settle(ours, seconds=0)
        descriptor = os.pidfd_open(ours.pid)
        try:
            since = time.perf_counter()
            os.kill(ours.pid, signal.SIGTERM)
            select.select([descriptor], [], [], client.TIMEOUT)
            return (time.perf_counter() - since) * 1000
        finally:
            os.close(descriptor)


def _health(cloud: Cloud, directory: Path, times: int) -> float:
    """Return the milliseconds of `health` beyond those of an interpreter that does nothing. The fastest runs count."""
    with sidecar(cloud, directory) as ours:
        size.settle(ours, seconds=0)
        path = directory / "health.json"
        path.write_text(json.dumps({"server": {"ops": f"127.0.0.1:{ours.ops}"}}))
        health = _fastest([*command(), "health", "--config", str(path)], times)
    return health - _fastest([sys.executable, "-c", "pass"], times)


def _fastest(command: Sequence[str], times: int) -> float:
    took = []
    for _ in range(times):
        since = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        took.append((time.perf_counter() - since) * 1000)
    return min(took)


def _crowd_at_sidecar(cloud: Cloud, directory: Path) -> tuple[float, int]:
    with sidecar(cloud, directory) as ours:
        client.until_200(ours.ops, "/readyz", since=time.perf_counter())
        return load.storm(f"http://127.0.0.1:{ours.port}/credentials", CROWD)


def _crowds_at_go(go: Path, body: bytes, directory: Path, spawns: int) -> Iterator[tuple[float, int]]:
    for _ in range(spawns):
        with baselines.go_server(go, body, directory) as (_, port):
            yield load.storm(f"http://127.0.0.1:{port}/credentials", CROWD)
