"""Servers that hang or drip, and a configuration of many profiles that need them beside a healthy one."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

from .cloud import config
from .processes import EmulatedCloud

TIMEOUT = 60_000
"""Milliseconds to the next byte, the longest that can be configured. A test's own deadline comes first."""

Part = Literal["token", "sts"]


@contextmanager
def hanging(servers: int) -> Iterator[list[int]]:
    """Yield the ports of servers whose kernel accepts connections, and that never answer."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=2048)) for _ in range(servers)]
        yield [sock.getsockname()[1] for sock in sockets]


@contextmanager
def dripping() -> Iterator[list[int]]:
    """Yield the port of a server that sends one byte of its answer in each second, without end."""
    clients: list[socket.socket] = []

    def drip(server: socket.socket) -> None:
        server.settimeout(1)
        while True:
            try:
                clients.append(server.accept()[0])
                send(clients[-1], b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            except TimeoutError:
                for client in clients:
                    send(client, b" ")
            except OSError:
                return  # the end of the test

    def send(client: socket.socket, data: bytes) -> None:
        with contextlib.suppress(OSError):  # a client that has left ends the drip for no other
            client.sendall(data)

    with socket.create_server(("127.0.0.1", 0), backlog=2048) as server:
        thread = threading.Thread(target=drip, args=(server,), daemon=True)
        thread.start()
        try:
            yield [server.getsockname()[1]]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for client in clients:
                client.close()


NEIGHBOURS = {
    "one server hangs": (100, lambda: hanging(1)),
    "a hundred servers hang": (100, lambda: hanging(100)),
    "450 servers hang": (450, lambda: hanging(450)),
    "one server drips": (200, dripping),
}
"""The number of profiles, and the servers that they share."""


def beside_healthy(cloud: EmulatedCloud, count: int, ports: list[int], part: Part) -> dict[str, Any]:
    """Return a configuration of `count` profiles whose token endpoint or STS is at `ports`; the last one is healthy."""
    healthy: dict[str, Any] = config(cloud)["profiles"]["default"]
    profiles = {}
    for number in range(count):
        url = f"http://127.0.0.1:{ports[number % len(ports)]}"
        http = {"httpConfiguration": {"connectTimeout": TIMEOUT, "readTimeout": TIMEOUT}}
        identity = healthy["identity"] | http
        if part == "token":
            identity |= {"tokenEndpoint": f"{url}/token", "clientId": f"app_{number}"}
        exchange = healthy["exchange"] | {"endpoints": [url] if part == "sts" else [cloud.url]}
        profiles[f"slow{number}"] = {"identity": identity, "exchange": exchange}
    return config(cloud, profiles={**profiles, "healthy": healthy})
