"""One listener on a real socket: it answers from start until stop."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.serve.listener import ACCEPTED_SHARE, FEWEST_QUEUED, Listener, queue_length
from app.serve.memo import Decision
from app.serve.peers.peer import UNKNOWN_PEER, Peer
from app.serve.request import Request
from app.serve.responses import STOPPING, Response, document
from app.serve.turns import Turns

from ..descriptors import opened
from ..ports import unused_port
from ..simulated_loop import simulated

GET = b"GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n"
HELLO = document(200, "hello")

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def hello(_request: Request) -> Response:
    """Answer every request."""
    return HELLO


def make(sock: socket.socket, handle: Callable[[Request], Any] = hello, **options: Any) -> Listener:
    """Return a listener for 16 connections, if `options` do not say otherwise."""
    return Listener(sock, handle, Turns(), **{"peer_of": lambda _: UNKNOWN_PEER, "max_connections": 16, **options})


@pytest.fixture(params=["tcp", "unix"])
def sock(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[socket.socket]:
    """A bound socket."""
    if request.param == "unix":
        found = socket.socket(socket.AF_UNIX)
        found.bind(str(tmp_path / "socket"))
    else:
        found = socket.socket()
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(("127.0.0.1", unused_port()))
    found.setblocking(False)
    yield found
    found.close()


async def connect(sock: socket.socket) -> Streams:
    """Connect to a listener's socket."""
    if sock.family == socket.AF_UNIX:
        return await asyncio.open_unix_connection(sock.getsockname())
    return await asyncio.open_connection(*sock.getsockname())


