"""Clients that try to starve others: idle, slow, flooding and pipelining ones. Shared by test_floods.py and bench/."""

from __future__ import annotations

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
    with ExitStack() as stack:
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


PIPELINES = r"""
import selectors, socket, sys
request = b"GET /credentials HTTP/1.1\r\nHost: localhost\r\n\r\n"
selector = selectors.DefaultSelector()
def new():
    sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
    sock.setblocking(False)
    selector.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE)
for _ in range(int(sys.argv[3])):
    new()
print("sending", flush=True)
while True:
    for key, events in selector.select():
        try:
            if events & selectors.EVENT_READ and not key.fileobj.recv(1_000_000):
                raise ConnectionResetError
            if events & selectors.EVENT_WRITE:
                key.fileobj.send(request * 4000)
        except BlockingIOError:
            continue
        except OSError:
            selector.unregister(key.fileobj)
            key.fileobj.close()
            new()
"""


@contextmanager
def pipelining(base: str, connections: int) -> Iterator[None]:
    """Send pipelined requests without end on so many connections, and reopen closed ones. Runs as a process."""
    host, _, port = base.removeprefix("http://").partition(":")
    with subprocess.Popen(
        [sys.executable, "-c", PIPELINES, host, port, str(connections)], stdout=subprocess.PIPE
    ) as attacker:
        assert attacker.stdout is not None
        attacker.stdout.readline()
        try:
            yield
        finally:
            attacker.kill()


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
