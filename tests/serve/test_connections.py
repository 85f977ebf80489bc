"""Connections to a listener on a unix socket, in simulated time: what a client receives, and when."""

from __future__ import annotations

import asyncio
import gc
import re
from pathlib import Path

import pytest

from app.serve.request import Request
from app.serve.request_reader import RequestReader
from app.serve.responses import INTERNAL_ERROR, REQUEST_TIMEOUT, STOPPING, TOO_MANY_WAITING, Response, document

from ..simulated_loop import simulated
from .simulated_clients import (
    CLOSE,
    CONTINUE,
    ENDS,
    FAILURE,
    GET,
    OK,
    OTHER,
    PEER,
    POST,
    STAYS,
    RecordedRepeats,
    after,
    fail,
    listening,
)

LARGE = document(200, "a" * 4_000_000)


# --- requests and responses -------------------------------------------------------------------------------------------


@simulated
async def test_requests_on_one_connection(tmp_path: Path) -> None:
    """A connection stays open for further requests; the peer is looked up at the first one, once."""
    async with listening(tmp_path, lambda _request: OK) as place:
        client = await place.connect()
        assert place.asked_for_peer == []
        for _ in range(2):
            client.send(b"GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n")
            await client.receive(STAYS)

        assert place.requests == [Request(b"GET", b"/a?b", [(b"host", b"x")], PEER)] * 2
        assert len(place.asked_for_peer) == 1


@pytest.mark.parametrize(("sent", "received"), [(CLOSE, ENDS), (GET.replace(b"1.1", b"1.0"), ENDS)])
@simulated
async def test_last_request(tmp_path: Path, sent: bytes, received: bytes) -> None:
    """Where the client does not keep the connection, the response says so and the connection ends."""
    async with listening(tmp_path, lambda _request: OK) as place:
        client = await place.connect()
        client.send(sent + GET)

        assert await client.rest() == received
        assert client.seconds == 0
        assert len(place.requests) == 1


@simulated
async def test_pipelined_requests(tmp_path: Path) -> None:
    """Two requests in one segment get two responses in their order."""
    outcomes = iter((OK, OTHER))
    async with listening(tmp_path, lambda _request: next(outcomes)) as place:
        client = await place.connect()
        client.send(GET + GET)

        await client.receive(STAYS + OTHER.bytes_for(b"GET", keep_alive=True))


@pytest.mark.parametrize("known", [False, True])
@simulated
async def test_pipelined_requests_are_limited(tmp_path: Path, known: bool) -> None:
    """The 16th request that a client sends without a pause is its last; after a pause, counting starts from zero."""
    repeats = RecordedRepeats()
    if known:
        repeats.know(GET)
    async with listening(tmp_path, lambda _request: OK, repeats=repeats) as place:
        steady, hasty = await place.connect(), await place.connect()
        for _ in range(2):
            steady.send(GET * 15)
            await steady.receive(STAYS * 15)
        hasty.send(GET * 17)

        assert await hasty.rest() == STAYS * 15 + ENDS


@simulated
async def test_head_has_no_body(tmp_path: Path) -> None:
    """The response to HEAD has the length of the body without the body."""
    async with listening(tmp_path, lambda _request: OK) as place:
        client = await place.connect()
        client.send(GET.replace(b"GET", b"HEAD") + CLOSE)

        assert await client.rest() == OK.bytes_for(b"HEAD", keep_alive=True) + ENDS


