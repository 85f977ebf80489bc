"""From nothing to an answer: how long a pod waits for its sidecar, and what happens when everybody asks at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import baselines
import client
import load
from sidecar import Cloud, sidecar
from table import Figure, Goal, plain, ratio, skipped

CROWD = 500


def figures(cloud: Cloud, directory: Path, spawns: int) -> Iterator[Figure]:
    """Medians over `spawns` fresh processes, from before the spawn to the end of the answer."""
    plainly = [_spawned(cloud, directory, tls=False) for _ in range(spawns)]
    secured = [_spawned(cloud, directory, tls=True) for _ in range(spawns)]
    yield plain("spawn to 200 on /livez", median(live for live, _ in plainly), "ms", Goal(200, 100, " ms"))
    yield plain("spawn to the first credential", median(first for _, first in plainly), "ms", Goal(350, 200, " ms"))
    yield plain("the same over https, as in production", median(first for _, first in secured), "ms")


def crowd(cloud: Cloud, directory: Path, go: Path | None, body: bytes, spawns: int) -> Iterator[Figure]:
    """500 connections at once, as soon as there is something to give."""
    name = f"{CROWD} connections at once, right after ready"
    if not load.has("ab"):
        yield skipped(name, load.AB)
        return
    ours = [_crowd_at_us(cloud, directory) for _ in range(spawns)]
    errors = sum(failed for _, failed in ours)
    yield Figure(f"{name}: errors", str(errors), goal="0", verdict="reached" if errors == 0 else "MISSED")
    if go is None:
        yield skipped(name, baselines.GO)
        return
    mine, theirs = (median(took for took, _ in side) for side in (ours, _crowds_at_go(go, body, directory, spawns)))
    yield ratio(name, mine, "go", theirs, mine / theirs, "ms", Goal(2, None, " × Go"))


def _spawned(cloud: Cloud, directory: Path, *, tls: bool) -> tuple[float, float]:
    """Milliseconds to /livez and to the first credential."""
    since = time.perf_counter()
    with sidecar(cloud, directory, tls=tls) as ours:
        live = client.until_200(ours.ops, "/livez", since=since)
        first = client.until_200(ours.port, "/credentials", since=since)
    return live * 1000, first * 1000


def _crowd_at_us(cloud: Cloud, directory: Path) -> tuple[float, int]:
    with sidecar(cloud, directory) as ours:
        client.until_200(ours.ops, "/readyz", since=time.perf_counter())
        return load.storm(f"http://127.0.0.1:{ours.port}/credentials", CROWD)


def _crowds_at_go(go: Path, body: bytes, directory: Path, spawns: int) -> Iterator[tuple[float, int]]:
    for _ in range(spawns):
        with baselines.go_server(go, body, directory) as (_, port):
            yield load.storm(f"http://127.0.0.1:{port}/credentials", CROWD)
