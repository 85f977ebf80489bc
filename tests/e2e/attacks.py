"""Clients that try to starve others: idle, slow, flooding and pipelining ones. Shared by test_floods.py and bench/."""

from __future__ import annotations

import re
import resource
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from .processes import wait_until
from .wire import Connection

CROWD = 1_000


@contextmanager
def open_connections(base: str, first: bytes = b"") -> Iterator[list[Connection]]:
    """Open a thousand connections that send `first` and nothing more."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], min(before[1], 2 * CROWD)), before[1]))
        connections = [stack.enter_context(Connection(base)) for _ in range(CROWD)]
        for connection in connections:
            connection.send(first)
        yield connections


@contextmanager
def trickling(connections: list[Connection]) -> Iterator[None]:
    """Send one byte per second on each connection, from a thread."""
    ended = threading.Event()

    def trickle() -> None:
        while not ended.is_set():
            for connection in connections:
                try:
                    connection.socket.send(b"a", socket.MSG_DONTWAIT)
                except OSError:
                    continue
            ended.wait(1)

    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


ATTACKER = r"""
import resource, selectors, socket, struct, sys
host, port, connections, target, requests, way = sys.argv[1:]
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
last = b"Connection: close\r\n" if way == "reopen" else b""
request = b"GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n" % (target.encode(), last)
selector = selectors.DefaultSelector()
def new():
    sock = socket.socket()
    if way == "ignore":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304)
    if way == "reopen":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # keeps no port in TIME_WAIT
    sock.setblocking(False)
    sock.connect_ex((host, int(port)))
    selector.register(sock, selectors.EVENT_WRITE | (selectors.EVENT_READ if way == "read" else 0))
for _ in range(int(connections)):
    new()
print("sending", flush=True)
while True:
    for key, events in selector.select():
        try:
            if events & selectors.EVENT_READ and not key.fileobj.recv(1_000_000):
                raise ConnectionResetError
            if events & selectors.EVENT_WRITE:
                key.fileobj.send(request * int(requests))
                if way == "reopen":
                    selector.modify(key.fileobj, selectors.EVENT_READ)
        except BlockingIOError:
            continue
        except OSError:
            selector.unregister(key.fileobj)
            key.fileobj.close()
            new()
"""


@contextmanager
def pipelining(
    base: str, connections: int, *, target: str = "/credentials", requests: int = 4_000, reads: bool = True
) -> Iterator[None]:
    """
    Send pipelined requests without end on so many connections, and reopen closed ones. Runs as a process.

    `requests`: how many are in one segment; up to 15 of them do not end the connection. Without `reads` no response is
    read, and the client's own buffer is as small as the kernel permits.
    """
    with _attacking(base, connections, target, requests, "read" if reads else "ignore"):
        yield


@contextmanager
def reopening(base: str, connections: int, target: str = "/credentials") -> Iterator[None]:
    """Run a process that keeps this many connections open. Each ends after one request, and a new one follows."""
    with _attacking(base, connections, target, 1, "reopen"):
        yield


@contextmanager
def _attacking(base: str, connections: int, target: str, requests: int, way: str) -> Iterator[None]:
    """
    Run an attacker. The block begins when the attack has begun, and the attacker ends with the block.

    `way`: "read" and "ignore" the responses, or "reopen" a connection after each of them.
    """
    host, _, port = base.removeprefix("http://").partition(":")
    arguments = (host, port, str(connections), target, str(requests), way)
    with subprocess.Popen([sys.executable, "-c", ATTACKER, *arguments], stdout=subprocess.PIPE) as attacker:
        assert attacker.stdout is not None
        attacker.stdout.readline()
        try:
            yield
        finally:
            attacker.kill()


def socket_bytes(*bases: str) -> int:
    """Return the memory of all sockets at the listeners' ports, which a cgroup of version 2 counts as `sock`."""
    return sum(socket_sizes(*bases))


def socket_sizes(*bases: str) -> list[int]:
    """
    Return the memory of each socket at the listeners' ports, as `ss` reports it: received, unsent and reserved bytes.

    Closed sockets whose data the kernel still holds are included.
    """
    sizes = []
    for port in {base.rpartition(":")[2] for base in bases}:
        command = ["ss", "-tamnH", f"sport = :{port}"]
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        sizes += [sum(map(int, found)) for found in SOCKET_MEMORY.findall(listed)]
    return sizes


SOCKET_MEMORY = re.compile(r"skmem:\(r(\d+),rb\d+,t\d+,tb\d+,f(\d+),w(\d+)")


@contextmanager
def flood(base: str, raw: bytes, connections: int) -> Iterator[list[int]]:
    """
    Send `raw` on so many connections, each time after the response to the request before it.

    Yields a list whose one item is the number of responses.
    """
    ended = threading.Event()
    responses = [0]

    def run() -> None:
        with ExitStack() as stack:
            opened = {}
            for _ in range(connections):
                connection = stack.enter_context(Connection(base))
                connection.send(raw)
                opened[connection.socket.fileno()] = connection
            while not ended.is_set():
                for descriptor in select.select(list(opened), [], [], 0.1)[0]:
                    responses[0] += 1
                    if not _sent_again(opened[descriptor], raw):
                        opened.pop(descriptor).socket.close()
                        connection = stack.enter_context(Connection(base))
                        connection.send(raw)
                        opened[connection.socket.fileno()] = connection

    thread = threading.Thread(target=run)
    thread.start()
    try:
        wait_until(lambda: responses[0] > connections)
        yield responses
    finally:
        ended.set()
        thread.join()


def _sent_again(connection: Connection, raw: bytes) -> bool:
    """Read the available data and send `raw` once more. Return False if the connection is closed."""
    try:
        if not connection.socket.recv(262_144):
            return False
        connection.send(raw)
    except OSError:
        return False
    return True
