"""The protocol without a socket: what a bug of ours does to a connection."""

from __future__ import annotations

import asyncio
import logging

import pytest
import uvicorn
from uvicorn.server import ServerState

from app.guard import Request
from app.listener import Connection, Connections
from app.replies import Reply


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.closing = True

    def is_closing(self) -> bool:
        return self.closing


def broken(_: Request) -> Reply | None:
    raise RuntimeError("a bug")


async def test_a_bug_answers_500_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """When the lane itself fails, the client gets 500 and no other byte, and the log has the exception."""

    async def app(scope: object, receive: object, send: object) -> None: ...

    config = uvicorn.Config(app, interface="asgi3", lifespan="off", ws="none", log_config=None)
    config.load()
    connection = Connection(config, ServerState(), {}, lane=broken, siblings=Connections(16))
    wire = Wire()
    connection.connection_made(wire)
    with caplog.at_level(logging.ERROR):
        connection.data_received(b"GET /credentials HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")

    assert wire.written.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert wire.written.endswith(
        b'{"Code":"InternalError","Message":"this server failed to answer; its log says more"}'
    )
    assert wire.closing
    assert caplog.records[0].exc_info
    connection.connection_lost(None)
