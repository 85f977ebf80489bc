"""
The latency of one client, and the memory, while others attack: idle, slow, flooding and unread connections.

    .venv/bench/bin/python bench/attacks.py

Prints a table of the values beside their bounds. Exit code 1: a bound was missed, or the run took longer than LONGEST.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))  # for tests.e2e, which shares the attacks

import client
import size
from processes import cpu_seconds, rss_kib
from sidecar import Cloud, Sidecar, emulated_cloud, sidecar
from table import Figure, Goal, markdown, plain

from tests.e2e.attacks import CROWD, flood, open_connections, pipelining, reopening, socket_bytes, trickling
from tests.e2e.memory_group import memory_group
from tests.e2e.wire import request_head

LONGEST = 420
"""Seconds after which the run gives up."""

REQUESTS = 200
GOAL = Goal(50, None, " ms")
"""A client's p99 under attack."""

PIPELINES = 100

BUSY = 2_000
"""Connections that pipeline without pause and stay open, at the credentials and at the operations listener."""

PROBE_GOAL = Goal(1_000, None, " ms")
"""The slowest probe: the time limit of the kubelet's probes in the manifests."""

SLOWEST_SECONDS = 20

SECONDS_OF_MEMORY = 15
MEMORY_GOAL = Goal(64, None, " MiB")
"""The memory limit of the manifests. A cgroup of version 2 counts the memory of sockets as well."""


def figures(cloud: Cloud, directory: Path) -> Iterator[Figure]:
    """Measure the p99 of a client that opens a connection per request, as most SDKs do."""
    with sidecar(cloud, directory) as ours:
        size.settle(ours)
        base, ops = _base(ours.port), _base(ours.ops)
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
            yield plain(f"process after {name}", rss_kib(ours.pid) / 1024, "MiB")
        yield from _busy(ours, base, ops)
        yield from _reopened(ours, base, ops)
    for clients, goal in ((40, MEMORY_GOAL), (500, MEMORY_GOAL), (BUSY, None)):
        with (
            _limited(cloud, directory) as (ours, where),
            pipelining(_base(ours.port), clients, requests=10, reads=False),
        ):
            name = f"memory with sockets beside {clients:,} clients that never read{where}: peak"
            yield plain(name, _peak(ours, _base(ours.port), _base(ours.ops)), "MiB", goal)
    with _limited(cloud, directory) as (ours, where):
        yield from _busy(ours, _base(ours.port), _base(ours.ops), where)


def _base(port: int) -> str:
    return f"http://127.0.0.1:{port}"


@contextmanager
def _limited(cloud: Cloud, directory: Path) -> Iterator[tuple[Sidecar, str]]:
    """Run a sidecar in a cgroup with the memory limit of the manifests, or without one where none can be made."""
    with ExitStack() as stack:
        try:
            group = stack.enter_context(memory_group())
        except OSError as error:
            print(f"no cgroup: {error}", file=sys.stderr)
            group = None
        joins = group.program() if group else ()
        ours = stack.enter_context(sidecar(cloud, directory, joins=joins))
        size.settle(ours)
        yield ours, " (cgroup of 64 MiB)" if group else ""
        kills = group.kills if group else 0
        assert kills == 0, f"the kernel ended {kills} processes of the cgroup"


def _busy(ours: Sidecar, base: str, ops: str, where: str = "") -> Iterator[Figure]:
    name = f"{BUSY:,} busy connections at both listeners{where}"
    with pipelining(base, BUSY, requests=10), pipelining(ops, BUSY, target="/livez", requests=10):
        opening = max(_slowest(ours.port, "/credentials", 3), _slowest(ours.ops, "/livez", 3))
        yield plain(f"one client or probe while {name} open: slowest", opening, "ms")
        yield plain(f"one client beside {name}: slowest", _slowest(ours.port, "/credentials"), "ms", PROBE_GOAL)
        yield plain(f"a probe beside {name}: slowest", _slowest(ours.ops, "/livez"), "ms", PROBE_GOAL)
        yield plain(f"memory with sockets beside {name}: peak", _peak(ours, base, ops), "MiB", None)


def _reopened(ours: Sidecar, base: str, ops: str) -> Iterator[Figure]:
    """
    Measure probes beside connections that end after one request.

    The kernel's queue and the event loop treat probes like all other connections. The second figure is the CPU time of
    the sidecar from the beginning of a probe to its end. Other programs on the machine do not change this figure.
    """
    name = f"a probe beside {BUSY:,} connections for one request each at both listeners: slowest"
    took, used, until = list[float](), list[float](), time.monotonic() + SLOWEST_SECONDS
    with reopening(base, BUSY), reopening(ops, BUSY, "/livez"):
        while len(took) < 20 and time.monotonic() < until:
            before = cpu_seconds(ours.pid)
            took.append(_slowest(ours.ops, "/livez", 1))
            used.append((cpu_seconds(ours.pid) - before) * 1000)
    yield plain(name, max(took), "ms", None)
    yield plain(f"{name}, CPU time of the sidecar", max(used), "ms", PROBE_GOAL)


def _slowest(port: int, path: str, requests: int = 20) -> float:
    """
    Return the time of the slowest of so many requests, each on a new connection, in milliseconds.

    After SLOWEST_SECONDS no further request is sent, so that a server that misses the bound does not hold up the run.
    """
    took, until = list[float](), time.monotonic() + SLOWEST_SECONDS
    while len(took) < requests and time.monotonic() < until:
        since = time.perf_counter()
        assert client.get(port, path)[0] == 200
        took.append((time.perf_counter() - since) * 1000)
    return max(took)


def _peak(ours: Sidecar, *bases: str) -> float:
    """Return the most that the process and its sockets use within so many seconds, in MiB."""
    peak, until = 0.0, time.monotonic() + SECONDS_OF_MEMORY
    while time.monotonic() < until:
        peak = max(peak, rss_kib(ours.pid) / 1024 + socket_bytes(*bases) / 1_048_576)
        time.sleep(0.2)
    return peak


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


def main() -> int:
    """Run all attacks, within LONGEST; return 1 if a bound was missed."""
    signal.signal(signal.SIGALRM, _give_up)
    signal.alarm(LONGEST)
    found = []
    try:
        with tempfile.TemporaryDirectory(prefix="idaas-sidecar-attacks-") as directory, emulated_cloud() as cloud:
            for figure in figures(cloud, Path(directory)):
                found.append(figure)
                print(f"{figure.verdict:8} {figure.figure}: {figure.ours}", file=sys.stderr, flush=True)
    finally:
        print(markdown(found))
    return int(any(figure.verdict == "MISSED" for figure in found))


def _give_up(_number: int, _frame: object) -> None:
    raise SystemExit(f"bench/attacks.py: not finished after {LONGEST} s")  # the attackers and servers end with it


if __name__ == "__main__":
    sys.exit(main())
