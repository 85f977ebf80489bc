"""One connection between its requests: when it is read, what it keeps, and how it ends."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app.serve.connection import LINGER_SECONDS, REQUEST_SECONDS, Connection, Context
from app.serve.connection_table import IDLE_SECONDS, KEPT_BYTES, UNREAD_SHARE, ConnectionTable
from app.serve.peers.peer import UNKNOWN_PEER
from app.serve.responses import STOPPING, document
from app.serve.turns import Turns
from app.system.sockets import bound

from ..simulated_loop import simulated
from ..transport import RecordingTransport

OK = document(200, "ok")


class Transport(RecordingTransport):
    """Also records how often reading was paused and resumed, and which write buffer limits were set."""

    def __init__(self, extra: dict[str, Any] | None = None) -> None:
        super().__init__(extra)
        self.calls = list[str]()

    def pause_reading(self) -> None:
        super().pause_reading()
        self.calls.append("pause")

    def resume_reading(self) -> None:
        super().resume_reading()
        self.calls.append("resume")


class Plain(Connection):
    """A connection that records what it would answer."""

    transport: Transport

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.advanced = list[bytes]()

    def advance(self, data: bytes) -> None:
        self.advanced.append(data)

    @property
    def table(self) -> ConnectionTable:
        """The table of its listener."""
        return self._context.table


def context() -> Context:
    """Return a listener's context."""
    loop = asyncio.get_running_loop()
    return Context(loop, lambda _: OK, lambda _: UNKNOWN_PEER, ConnectionTable(16, loop), Turns().queue())


def made(shared: Context | None = None, *, extra: dict[str, Any] | None = None) -> Plain:
    """Return a connection with a transport."""
    connection, transport = Plain(shared or context()), Transport(extra)
    transport.protocol = connection
    connection.connection_made(transport)
    return connection


def seconds_left(connection: Connection) -> float:
    """Return the seconds until the connection's deadline."""
    return connection.deadline - asyncio.get_running_loop().time()


async def turn() -> None:
    """Let the loop do one more turn."""
    await asyncio.sleep(0)


def leave_unread(connection: Plain, size: int = 1) -> None:
    """Let the client leave so many bytes of its response unread."""
    connection.transport.unread = size
    connection.transport.set_write_buffer_limits(0)


def read_all(connection: Plain) -> None:
    """Let the client read its response."""
    connection.transport.unread = 0
    connection.resume_writing()


# --- what it keeps ----------------------------------------------------------------------------------------------------


@simulated
async def test_new_connection() -> None:
    """A new connection is read, owes nothing and has the idle time until its first byte."""
    connection = made()

    assert (connection.busy, connection.answered, connection.owes, connection.closed) == (False,) * 4
    assert not connection.closed_to_requests
    assert (len(connection.table), connection.transport.calls) == (1, [])
    assert seconds_left(connection) == IDLE_SECONDS
    with pytest.raises(NotImplementedError):
        Connection(context()).advance(b"")


@simulated
async def test_kept_bytes_are_counted_over_all_connections() -> None:
    """The table has the sum of what connections keep; later bytes replace earlier ones, and a lost one keeps none."""
    first = made()
    second = made(first._context)
    first.keep(b"12345")
    second.keep(b"123")
    assert first.table.kept_bytes == 8
    first.keep(b"1")
    assert (first.table.kept_bytes, first.owes, second.owes) == (4, True, True)

    second.connection_lost(None)
    assert (first.table.kept_bytes, len(first.table)) == (1, 1)
    first.keep(b"")
    assert (first.table.kept_bytes, first.owes) == (0, False)


@simulated
async def test_lost_connection_ends_its_task() -> None:
    """The response that is being made for a client is cancelled when the client has gone."""
    connection = made()
    connection.task = asyncio.create_task(asyncio.sleep(1, OK))
    connection.connection_lost(None)
    await turn()

    assert connection.task.cancelled()


@simulated
async def test_lost_connection_leaves_the_queue() -> None:
    """A connection that is lost while it waits for its turn is not held until then."""
    shared = context()
    connection = made(shared)
    connection.queue(b"request")
    assert len(shared.queue) == 1
    connection.connection_lost(None)

    assert len(shared.queue) == 0
    assert shared.table.kept_bytes == 0


# --- when it is read --------------------------------------------------------------------------------------------------


@simulated
async def test_queued_request() -> None:
    """A queued request is answered in a later turn. Until then nothing is read, and it has the time of a request."""
    connection = made()
    connection.queue(b"request")

    assert (connection.transport.reading, connection.advanced, connection.owes) == (False, [], True)
    assert seconds_left(connection) == REQUEST_SECONDS
    await turn()
    assert (connection.transport.calls, connection.advanced, connection.owes) == (
        ["pause", "resume"],
        [b"request"],
        False,
    )
    assert connection.table.kept_bytes == 0


