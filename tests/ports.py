"""Ports that stay unused while a test needs them so.

The kernel gives out ports of a range, for listeners of port 0 and for clients. A port that was free a moment ago may
belong to a test in another process now. Below that range, ports are used only by those who name them.
"""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack
from pathlib import Path

FIRST = 20_000
GIVEN_OUT = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])


def unused_port(count: int = 1) -> int:
    """Return the first of `count` consecutive ports of loopback on which nobody listens."""
    for _ in range(100):
        first = random.SystemRandom().randrange(  # a test may have seeded the shared generator
            FIRST, max(GIVEN_OUT, FIRST + 1_000) - count
        )
        with ExitStack() as opened:
            try:
                for port in range(first, first + count):
                    opened.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue
            return first
    raise AssertionError("no unused port was found")
