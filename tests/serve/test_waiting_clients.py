"""The connection limit while clients wait: who is sent away, and with which answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.serve.connection_table import ConnectionTable
from app.serve.peers.peer import UNKNOWN_PEER
from app.serve.protocol import BoundedProtocol, Context
from app.serve.request import Request
from app.serve.responses import Response, response
from app.serve.turns import Turns

from .test_protocol import RecordingTransport

HEAD = b"GET /credentials HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class ColdStart:
    """A listener with room for 16 connections, whose answers wait until `credentials` is set."""

    def __init__(self) -> None:
        self.credentials = asyncio.Event()
        self.transports: list[RecordingTransport] = []
        self.connections: list[BoundedProtocol] = []
        loop = asyncio.get_running_loop()
        self._context = Context(
            loop, self._answer, lambda _transport: UNKNOWN_PEER, ConnectionTable(16, loop), Turns().queue()
        )

    async def _answer(self, _request: Request) -> Response:
        await self.credentials.wait()
        return response(200, b"{}")

    async def connect(self, sent: bytes) -> None:
        """Open a connection that sends these bytes, and let its answer begin."""
        connection, transport = BoundedProtocol(self._context), RecordingTransport()
        connection.connection_made(transport)
        self.connections.append(connection)
        self.transports.append(transport)
        if sent:
            connection.data_received(sent)
        await asyncio.sleep(0)

    async def answered(self) -> list[int]:
        """Let the credentials arrive; return the status that each connection got, or 0."""
        self.credentials.set()
        await asyncio.gather(*(item.task for item in self.connections if item.task), return_exceptions=True)
        return [int(transport.written[9:12] or 0) for transport in self.transports]


@pytest.fixture
async def start() -> AsyncIterator[ColdStart]:
    """A listener whose credentials have not arrived."""
    found = ColdStart()
    yield found
    for connection in found.connections:
        connection.connection_lost(None)


async def test_longest_waiting_clients_get_429(start: ColdStart) -> None:
    """At the limit the clients that wait for longest get 429 at once and are closed, and the others get 200."""
    for _ in range(20):
        await start.connect(HEAD)
    closed = [transport.closing or transport.ended for transport in start.transports]

    assert closed == [True] * 4 + [False] * 16
    assert await start.answered() == [429] * 4 + [200] * 16
    first = start.transports[0].written.lower()
    assert b"connection: close" in first
    assert b'"code":"throttled"' in first


async def test_idle_connections_are_closed_first(start: ColdStart) -> None:
    """A connection without a request is closed before a client that waits, and gets no answer."""
    for sent in [HEAD] * 8 + [b""] * 8 + [HEAD] * 4:
        await start.connect(sent)

    assert await start.answered() == [200] * 8 + [0] * 8 + [200] * 4
    closed = [transport.closing or transport.ended for transport in start.transports]
    assert closed[8:16] == [True] * 4 + [False] * 4
