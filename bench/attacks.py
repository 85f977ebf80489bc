"""The latency of one client while others attack: idle, slow, flooding and pipelining connections."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path

import client
import size
from sidecar import Cloud, Sidecar, sidecar
from table import Figure, Goal, plain

from tests.e2e.attacks import CROWD, flood, open_connections, pipelining, trickling
from tests.e2e.wire import request_head

REQUESTS = 200
GOAL = Goal(50, None, " ms")
"""A client's p99 under attack."""

PIPELINES = 100


def figures(cloud: Cloud, directory: Path) -> Iterator[Figure]:
    """Measure the p99 of a client that opens a connection per request, as most SDKs do."""
    with sidecar(cloud, directory) as ours:
        size.settle(ours)
        base, ops = f"http://127.0.0.1:{ours.port}", f"http://127.0.0.1:{ours.ops}"
        refused, scrape = request_head("GET", "/credentials", host="evil.example"), request_head("GET", "/metrics")
        attacks: dict[str, tuple[AbstractContextManager[object], Goal | None]] = {
            "no other connection": (nullcontext(), None),
            f"{CROWD:,} idle connections": (open_connections(base), GOAL),
            f"{CROWD:,} half requests, one byte per second": (_half_requests(base), GOAL),
            "a flood of refused requests": (flood(base, refused, 20), GOAL),
            "a flood of scrapes": (flood(ops, scrape, 20), GOAL),
            f"endless pipelines on {PIPELINES} connections": (pipelining(base, PIPELINES), Goal(500, None, " ms")),
        }
        for name, (attack, goal) in attacks.items():
            with attack:
                yield plain(f"one client beside {name}: p99", _p99(ours), "ms", goal)


@contextmanager
def _half_requests(base: str) -> Iterator[None]:
    with ExitStack() as stack:
        connections = stack.enter_context(open_connections(base, b"GET /credentials HTTP/1.1\r\nX-A: "))
        stack.enter_context(trickling(connections))
        yield


def _p99(ours: Sidecar) -> float:
    """Return the 99th percentile of so many requests, in milliseconds."""
    took = []
    for _ in range(REQUESTS):
        since = time.perf_counter()
        assert client.get(ours.port, "/credentials")[0] == 200
        took.append((time.perf_counter() - since) * 1000)
    return sorted(took)[int(REQUESTS * 0.99) - 1]
