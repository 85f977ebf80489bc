"""The protocol without a socket: errors of a handler, unread responses, hop limits, unix sockets."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from app.core.errors import ConfigError
from app.serve.connection import Context
from app.serve.connection_table import UNREAD_BYTES, ConnectionTable
from app.serve.peers.peer import UNKNOWN_PEER
from app.serve.protocol import BoundedProtocol
from app.serve.request import Request
from app.serve.responses import THROTTLED, Response, response
from app.serve.turns import MOST_PER_TURN, Turns
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
        Context(loop, handle, lambda _transport: UNKNOWN_PEER, ConnectionTable(16, loop), Turns().queue())
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
        b'{"Code":"InternalError","Message":"this server failed to answer; its log says more (IDS-901)"}'
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


async def requests_in_turns(*segments: bytes, transport: RecordingTransport) -> BoundedProtocol:
    """Send the segments on one connection to a listener that answers each request with its target."""
    connection = connection_to(lambda request: response(200, request.target))
    transport.protocol = connection
    connection.connection_made(transport)
    for segment in segments:
        connection.data_received(segment)
    return connection


def head(target: str) -> bytes:
    """Return a GET request."""
    return f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


async def test_one_request_is_answered_per_turn() -> None:
    """Of three pipelined requests the first is answered at once, the others one per turn; nothing is read meanwhile."""
    transport = RecordingTransport()
    connection = await requests_in_turns(head("/1") + head("/2") + head("/3"), transport=transport)
    answered, reading = [transport.written.count(b"HTTP/1.1 200")], [transport.reading]
    for _ in range(2):
        await asyncio.sleep(0)
        answered.append(transport.written.count(b"HTTP/1.1 200"))
        reading.append(transport.reading)

    assert answered == [1, 2, 3]
    assert reading == [False, False, True]
    connection.connection_lost(None)


async def test_unread_response_delays_the_next_request() -> None:
    """A request behind an unread response is answered when the client has read that response."""
    transport = RecordingTransport()
    connection = await requests_in_turns(head("/1"), transport=transport)
    transport.unread = 1_000
    connection.data_received(head("/2"))
    await asyncio.sleep(0)

    assert (transport.written.count(b"HTTP/1.1 200"), transport.reading) == (1, False)
    transport.unread = 0
    connection.resume_writing()
    await asyncio.sleep(0)
    assert (transport.written.count(b"HTTP/1.1 200"), transport.reading) == (2, True)
    connection.connection_lost(None)


async def test_unread_bytes_are_bounded_over_all_connections() -> None:
    """If unread responses exceed the bound of the listener, the connections that are unread for longest are closed."""
    context = connection_to(fail_at_once)._context
    transports = []
    for _ in range(5):
        connection, transport = BoundedProtocol(context), RecordingTransport()
        transport.protocol = connection
        connection.connection_made(transport)
        transport.unread = UNREAD_BYTES // 3
        connection.hold_unread(b"")
        transports.append(transport)

    assert [transport.aborted for transport in transports] == [True, True, True, False, False]


async def test_new_connection_goes_before_busy_ones() -> None:
    """Behind a hundred connections with further requests, the first request of a new connection is answered first."""
    context = connection_to(lambda request: response(200, request.target))._context
    transports = []
    for _ in range(100):
        connection, transport = BoundedProtocol(context), RecordingTransport()
        connection.connection_made(transport)
        connection.data_received(head("/1"))
        connection.data_received(head("/2"))
        connection.queue(head("/3"))
        transports.append(transport)
    new, transport = BoundedProtocol(context), RecordingTransport()
    new.connection_made(transport)
    new.queue(head("/new"))
    order = []
    for item in [*transports, transport]:
        item.write = lambda _, item=item: order.append(item)
    await asyncio.sleep(0)

    assert order[0] is transport


async def test_connection_above_the_rate_is_not_read() -> None:
    """After 429 the connection is not read until `Retry-After` has passed, so that its requests cost nothing."""
    connection = connection_to(lambda _request: THROTTLED)
    transport = RecordingTransport()
    connection.connection_made(transport)
    connection.data_received(head("/1"))

    assert transport.written.startswith(b"HTTP/1.1 429 ")
    assert not transport.reading
    connection.connection_lost(None)


async def test_cancelled_wait_leaves_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    """A client that leaves before its response is begun causes no RuntimeWarning."""
    connection = connection_to(fail_later)
    connection.connection_made(RecordingTransport())
    connection.data_received(head("/1"))
    connection.connection_lost(None)
    await asyncio.sleep(0)
    gc.collect()

    assert not recwarn.list


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET / RTSP/1.0\r\nHost: a\r\n\r\n", 400),
        (b"GET / RTSP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"SOURCE / ICE/1.0\r\nHost: a\r\n\r\n", 400),
        (b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"a" * 9_000 + b"\r\na\r\n0\r\n\r\n", 413),
        (b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b\r\na\r\n0\r\n\r\n", 200),
    ],
    ids=["RTSP/1.0", "RTSP/1.1", "ICE/1.0", "long chunk extension", "short chunk extension"],
)
async def test_other_protocols_and_chunk_extensions(raw: bytes, status: int) -> None:
    """Only HTTP is accepted, and chunk extensions count towards the size of a body."""
    transport = RecordingTransport()
    connection = await requests_in_turns(raw, transport=transport)

    assert transport.written.startswith(b"HTTP/1.1 %d " % status)
    connection.connection_lost(None)


async def test_white_space_after_a_header_value() -> None:
    """White space at the end of a header value is not part of it (RFC 9112, section 5.1)."""
    seen = []
    connection = connection_to(lambda request: seen.append(request.headers) or response(200, b""))
    connection.connection_made(RecordingTransport())
    connection.data_received(b"GET / HTTP/1.1\r\nHost: 127.0.0.1 \t \r\n\r\n")

    assert seen == [[(b"host", b"127.0.0.1")]]
    connection.connection_lost(None)


CLOSE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


class FullTransport(RecordingTransport):
    """A transport whose client leaves every response unread. `limit`: the write buffer limit that was set."""

    limit: int | None = None

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.limit = high

    def write(self, data: bytes | bytearray | memoryview) -> None:
        super().write(data)
        self.unread += len(data)


async def test_last_response_that_is_not_read() -> None:
    """
    The eighth last response is checked: where it is unread the connection stays, with a limit, until it is read.

    From then on every last response is checked.
    """
    context = connection_to(lambda _: response(200, b""))._context
    ends = []
    for _ in range(9):
        connection, transport = BoundedProtocol(context), FullTransport()
        connection.connection_made(transport)
        connection.data_received(CLOSE)
        ends.append((transport.ended, transport.closing, transport.limit))
        assert transport.written.startswith(b"HTTP/1.1 200 ")

    assert ends == [(False, True, None)] * 7 + [(True, False, 0)] * 2


async def test_last_response_that_is_read() -> None:
    """A connection whose last response was taken by the kernel is closed, whether it was checked or not."""
    context = connection_to(lambda _: response(200, b""))._context
    ends = []
    for _ in range(9):
        connection, transport = BoundedProtocol(context), RecordingTransport()
        connection.connection_made(transport)
        connection.data_received(CLOSE)
        ends.append((transport.ended, transport.closing))

    assert ends == [(False, True)] * 9


async def test_end_of_too_many_pipelined_requests() -> None:
    """The 16th request without a pause ends the sending side; the rest is read and dropped for a second."""
    transport = RecordingTransport()
    connection = await requests_in_turns(head("/") * 17, transport=transport)
    for _ in range(20):
        await asyncio.sleep(0)

    assert transport.written.count(b"HTTP/1.1 200") == 16
    assert (transport.ended, transport.closing) == (True, False)
    assert connection.deadline - asyncio.get_running_loop().time() <= 1
    connection.connection_lost(None)


async def test_request_in_a_busy_turn_waits() -> None:
    """A request in a turn that has answered its share waits for the next turn, and nothing is read meanwhile."""
    transport = RecordingTransport()
    connection = await requests_in_turns(transport=transport)
    connection._context.queue._turns.count = 2 * MOST_PER_TURN
    connection.data_received(head("/"))
    assert (transport.written, transport.reading) == (b"", False)
    await asyncio.sleep(0)

    assert transport.written.startswith(b"HTTP/1.1 200 ")
    assert transport.reading
    connection.connection_lost(None)


async def test_bytes_that_a_paused_transport_delivers() -> None:
    """Bytes that arrive although the connection is not read are kept in their order, and answered in later turns."""
    transport = RecordingTransport()
    connection = await requests_in_turns(transport=transport)
    connection.queue(head("/1")[:10])
    connection.data_received(head("/1")[10:] + head("/2")[:5])
    connection.data_received(head("/2")[5:])
    assert transport.written == b""
    for _ in range(3):
        await asyncio.sleep(0)

    assert [line[-2:] for line in transport.written.split(b"HTTP/1.1 200")[1:]] == [b"/1", b"/2"]
    connection.connection_lost(None)


async def test_bytes_behind_a_response_that_is_owed_are_dropped_slowly() -> None:
    """What arrives while a response is owed is dropped, at one piece in a turn."""
    transport = RecordingTransport()
    connection = connection_to(lambda _: asyncio.sleep(60, response(200, b"")))
    connection.connection_made(transport)
    connection.data_received(head("/1"))
    connection.data_received(head("/2"))
    assert not transport.reading
    await asyncio.sleep(0)

    assert (transport.reading, transport.written) == (True, b"")
    connection.connection_lost(None)


async def test_cancelled_response_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    """A client that leaves while its response is made causes no log line."""
    connection = connection_to(lambda _: asyncio.sleep(60, response(200, b"")))
    connection.connection_made(RecordingTransport())
    connection.data_received(head("/1"))
    await asyncio.sleep(0)
    connection.connection_lost(None)
    for _ in range(3):
        await asyncio.sleep(0)

    assert caplog.records == []
