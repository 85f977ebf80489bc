"""The protocol without a socket: errors of a handler, unread responses, hop limits, unix sockets."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from app.core.errors import ConfigError
from app.serve.connection import Context
from app.serve.connection_table import ConnectionTable
from app.serve.peers.peer import UNKNOWN_PEER
from app.serve.protocol import BoundedProtocol
from app.serve.request import Request
from app.serve.responses import Response
from app.serve.turns import Turns
from app.system.sockets import bound, bound_unix

from ..transport import RecordingTransport


def fail_at_once(_: Request) -> Response:
    """Raise in the handler."""
    raise RuntimeError("a bug")


async def _fail() -> Response:
    raise RuntimeError("a bug")


def fail_later(_: Request) -> Coroutine[Any, Any, Response]:
    """Return a coroutine that raises."""
    return _fail()


def connection_to(handle: Callable[[Request], Any]) -> BoundedProtocol:
    """Return a connection to a listener with this handler."""
    loop = asyncio.get_running_loop()
    return BoundedProtocol(
        Context(loop, handle, lambda _transport: UNKNOWN_PEER, ConnectionTable(16, loop), Turns().lane())
    )


@pytest.mark.parametrize("handle", [fail_at_once, fail_later])
async def test_error_in_a_handler_gives_500(handle: Callable[[Request], Any], caplog: pytest.LogCaptureFixture) -> None:
    """If a handler raises, the client gets 500 and no other byte, and the exception is logged."""
    connection = connection_to(handle)
    transport = RecordingTransport()
    connection.connection_made(transport)
    with caplog.at_level(logging.ERROR):
        connection.data_received(b"GET /credentials HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        if connection.task is not None:
            await asyncio.wait([connection.task])

    assert transport.written.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert transport.written.endswith(
        b'{"Code":"InternalError","Message":"this server failed to answer; its log says more"}'
    )
    assert transport.closing or transport.ended
    assert caplog.records[0].exc_info
    connection.connection_lost(None)


@pytest.mark.parametrize(("unread", "aborted"), [(0, False), (100, True)])
async def test_expired_connection(unread: int, aborted: bool) -> None:
    """An idle connection is closed; one with unread responses is aborted, since a close would wait for the client."""
    connection = connection_to(fail_at_once)
    transport = RecordingTransport()
    connection.connection_made(transport)
    transport.unread = unread
    connection.expire()

    assert (transport.aborted, transport.closing) == (aborted, True)
    connection.connection_lost(None)


@pytest.mark.parametrize(
    ("address", "level", "option"),
    [
        ("127.0.0.1:0", socket.IPPROTO_IP, socket.IP_TTL),
        ("[::1]:0", socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS),
    ],
)
def test_hop_limit_of_accepted_connections(address: str, level: int, option: int) -> None:
    """An accepted connection has the listener's hop limit of 1, on IPv4 and IPv6."""
    listening = bound(address, "server.bind", hop_limit=1)
    with listening, socket.create_connection(listening.getsockname()[:2]):
        listening.setblocking(True)
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(level, option) == 1


def test_hop_limit_for_ipv4_on_an_ipv6_socket() -> None:
    """An IPv6 socket that is bound to all addresses has the same hop limit for IPv4 clients."""
    listening = bound("[::]:0", "server.bind", hop_limit=1)
    with listening, socket.create_connection(("127.0.0.1", listening.getsockname()[1])):
        listening.setblocking(True)
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_IP, socket.IP_TTL) == 1


def test_unix_socket_with_a_full_backlog(tmp_path: Path) -> None:
    """A unix socket of another process with a full backlog counts as in use, and the check does not wait."""
    path = str(tmp_path / "admin.sock")
    with socket.socket(socket.AF_UNIX) as other, socket.socket(socket.AF_UNIX) as waiting:
        other.bind(path)
        other.listen(0)
        waiting.connect(path)

        with pytest.raises(ConfigError, match="it is in use"):
            bound_unix(path, "server.adminSocket")
