"""Ports that stay unused while a test needs them so.

The kernel gives out ports of a range, for listeners of port 0 and for clients. A port that was free a moment ago may
belong to a test in another process now. Below that range, ports are used only by those who name them. Each process of
tests has a share of the ports from there, also beside the tests of another checkout.

A port that a test has got stays bound here for a while, and nobody listens on it. So the kernel gives it to no client,
and a program that sets SO_REUSEADDR, as servers do, can still listen on it.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from functools import cache
from itertools import cycle, islice
from pathlib import Path

FIRST, END = 20_000, 65_536
GIVEN_OUT = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])

SHARE = 100
"""The ports of a process."""


@cache
def share() -> tuple[socket.socket, Iterator[range]]:
    """
    Return the ports of this process, each with those after it, again and again, and what keeps them for it.

    An abstract Unix socket has one owner in a network namespace, like a port, and is gone with its process.
    """
    for first in (*range(FIRST, GIVEN_OUT - SHARE, SHARE), *range(FIRST, END - SHARE, SHARE)):
        owner = socket.socket(socket.AF_UNIX)
        try:
            owner.bind(f"\0idaas-sidecar-test-ports-{first}")
        except OSError as error:
            owner.close()
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            end = first + SHARE
            return owner, cycle(range(port, end) for port in range(first, end))
    raise AssertionError("other processes have all ports for tests")


MOST_BOUND = 16
"""The ports that stay bound: those of a test, which has at most some. Tests of floods need nearly all descriptors."""

_bound: dict[int, socket.socket] = {}


def unused_port(count: int = 1) -> int:
    """Return the first of `count` consecutive ports of loopback on which nobody listens. `count` is far below SHARE."""
    _owner, ports = share()
    for following in islice(ports, 2 * SHARE):
        if len(following) < count:
            continue
        try:
            for port in following[:count]:
                _bind(port)
        except OSError:
            continue
        for _ in range(count - 1):
            next(ports)
        return following[0]
    raise AssertionError("no unused port was found")


def _bind(port: int) -> None:
    """Keep `port` bound. Raises OSError if somebody listens on it."""
    if port in _bound:
        _bound.pop(port).close()
    # A listening socket would be in the way as long as a process that another thread forked meanwhile has a copy of it.
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(("127.0.0.1", port))
    except OSError:
        bound.close()
        raise
    _bound[port] = bound
    if len(_bound) > MOST_BOUND:
        _bound.pop(next(iter(_bound))).close()