@simulated
async def test_queueing_does_not_shorten_the_deadline() -> None:
    """The deadline of a connection that waits for a turn is the later one."""
    connection = made()
    connection.deadline += 100
    connection.queue(b"request")

    assert seconds_left(connection) == IDLE_SECONDS + 100


@pytest.mark.parametrize(("answered", "kept", "ends"), [(True, 1, True), (True, 0, False), (False, 1, False)])
def test_requests_beyond_the_memory_for_waiting_ones(answered: bool, kept: int, ends: bool) -> None:
    """Above KEPT_BYTES a connection that had a response ends; a first request always waits."""

    @simulated
    async def test() -> None:
        connection = made()
        connection.table.kept_bytes = KEPT_BYTES + kept
        connection.answered = answered
        connection.queue(b"request")

        assert (connection.transport.ended, connection.closed_to_requests, connection.owes) == (ends, ends, not ends)
        assert seconds_left(connection) == (LINGER_SECONDS if ends else REQUEST_SECONDS)

    test()


@simulated
async def test_skipped_bytes() -> None:
    """A connection whose bytes are dropped is read again in a later turn, and answers nothing."""
    connection = made()
    connection.skip()
    assert not connection.transport.reading
    await turn()

    assert (connection.transport.calls, connection.advanced) == (["pause", "resume"], [])


@simulated
async def test_paused_while_it_is_answered() -> None:
    """A connection that is paused by its own response is not read after its turn."""
    connection = made()
    connection.advance = lambda _: leave_unread(connection)  # type: ignore[method-assign]
    connection.queue(b"request")
    await turn()

    assert not connection.transport.reading


@simulated
async def test_unread_response() -> None:
    """A client that leaves one byte unread is not read for at most REQUEST_SECONDS, and counts in the table."""
    connection = made()
    connection.transport.unread = 1
    connection.hold_unread(b"request")
    assert (connection.transport.reading, seconds_left(connection)) == (False, REQUEST_SECONDS)
    assert connection.table._stalled_bytes == 1 + UNREAD_SHARE
    await asyncio.sleep(1)
    assert connection.advanced == []

    read_all(connection)
    assert (connection.table._stalled_bytes, connection.transport.reading) == (0, False)
    await turn()
    assert (connection.advanced, connection.transport.reading) == ([b"request"], True)


@simulated
async def test_response_that_is_read_restarts_the_idle_time() -> None:
    """A client that has read its response has the idle time for its next request, and is read at once."""
    connection = made()
    leave_unread(connection)
    await asyncio.sleep(3)
    read_all(connection)

    assert (connection.transport.reading, seconds_left(connection)) == (True, IDLE_SECONDS)


@simulated
async def test_turn_of_a_client_that_does_not_read() -> None:
    """A queued request whose connection has an unread response waits for the client to read it."""
    connection = made()
    connection.queue(b"request")
    connection.transport.unread = 1
    await turn()

    assert (connection.advanced, connection.transport.reading) == ([], False)
    read_all(connection)
    await turn()
    assert (connection.advanced, connection.transport.reading) == ([b"request"], True)


def closing(connection: Plain) -> None:
    """Close the connection's transport, as an eviction does."""
    connection.transport.close()


@pytest.mark.parametrize("change", [leave_unread, closing])
def test_turn_of_a_connection_that_is_paused_or_closing(change: Callable[[Plain], None]) -> None:
    """A turn answers nothing where the client does not read, or the connection is being closed."""

    @simulated
    async def test() -> None:
        connection = made()
        connection.queue(b"request")
        change(connection)
        connection.proceed()

        assert (connection.advanced, connection.transport.calls) == ([], ["pause"])
        assert connection.table.kept_bytes == len(b"request")

    test()


@simulated
async def test_reasons_to_pause_are_independent() -> None:
    """A connection is read when the last of its reasons has gone: unread response, turn, rate."""
    connection = made()
    connection.hold(2)
    leave_unread(connection)
    connection.skip()
    await turn()  # its turn has come
    assert connection.transport.calls == ["pause"]
    read_all(connection)
    assert connection.transport.calls == ["pause"]
    leave_unread(connection)
    await asyncio.sleep(2)  # above its rate no more
    assert connection.transport.calls == ["pause"]
    connection.skip()
    read_all(connection)
    assert connection.transport.calls == ["pause"]
    await turn()

    assert connection.transport.calls == ["pause", "resume"]


@simulated
async def test_connection_above_its_rate() -> None:
    """A held connection is read again after its seconds, and then has the idle time."""
    connection = made()
    connection.hold(4)
    assert seconds_left(connection) == 4 + IDLE_SECONDS
    await asyncio.sleep(3.9)
    assert not connection.transport.reading
    await asyncio.sleep(0.2)

    assert connection.transport.reading


