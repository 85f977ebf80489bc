"""The cost of identifying the calling user with a thousand sockets open: one look-up, and a whole request."""

from __future__ import annotations

import importlib
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import client
import size
from processes import cpu_seconds
from sidecar import Cloud, Sidecar, sidecar
from table import Figure, ratio

OPEN_CONNECTIONS = 1_000
LOOK_UPS, REQUESTS, ROUNDS = 200, 2_000, 5
CREDENTIALS = "/credentials"


def figures(cloud: Cloud, directory: Path) -> Iterator[Figure]:
    """Compare netlink with the kernel's table as text, and requests with and without a rule about callers."""
    yield from _look_ups()
    with ExitStack() as stack:
        servers = [stack.enter_context(sidecar(cloud, directory, uids=uids)) for uids in (None, [os.geteuid()])]
        for server in servers:
            size.settle(server)
            stack.enter_context(client.idle_connections(server.port, CREDENTIALS, OPEN_CONNECTIONS))
        without, with_rule = zip(*[[_per_request(server) for server in servers] for _ in range(ROUNDS)], strict=True)
    factor = median(one / other for one, other in zip(with_rule, without, strict=True))
    name = f"a request with a rule about callers on a new connection, {OPEN_CONNECTIONS:,} others open: µs of CPU"
    yield ratio(name, median(with_rule) * 1e6, "no rule", median(without) * 1e6, factor, "µs", None)


def _look_ups() -> Iterator[Figure]:
    """Compare the two ways to look up the owner of a connection."""
    module = _netlink_module()
    for name, others in (("no other connection", 0), (f"{OPEN_CONNECTIONS:,} open connections", OPEN_CONNECTIONS)):
        with ExitStack() as stack:
            pairs = [_pair(stack) for _ in range(others + 1)]
            ends = (pairs[0][0].getsockname(), pairs[0][1].getsockname())
            fast, slow = module.SocketOwners(), module.SocketOwners(netlink=False)
            took = {owners: _microseconds(owners, ends) for owners in (fast, slow)}
            fast.close()
        yield ratio(
            f"identifying the calling user, {name}: µs",
            took[fast],
            "/proc/net/tcp",
            took[slow],
            took[fast] / took[slow],
            "µs",
            None,
        )


def _netlink_module() -> Any:
    """Return the module of the kernel look-ups: the installed one, or the one in the repository."""
    try:
        return importlib.import_module("idaas_sidecar.serve.peers.netlink")
    except ImportError:
        return importlib.import_module("app.serve.peers.netlink")


def _pair(stack: ExitStack) -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = stack.enter_context(socket.create_connection(server.getsockname()))
        other, _ = server.accept()
        return one, stack.enter_context(other)


def _microseconds(owners: Any, ends: tuple[Any, Any]) -> float:
    """Return the median time of one look-up. Each look-up must have a result."""
    took = []
    for _ in range(LOOK_UPS):
        started = time.perf_counter()
        assert owners.owner_of(*ends) is not None
        took.append(time.perf_counter() - started)
    return median(took) * 1e6


def _per_request(server: Sidecar) -> float:
    """Return the server's CPU time in seconds for a connection with one request."""
    before = cpu_seconds(server.pid)
    for _ in range(REQUESTS):
        status, _, _ = client.get(server.port, CREDENTIALS)
        assert status == 200
    return (cpu_seconds(server.pid) - before) / REQUESTS