async def fetched(streams: Streams) -> bytes:
    """Return the bytes of one answer."""
    reader, writer = streams
    writer.write(GET)
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line[16:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length: "))
    return head + await reader.readexactly(length)


def closed(*connections: Streams) -> None:
    """Close the clients' ends."""
    for _, writer in connections:
        writer.close()


def held(inode: int) -> bool:
    """Return whether this process holds the socket with this inode."""
    return opened(f"socket:[{inode}]") != []


async def test_answers_until_stop(sock: socket.socket) -> None:
    """A listener answers; `stop` closes idle connections and the socket."""
    listener = make(sock)
    await listener.start()
    client = await connect(sock)
    async with asyncio.timeout(60):
        assert [await fetched(client), await fetched(client)] == [HELLO.wire] * 2
        assert held(inode := os.fstat(sock.fileno()).st_ino)
        await listener.stop()
        assert await client[0].read() == b""
    closed(client)

    assert not held(inode)  # a connection would be refused, but another program may have the port already


async def test_number_of_connections_is_limited(sock: socket.socket) -> None:
    """One connection above the maximum closes the one that is idle for longest."""
    listener = make(sock, max_connections=2)
    await listener.start()
    clients = [await connect(sock) for _ in range(3)]
    async with asyncio.timeout(60):
        assert await fetched(clients[2]) == HELLO.wire
        assert await clients[0][0].read() == b""
        assert await fetched(clients[1]) == HELLO.wire
        await listener.stop()
    closed(*clients)


async def test_request_has_its_peer(sock: socket.socket) -> None:
    """The peer of a connection is made from its transport, and is part of the request."""
    peer, seen = Peer(lambda: None, None, host="made"), list[object]()  # type: ignore[arg-type]

    def peer_of(transport: asyncio.Transport) -> Peer:
        seen.append(transport.get_extra_info("socket").family)
        return peer

    def handle(request: Request) -> Response:
        seen.append(request)
        return HELLO

    listener = make(sock, handle, peer_of=peer_of)
    await listener.start()
    client = await connect(sock)
    async with asyncio.timeout(60):
        await fetched(client)
        await listener.stop()
    closed(client)

    assert seen == [sock.family, Request(b"GET", b"/a", [(b"host", b"localhost")], peer)]


class Memo:
    """Repeats that remember nothing but that they were asked to."""

    def __init__(self) -> None:
        self.remembered: list[bytes] = []

    def recall(self, _head: bytes, /) -> Decision | None:
        return None

    def repeat(self, _decision: Decision, _peer: Peer, /) -> Response | Coroutine[Any, Any, Response]:
        raise AssertionError

    def remember(self, head: bytes, _request: Request, /, *, keep_alive: bool) -> None:
        assert keep_alive
        self.remembered.append(head)


async def test_answered_requests_are_remembered(sock: socket.socket) -> None:
    """A complete request that was answered is given to `repeats`."""
    memo = Memo()
    listener = make(sock, repeats=memo)
    await listener.start()
    client = await connect(sock)
    async with asyncio.timeout(60):
        assert await fetched(client) == HELLO.wire
        await listener.stop()
    closed(client)

    assert memo.remembered == [GET]


@pytest.mark.parametrize(("takes", "answer", "stops_in"), [(1.5, HELLO, 1.5), (60.0, STOPPING, 2.0)])
def test_stop_waits_for_responses(tmp_path: Path, takes: float, answer: Response, stops_in: float) -> None:
    """`stop` waits for a response under way, and for 2 s at most; then the client gets 503."""

    @simulated
    async def stops() -> None:
        asked = asyncio.Event()

        async def slow(_request: Request) -> Response:
            asked.set()
            await asyncio.sleep(takes)
            return HELLO

        with socket.socket(socket.AF_UNIX) as sock:  # delivers at once, so that no simulated second passes meanwhile
            sock.bind(str(tmp_path / "socket"))
            sock.setblocking(False)
            listener = make(sock, slow)
            await listener.start()
            reader, writer = await connect(sock)
            writer.write(GET)
            await asked.wait()
            began = asyncio.get_running_loop().time()
            await listener.stop()

            assert asyncio.get_running_loop().time() - began == pytest.approx(stops_in)
            assert (await reader.read()).endswith(answer.body)
            closed((reader, writer))

    stops()


async def test_stop_without_start(sock: socket.socket) -> None:
    """A listener that was not started, or could not be, is stopped without an error."""
    await make(sock).stop()
    sock.close()
    listener = make(sock)
    with pytest.raises((OSError, ValueError)):
        await listener.start()

    await listener.stop()


async def test_connections_of_the_backlog(tmp_path: Path) -> None:
    """A busy loop takes a quarter of the permitted connections from the kernel's queue, and serves them."""
    modes = []

    def peer_of(transport: asyncio.Transport) -> Peer:
        modes.append(transport.get_extra_info("socket").gettimeout())
        return UNKNOWN_PEER

    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "socket"))
        sock.setblocking(False)
        listener = make(sock, peer_of=peer_of, max_connections=ACCEPTED_SHARE * FEWEST_QUEUED)
        await listener.start()
        clients = [socket.socket(socket.AF_UNIX) for _ in range(FEWEST_QUEUED + 1)]
        for client in clients:
            client.connect(sock.getsockname())
            client.sendall(GET)
        listener._accept()
        assert len(listener._accepting) == FEWEST_QUEUED
        for client in clients:
            client.setblocking(False)
            async with asyncio.timeout(60):
                assert (await asyncio.get_running_loop().sock_recv(client, 10_000)) == HELLO.wire
            client.close()
        assert (modes, listener._accepting) == ([0.0] * len(clients), set())
        listener._accept()
        assert listener._accepting == set()
        await listener.stop()


@pytest.mark.parametrize(
    ("permitted", "queued"), [(1, 256), (512, 256), (514, 257), (1_000, 500), (4_096, 2_048), (100_000, 2_048)]
)
def test_length_of_the_backlog(permitted: int, queued: int) -> None:
    """Half as many connections wait in the kernel's queue as are permitted, but at least 256 and at most 2,048."""
    assert queue_length(permitted) == queued


async def test_the_kernel_has_this_backlog() -> None:
    """The length of the queue is given to the kernel, which reports it as `tcpi_sacked` of a listening socket."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        listener = make(sock, max_connections=1_000)
        await listener.start()
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 32)
        await listener.stop()

    assert int.from_bytes(info[28:32], sys.byteorder) == 500
