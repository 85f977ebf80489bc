"""Ports that stay unused while a test needs them.

The kernel gives out ports of a range, for listeners of port 0 and for clients. A port that was free a moment ago may
belong to a test in another process now. A port below that range is used only by a program that names it. Each process
of tests has a share of the ports below the range, also beside the tests of another checkout.

A port that a test has received stays bound here for a while, without a listener. So the kernel gives the port to no
client, and a program that sets SO_REUSEADDR, as servers do, can still listen on it.
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
    Return the socket that reserves the ports of this process, and an endless iterator of each port and those after it.

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
"""The maximum of bound ports. One test needs fewer. Flood tests need nearly all file descriptors of the process."""

_bound: dict[int, socket.socket] = {}


def unused_port(count: int = 1) -> int:
    """Return the first of `count` consecutive ports of loopback without a listener. `count` is far below SHARE."""
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
    """Keep `port` bound. Raises OSError if a program listens on it."""
    if port in _bound:
        _bound.pop(port).close()
    # The socket does not listen. A forked process may keep a copy of it, and a copy that listens would block the port.
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
