"""Ports that stay unused while a test needs them so.

The kernel gives out ports of a range, for listeners of port 0 and for clients. A port that was free a moment ago may
belong to a test in another process now. Below that range, ports are used only by those who name them. Each process of
tests has a share of these ports, also beside the tests of another checkout.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache
from itertools import cycle, islice
from pathlib import Path

FIRST = 20_000
GIVEN_OUT = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])

SHARE = 100
"""The ports of a process."""


@cache
def share() -> tuple[socket.socket, Iterator[int]]:
    """
    Return the ports of this process, one after the other and again, and what keeps them for it.

    An abstract Unix socket has one owner in a network namespace, like a port, and is gone with its process.
    """
    for first in range(FIRST, max(GIVEN_OUT, FIRST + 10 * SHARE) - SHARE, SHARE):
        owner = socket.socket(socket.AF_UNIX)
        try:
            owner.bind(f"\0idaas-sidecar-test-ports-{first}")
        except OSError as error:
            owner.close()
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            return owner, cycle(range(first, first + SHARE))
    raise AssertionError("other processes have all ports for tests")


def unused_port(count: int = 1) -> int:
    """Return the first of `count` consecutive ports of loopback on which nobody listens. `count` is far below SHARE."""
    _owner, ports = share()
    for first in islice(ports, 2 * SHARE):
        if (first - FIRST) % SHARE + count > SHARE:
            continue
        with ExitStack() as opened:
            try:
                for port in range(first, first + count):
                    opened.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue
            for _ in range(count - 1):
                next(ports)
            return first
    raise AssertionError("no unused port was found")
