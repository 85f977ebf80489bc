"""What it costs to know whose connection it is, with a thousand sockets open: one question, and a whole request."""

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

CROWD = 1_000
QUESTIONS, REQUESTS, ROUNDS = 200, 2_000, 5
CREDENTIALS = "/credentials"


def figures(cloud: Cloud, directory: Path) -> Iterator[Figure]:
    """Netlink beside the kernel's table as text, then requests with a rule about callers beside those without."""
    yield from _questions()
    with ExitStack() as stack:
        servers = [stack.enter_context(sidecar(cloud, directory, uids=uids)) for uids in (None, [os.geteuid()])]
        for server in servers:
            size.settle(server)
            stack.enter_context(client.idle_connections(server.port, CREDENTIALS, CROWD))
        without, ruled = zip(*[[_per_request(server) for server in servers] for _ in range(ROUNDS)], strict=True)
    times = median(one / other for one, other in zip(ruled, without, strict=True))
    name = f"a request on a new connection with a rule about callers, {CROWD} others open: µs of CPU"
    yield ratio(name, median(ruled) * 1e6, "no rule", median(without) * 1e6, times, "µs", None)


def _questions() -> Iterator[Figure]:
    peers = _peers()
    for name, crowd in (("one connection", 0), (f"{CROWD} connections", CROWD)):
        with ExitStack() as stack:
            pairs = [_pair(stack) for _ in range(crowd + 1)]
            ends = (pairs[0][0].getsockname(), pairs[0][1].getsockname())
            fast, slow = peers.Peers(), peers.Peers(netlink=False)
            took = {asked: _microseconds(asked, ends) for asked in (fast, slow)}
            fast.close()
        yield ratio(
            f"whose connection is it, {name}: µs",
            took[fast],
            "/proc/net/tcp",
            took[slow],
            took[fast] / took[slow],
            "µs",
            None,
        )


def _peers() -> Any:
    """The module that asks the kernel, as installed, else as it lies in the repository."""
    try:
        return importlib.import_module("idaas_sidecar.peers")
    except ImportError:
        return importlib.import_module("app.peers")


def _pair(stack: ExitStack) -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = stack.enter_context(socket.create_connection(server.getsockname()))
        other, _ = server.accept()
        return one, stack.enter_context(other)


def _microseconds(peers: Any, ends: tuple[Any, Any]) -> float:
    """The median of so many questions, each of which has an answer."""
    took = []
    for _ in range(QUESTIONS):
        started = time.perf_counter()
        assert peers.caller(*ends) is not None
        took.append(time.perf_counter() - started)
    return median(took) * 1e6


def _per_request(server: Sidecar) -> float:
    """Seconds of the server's processor time for a connection, a request and its answer."""
    before = cpu_seconds(server.pid)
    for _ in range(REQUESTS):
        status, _, _ = client.get(server.port, CREDENTIALS)
        assert status == 200
    return (cpu_seconds(server.pid) - before) / REQUESTS
