"""A listener on a unix socket and its clients, in simulated time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from app.serve.handlers.outcome import Grant
from app.serve.listener import Listener
from app.serve.memo import Decision
from app.serve.peers.peer import Peer, no_process
from app.serve.request import Request
from app.serve.responses import Response, document
from app.serve.turns import Turns
from app.system.sockets import bound_unix

GET = b"GET /a HTTP/1.1\r\n\r\n"
CLOSE = b"GET /a HTTP/1.1\r\nConnection: close\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nContent-Length: 4\r\n\r\n"
OK = document(200, {"answer": "one"})
OTHER = document(200, {"answer": "two"})
STAYS = OK.bytes_for(b"GET", keep_alive=True)
ENDS = OK.bytes_for(b"GET", keep_alive=False)
FAILURE = ("idaas_sidecar.protocol", "answering a request failed")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
Outcome = Response | Coroutine[Any, Any, Response]
PEER = Peer(lambda: None, no_process)


async def after(seconds: float, response: Response = OK) -> Response:
    """Return the response after some seconds."""
    await asyncio.sleep(seconds)
    return response


async def fail() -> Response:
    """Raise after a second."""
    await asyncio.sleep(1)
    raise RuntimeError


class Client:
    """A connection to the listener."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.opened = asyncio.get_running_loop().time()

    @property
    def seconds(self) -> float:
        """The time since the connection was opened."""
        return asyncio.get_running_loop().time() - self.opened

    def send(self, data: bytes) -> None:
        """Send without waiting."""
        self._writer.write(data)

    def send_end(self) -> None:
        """End the sending side."""
        self._writer.write_eof()

    async def receive(self, expected: bytes) -> None:
        """Receive exactly these bytes."""
        assert await self._reader.readexactly(len(expected)) == expected

    async def rest(self) -> bytes:
        """Receive until the connection ends."""
        return await self._reader.read()

    async def refused_at(self) -> float:
        """Send a byte a tenth of a second; return when the listener takes no more."""
        while True:
            try:
                self._writer.write(b"x")
                await self._writer.drain()
            except ConnectionError:
                return self.seconds
            await asyncio.sleep(0.1)

    def leave_unread(self) -> None:
        """Receive nothing more."""
        cast(asyncio.Transport, self._writer.transport).pause_reading()

    def close(self) -> None:
        """Close at once. Where something was left unread, the listener sees a reset."""
        self._writer.transport.abort()


@dataclass
class Place:
    """A running listener."""

    path: Path
    listener: Listener
    requests: list[Request]
    asked_for_peer: list[asyncio.Transport]
    clients: list[Client] = field(default_factory=list)

    async def connect(self) -> Client:
        """Open a connection, and wait until the listener has it."""
        client = Client(*await asyncio.open_unix_connection(self.path))
        await asyncio.sleep(0)
        self.clients.append(client)
        return client


@asynccontextmanager
async def listening(
    directory: Path, handle: Callable[[Request], Outcome], *, most: int = 16, repeats: Any = None
) -> AsyncIterator[Place]:
    """Run a listener whose requests get the outcome of `handle`."""
    path = directory / "listener"
    requests: list[Request] = []
    asked: list[asyncio.Transport] = []

    def recorded(request: Request) -> Outcome:
        requests.append(request)
        return handle(request)

    def peer_of(transport: asyncio.Transport) -> Peer:
        asked.append(transport)
        return PEER

    sock = bound_unix(str(path), "test")
    listener = Listener(sock, recorded, Turns(), peer_of=peer_of, max_connections=most, repeats=repeats)
    await listener.start()
    place = Place(path, listener, requests, asked)
    try:
        yield place
    finally:
        for client in place.clients:
            client.close()
        await listener.stop()


class RecordedRepeats:
    """Repeats that the test sets: what is recalled, and the outcome of its repetition."""

    def __init__(self) -> None:
        self.decisions: dict[bytes, Decision] = {}
        self.outcome: Callable[[], Outcome] = lambda: OK
        self.asked: list[bytes] = []
        self.repeated: list[Peer] = []
        self.remembered: list[tuple[bytes, Request, bool]] = []

    def know(self, head: bytes, *, keep_alive: bool = True, method: bytes = b"GET") -> None:
        """Let a head have a decision."""
        self.decisions[head] = Decision(cast(Grant, None), keep_alive, Request(method, b"/a", []))

    def recall(self, head: bytes) -> Decision | None:
        """Return the decision."""
        self.asked.append(head)
        return self.decisions.get(head)

    def repeat(self, decision: Decision, peer: Peer) -> Outcome:
        """Return the outcome."""
        self.repeated.append(peer)
        return self.outcome()

    def remember(self, head: bytes, request: Request, *, keep_alive: bool) -> None:
        """Record."""
        self.remembered.append((head, request, keep_alive))
