"""The protocol without a socket: what a bug of ours does to a connection, and what is kept of a request for a page."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from app.core.errors import ConfigError
from app.serve.connection_table import ConnectionTable
from app.serve.peers.peer import UNKNOWN_PEER
from app.serve.protocol import BoundedProtocol, Context
from app.serve.request import Request
from app.serve.responses import Response
from app.system.sockets import bound, bound_unix


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closing = False
        self.ended = False
        self.aborted = False
        self.unread = 0

    def get_write_buffer_size(self) -> int:
        return self.unread

    def abort(self) -> None:
        self.aborted = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.closing = True

    def write_eof(self) -> None:
        self.ended = True

    def is_closing(self) -> bool:
        return self.closing


def at_once(_: Request) -> Response:
    raise RuntimeError("a bug")


async def _later() -> Response:
    raise RuntimeError("a bug")


def later(_: Request) -> Coroutine[Any, Any, Response]:
    return _later()


def connection_to(handle: Callable[[Request], Any]) -> BoundedProtocol:
    """Return a connection to a listener with this handler."""
    loop = asyncio.get_running_loop()
    return BoundedProtocol(Context(loop, handle, lambda _transport: UNKNOWN_PEER, ConnectionTable(16, loop)))


@pytest.mark.parametrize("lane", [at_once, later])
async def test_a_bug_answers_500_and_is_logged(
    lane: Callable[[Request], Any], caplog: pytest.LogCaptureFixture
) -> None:
    """When answering itself fails, the client gets 500 and no other byte, and the log has the exception."""
    connection = connection_to(lane)
    wire = Wire()
    connection.connection_made(wire)
    with caplog.at_level(logging.ERROR):
        connection.data_received(b"GET /credentials HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        if connection.task is not None:
            await connection.task

    assert wire.written.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert wire.written.endswith(
        b'{"Code":"InternalError","Message":"this server failed to answer; its log says more"}'
    )
    assert wire.closing or wire.ended
    assert caplog.records[0].exc_info
    connection.connection_lost(None)


@pytest.mark.parametrize(("unread", "aborted"), [(0, False), (100, True)])
async def test_who_does_not_read_cannot_put_off_the_end(unread: int, aborted: bool) -> None:
    """An idle connection is closed; one whose client leaves answers unread is cut, since a close would wait for it."""
    connection = connection_to(at_once)
    wire = Wire()
    connection.connection_made(wire)
    wire.unread = unread
    connection.expire()

    assert (wire.aborted, wire.closing) == (aborted, not aborted)
    connection.connection_lost(None)


@pytest.mark.parametrize(
    ("address", "level", "option"),
    [
        ("127.0.0.1:0", socket.IPPROTO_IP, socket.IP_TTL),
        ("[::1]:0", socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS),
    ],
)
def test_answers_die_at_the_first_router(address: str, level: int, option: int) -> None:
    """An accepted connection has the listener's hop limit of 1, on IPv4 and IPv6."""
    listening = bound(address, "server.bind", hop_limit=1)
    with listening, socket.create_connection(listening.getsockname()[:2]):
        listening.setblocking(True)
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(level, option) == 1


def test_nor_do_answers_to_ipv4_from_all_addresses() -> None:
    """An IPv6 socket that is bound to all addresses has IPv4 clients, and the same limit for them."""
    listening = bound("[::]:0", "server.bind", hop_limit=1)
    with listening, socket.create_connection(("127.0.0.1", listening.getsockname()[1])):
        listening.setblocking(True)
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_IP, socket.IP_TTL) == 1


def test_a_socket_whose_owner_takes_nobody_in(tmp_path: Path) -> None:
    """Somebody else's unix socket with a full backlog is in use; looking whether it is does not wait."""
    path = str(tmp_path / "admin.sock")
    with socket.socket(socket.AF_UNIX) as other, socket.socket(socket.AF_UNIX) as waiting:
        other.bind(path)
        other.listen(0)
        waiting.connect(path)

        with pytest.raises(ConfigError, match="it is in use"):
            bound_unix(path, "server.adminSocket")
