"""A restart with the encrypted cache while the cloud hangs: the first credential, and the reads after it."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import client
import size
from sidecar import Cloud, Sidecar, sidecar
from table import Figure, Goal, plain, ratio

READS = 300
CREDENTIALS = "/credentials"


def figures(cloud: Cloud, directory: Path, spawns: int) -> Iterator[Figure]:
    """Measure fresh processes that restore a cached session. Each of them has a refresh that waits for the cloud."""
    cache = directory / "cache"
    with sidecar(cloud, directory, cache=cache) as ours:
        size.settle(ours)
        unloaded = _median_read(ours)
    with _hanging(cloud):
        restarts = [_restored(cloud, directory, cache) for _ in range(spawns)]
    first, reads = (median(values) for values in zip(*restarts, strict=True))
    yield plain("spawn to the first credential from the cache, the cloud hangs", first, "ms", Goal(3000, None, " ms"))
    name = "a read while the cloud hangs: ms"
    yield ratio(name, reads, "unloaded", unloaded, reads / unloaded, "ms", Goal(5, None, " × unloaded"))


def _restored(cloud: Cloud, directory: Path, cache: Path) -> tuple[float, float]:
    """Return the milliseconds to the first credential, and those of a median read."""
    since = time.perf_counter()
    with sidecar(cloud, directory, cache=cache) as ours:
        first = client.until_200(ours.port, CREDENTIALS, since=since)
        return first * 1000, _median_read(ours)


def _median_read(ours: Sidecar) -> float:
    took = []
    for _ in range(READS):
        since = time.perf_counter()
        assert client.get(ours.port, CREDENTIALS)[0] == 200
        took.append((time.perf_counter() - since) * 1000)
    return median(took)


@contextlib.contextmanager
def _hanging(cloud: Cloud) -> Iterator[None]:
    """Let every call of the cloud hang while the block runs."""
    _faults(cloud, "POST", {"kind": "*", "times": None, "delay": 60})
    try:
        yield
    finally:
        _faults(cloud, "DELETE", {})


def _faults(cloud: Cloud, method: str, fault: dict[str, object]) -> None:
    connection = http.client.HTTPConnection(urlsplit(cloud.url).netloc, timeout=client.TIMEOUT)
    connection.request(method, "/_emulator/faults", json.dumps(fault), {"Content-Type": "application/json"})
    response = connection.getresponse()
    response.read()
    connection.close()
    assert response.status < 300