@simulated
async def test_body_is_awaited(tmp_path: Path) -> None:
    """A client that expects `100 Continue` gets it before it sends the body; the handler does not see the body."""
    async with listening(tmp_path, lambda _request: OK) as place:
        client = await place.connect()
        client.send(POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
        await client.receive(CONTINUE)
        assert place.requests == []
        client.send(b"body")

        await client.receive(STAYS)


# --- deadlines --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("requested_at", "ends_at"), [(None, 7), (0.4, 7), (3.0, 10)])
@simulated
async def test_idle_connection(tmp_path: Path, requested_at: float | None, ends_at: float) -> None:
    """A connection without a request for 6.5 s is closed at the next check, which is once a second."""
    async with listening(tmp_path, lambda _request: OK) as place:
        client = await place.connect()
        if requested_at is not None:
            await asyncio.sleep(requested_at)
            client.send(GET)
            await client.receive(STAYS)

        assert await client.rest() == b""
        assert client.seconds == pytest.approx(ends_at)


@pytest.mark.parametrize("begun_after", [0.0, 0.3, 0.5, 0.999])
@simulated
async def test_announced_time_ends_before_the_connection(tmp_path: Path, begun_after: float) -> None:
    """A request 6 s after a response is answered, a second later than announced; the close is 6.5 to 7.5 s after it."""
    async with listening(tmp_path, lambda _request: OK) as place:
        client = await place.connect()
        await asyncio.sleep(begun_after)
        for _ in range(3):
            client.send(GET)
            await client.receive(STAYS)
            await asyncio.sleep(announced_seconds(STAYS) + 1)
        since = client.seconds
        client.send(GET)
        await client.receive(STAYS)

        assert await client.rest() == b""
        assert 6.5 <= client.seconds - since <= 7.5
    assert b"Keep-Alive" not in ENDS


def announced_seconds(response: bytes) -> int:
    """Return the seconds of the response's Keep-Alive header."""
    found = re.search(rb"\r\nConnection: keep-alive\r\nKeep-Alive: timeout=(\d+)\r\n", response)
    assert found is not None
    return int(found[1])


@pytest.mark.parametrize("begun_after", [0.0, 2.0])
@simulated
async def test_slow_request(tmp_path: Path, begun_after: float) -> None:
    """A request has 10 s to arrive; a byte now and then does not extend them."""
    async with listening(tmp_path, lambda _request: OK) as place:
        client = await place.connect()
        await asyncio.sleep(begun_after)
        client.send(b"GET /")

        async def trickle() -> None:
            while True:
                await asyncio.sleep(0.7)
                client.send(b"a")

        trickling = asyncio.create_task(trickle())
        assert await client.rest() == REQUEST_TIMEOUT.bytes_for(b"GET", keep_alive=False)
        trickling.cancel()
        assert client.seconds == pytest.approx(begun_after + 10)


@pytest.mark.parametrize("begun_after", [0.0, 2.0])
@simulated
async def test_slow_second_request(tmp_path: Path, begun_after: float) -> None:
    """A later request has 10 s as well, and the next one 6.5 s until it begins."""
    async with listening(tmp_path, lambda _request: OK) as place:
        client = await place.connect()
        client.send(GET)
        await client.receive(STAYS)
        await asyncio.sleep(begun_after)
        client.send(POST)
        await asyncio.sleep(9)
        client.send(b"body")
        await client.receive(STAYS)
        await asyncio.sleep(6.4)
        client.send(GET)

        await client.receive(STAYS)


@simulated
async def test_bytes_that_are_no_request(tmp_path: Path) -> None:
    """A refusal ends the responses at once; what still arrives is dropped for a second, to the next check."""
    async with listening(tmp_path, lambda _request: OK) as place:
        client = await place.connect()
        await asyncio.sleep(0.5)
        client.send(b"GET * HTTP/1.1\r\n\r\n" + GET)
        assert (await client.rest()).startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert client.seconds == 0.5
        client.send(GET)

        assert await client.refused_at() == pytest.approx(2.0, abs=0.11)
        assert place.requests == []


# --- responses that take time -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0.0, 1.0, 60.0])
@simulated
async def test_response_that_takes_time(tmp_path: Path, seconds: float) -> None:
    """A client waits as long as the handler needs, and the connection stays open for 5 s after that."""
    async with listening(tmp_path, lambda _request: after(seconds)) as place:
        client = await place.connect()
        client.send(GET)
        await client.receive(STAYS)
        assert client.seconds == pytest.approx(seconds)
        await asyncio.sleep(6.4)
        client.send(GET)

        await client.receive(STAYS)


@simulated
async def test_request_behind_a_response_that_is_owed(tmp_path: Path) -> None:
    """A client that sends more before its response gets that response as the last one."""
    async with listening(tmp_path, lambda _request: after(1)) as place:
        client = await place.connect()
        client.send(GET)
        await asyncio.sleep(0.5)
        client.send(GET)

        assert await client.rest() == ENDS
        assert client.seconds == 1
        assert len(place.requests) == 1


@pytest.mark.parametrize("first", [GET, POST + b"body"])
@pytest.mark.parametrize("more", [GET, b"\x16\x03\x01", GET[:5]])
@simulated
async def test_pipelined_behind_a_response_that_is_owed(tmp_path: Path, first: bytes, more: bytes) -> None:
    """The same holds for more bytes in the same segment, whatever they are."""
    async with listening(tmp_path, lambda _request: after(1)) as place:
        client = await place.connect()
        client.send(first + more)

        assert await client.rest() == ENDS
        assert len(place.requests) == 1


@simulated
async def test_client_that_ends_its_side(tmp_path: Path) -> None:
    """A client that has sent everything gets the response that is owed; without one, the connection ends."""
    async with listening(tmp_path, lambda _request: after(1)) as place:
        waiting, idle = await place.connect(), await place.connect()
        waiting.send(CLOSE)
        await asyncio.sleep(0.5)
        waiting.send_end()
        idle.send_end()

        assert await idle.rest() == b""
        assert idle.seconds == 0.5
        assert await waiting.rest() == ENDS


@simulated
async def test_client_that_goes_away(tmp_path: Path) -> None:
    """The work for a client that is gone is cancelled."""
    cancelled = asyncio.Event()

    async def respond() -> Response:
        try:
            return await after(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with listening(tmp_path, lambda _request: respond()) as place:
        client = await place.connect()
        client.leave_unread()
        client.send(POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n") + b"body")
        await asyncio.sleep(1)
        assert len(place.requests) == 1
        client.close()
        await cancelled.wait()

        assert client.seconds == 1


@simulated
async def test_handler_that_fails_later(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """If a handler raises while the client waits, the client gets 500 and the connection ends."""
    async with listening(tmp_path, lambda _request: fail()) as place:
        client = await place.connect()
        client.send(GET)

        assert await client.rest() == INTERNAL_ERROR.bytes_for(b"GET", keep_alive=False)
    assert [(record.name, record.getMessage()) for record in caplog.records] == [FAILURE]


@simulated
async def test_unread_response(tmp_path: Path) -> None:
    """A client that does not read its response is dropped after 10 s; its further requests are not read."""
    async with listening(tmp_path, lambda _request: LARGE) as place:
        client = await place.connect()
        client.leave_unread()
        client.send(GET)
        await asyncio.sleep(0.1)
        client.send(GET)

        assert await client.refused_at() == pytest.approx(10, abs=0.11)
        assert len(place.requests) == 1


@simulated
async def test_response_that_is_read_late(tmp_path: Path) -> None:
    """A client that reads its response late gets all of it, and may send another request for 5 s."""
    async with listening(tmp_path, lambda _request: LARGE) as place:
        client = await place.connect()
        client.send(GET)
        await asyncio.sleep(9)
        await client.receive(LARGE.bytes_for(b"GET", keep_alive=True))
        await asyncio.sleep(4.5)
        client.send(CLOSE)

        assert await client.rest() == LARGE.bytes_for(b"GET", keep_alive=False)
        assert len(place.requests) == 2


# --- too many connections, and the end --------------------------------------------------------------------------------


@simulated
async def test_too_many_waiting_clients(tmp_path: Path) -> None:
    """Where all connections wait, a new one replaces the one that has waited longest, which gets 429."""
    async with listening(tmp_path, lambda _request: after(10), most=2) as place:
        first, second = await place.connect(), await place.connect()
        for client in (first, second):
            client.send(GET)
            await asyncio.sleep(1)
        await place.connect()

        assert await first.rest() == TOO_MANY_WAITING.bytes_for(b"GET", keep_alive=False)
        assert first.seconds == 2
        await second.receive(STAYS)


@simulated
async def test_idle_connections_make_room(tmp_path: Path) -> None:
    """An idle connection is closed without a response before a client that waits."""
    async with listening(tmp_path, lambda _request: after(3), most=2) as place:
        waiting, idle = await place.connect(), await place.connect()
        waiting.send(GET)
        await asyncio.sleep(1)
        await place.connect()

        assert await idle.rest() == b""
        assert idle.seconds == 1
        await waiting.receive(STAYS)


@simulated
async def test_used_connection_outlives_an_unused_one(tmp_path: Path) -> None:
    """Of idle connections, the one that was unused for longest makes room."""
    async with listening(tmp_path, lambda _request: OK, most=2) as place:
        used, unused = await place.connect(), await place.connect()
        used.send(GET)
        await used.receive(STAYS)
        await asyncio.sleep(1.5)  # a connection is young for a second: its request may be on its way
        await place.connect()
        assert await unused.rest() == b""
        used.send(GET)

        await used.receive(STAYS)


@simulated
async def test_closed_connections_make_room(tmp_path: Path) -> None:
    """A connection that its client has closed does not count."""
    async with listening(tmp_path, lambda _request: OK, most=2) as place:
        client, closed = await place.connect(), await place.connect()
        closed.close()
        await asyncio.sleep(0.1)
        await place.connect()
        client.send(GET)

        await client.receive(STAYS)


@simulated
async def test_closed_connections_are_freed(tmp_path: Path) -> None:
    """The memory of a closed connection is freed at once, without the garbage collector."""

    def readers() -> int:
        return sum(type(found) is RequestReader for found in gc.get_objects())

    async with listening(tmp_path, lambda _request: OK) as place:
        gc.collect()
        gc.disable()
        try:
            before, client = readers(), await place.connect()
            client.send(GET)
            await client.receive(STAYS)
            assert readers() == before + 1
            client.close()
            await asyncio.sleep(0.1)
            assert readers() == before
        finally:
            gc.enable()


@pytest.mark.parametrize(("seconds", "received"), [(1.0, STAYS), (60.0, STOPPING.bytes_for(b"GET", keep_alive=False))])
@simulated
async def test_stop(tmp_path: Path, seconds: float, received: bytes) -> None:
    """At the end idle connections are closed; a response under way has 2 s, after which its client gets 503."""
    async with listening(tmp_path, lambda _request: after(seconds)) as place:
        waiting, idle = await place.connect(), await place.connect()
        waiting.send(GET)
        await asyncio.sleep(0.5)
        stopping = asyncio.create_task(place.listener.stop())
        assert await idle.rest() == b""
        assert idle.seconds == 0.5
        await waiting.receive(received)
        await stopping

        assert waiting.seconds == min(seconds, 2.5)
        with pytest.raises((ConnectionError, FileNotFoundError)):  # Python 3.13 and later remove the path
            await place.connect()