@pytest.mark.parametrize("kept", [b"", b"request"])
def test_closing_connection_is_not_read_again(kept: bytes) -> None:
    """A connection that closes while it is held is neither read nor queued."""

    @simulated
    async def test() -> None:
        connection = made()
        connection.hold(1)
        connection.keep(kept)
        connection.transport.close()
        await asyncio.sleep(2)

        assert (connection.transport.calls, connection.advanced) == (["pause"], [])
        assert len(connection._context.queue) == 0

    test()


@simulated
async def test_kept_bytes_of_a_connection_that_owes_its_last_response() -> None:
    """A connection that accepts no more requests is read on, and its kept bytes are not answered."""
    connection = made()
    connection.hold(1)
    connection.keep(b"request")
    connection.busy = True
    await asyncio.sleep(2)

    assert (connection.transport.calls, connection.advanced) == (["pause", "resume"], [])


# --- how it ends ------------------------------------------------------------------------------------------------------


@simulated
async def test_closed() -> None:
    """`closed` and `closed_to_requests` follow the transport."""
    connection = made()
    connection.close()

    assert (connection.closed, connection.closed_to_requests) == (True, True)


@simulated
async def test_finish() -> None:
    """The sending side ends, what was kept is dropped, and what arrives counts no more."""
    connection = made()
    connection.keep(b"request")
    connection.finish()

    assert (connection.transport.ended, connection.transport.closing) == (True, False)
    assert (connection.closed_to_requests, connection.owes, connection.table.kept_bytes) == (True, False, 0)
    assert seconds_left(connection) == REQUEST_SECONDS


@pytest.mark.parametrize(
    ("owes", "unread", "written", "aborted"),
    [
        ("task", 0, True, False),
        ("bytes", 0, True, False),
        ("task", 1, False, True),
        ("", 0, False, False),
        ("", 1, False, True),
    ],
)
def test_giving_up(owes: str, unread: int, written: bool, aborted: bool) -> None:
    """A client that waits and reads gets the reason. One that does not read is dropped with what it has not read."""

    @simulated
    async def test() -> None:
        connection = made()
        if owes == "task":
            connection.busy = True
            connection.task = asyncio.create_task(asyncio.sleep(5, OK))
        elif owes:
            connection.keep(b"request")
        connection.transport.unread = unread
        connection.give_up(STOPPING)

        assert connection.transport.written == (STOPPING.bytes_for(b"GET", keep_alive=False) if written else b"")
        assert (connection.transport.closing, connection.transport.aborted) == (True, aborted)
        if connection.task is not None:
            await turn()
            assert connection.task.cancelled() is written

    test()


@simulated
async def test_giving_up_a_client_that_does_not_read_the_reason() -> None:
    """If the reason cannot be sent at once, the connection is aborted: a close would wait for the client."""
    connection = made()
    connection.keep(b"request")

    def write(_: Any) -> None:
        connection.transport.unread = 1

    connection.transport.write = write  # type: ignore[method-assign]
    connection.give_up(STOPPING)

    assert connection.transport.aborted


@simulated
async def test_giving_up_a_closing_connection() -> None:
    """Nothing is written after a close."""
    connection = made()
    connection.keep(b"request")
    connection.transport.close()
    connection.give_up(STOPPING)

    assert connection.transport.written == b""


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """An accepted connection of a listener, and its client, which reads little."""
    with bound("127.0.0.1:0", "test") as listening, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_304)
        client.connect(listening.getsockname())
        listening.setblocking(True)
        accepted, _ = listening.accept()
        with accepted:
            accepted.setblocking(False)
            yield accepted, client


def fill(sock: socket.socket) -> None:
    """Write until the kernel takes no more."""
    try:
        while True:
            sock.send(b"a" * 1_000)
    except BlockingIOError:
        pass


@pytest.mark.parametrize("filled", [False, True])
def test_response_in_the_kernel(pair: tuple[socket.socket, socket.socket], filled: bool) -> None:
    """A response that the kernel could not send is unread and is dropped by a reset; else the close is plain."""
    ours, client = pair
    if filled:
        fill(ours)

    @simulated
    async def test() -> None:
        connection = made(extra={"socket": ours})
        assert connection.unread() is filled
        assert connection.unread_bytes() == 0
        connection.drop()
        assert (connection.transport.closing, connection.transport.aborted) == (True, filled)

    test()
    ours.close()
    client.settimeout(60)
    if filled:
        with pytest.raises(ConnectionResetError):
            list(iter(lambda: client.recv(100_000), b""))
    else:
        assert client.recv(1) == b""
