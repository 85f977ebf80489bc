"""Connections to a listener on a unix socket, in simulated time: what a client receives, and when."""

from __future__ import annotations

import asyncio
import gc
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from app.serve.handlers.outcome import Grant
from app.serve.listener import Listener
from app.serve.memo import Decision
from app.serve.peers.peer import Peer, no_process
from app.serve.request import Request
from app.serve.request_reader import RequestReader
from app.serve.responses import (
    INTERNAL_ERROR,
    NOT_FOUND,
    REQUEST_TIMEOUT,
    STOPPING,
    TOO_MANY_WAITING,
    Response,
    document,
)
from app.serve.turns import Turns
from app.system.sockets import bound_unix

from ..simulated_loop import simulated

GET = b"GET /a HTTP/1.1\r\n\r\n"
CLOSE = b"GET /a HTTP/1.1\r\nConnection: close\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nContent-Length: 4\r\n\r\n"
OK = document(200, {"answer": "one"})
OTHER = document(200, {"answer": "two"})
LARGE = document(200, "a" * 4_000_000)

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


# --- repeated requests ------------------------------------------------------------------------------------------------


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


WITH_BODY = b"GET /a HTTP/1.1\r\nContent-Length: %d\r\n\r\n"


@pytest.mark.parametrize(
    ("segments", "response", "expected"),
    [
        ([GET], OK, [(GET, True)]),
        ([CLOSE], OK, [(CLOSE, False)]),
        ([GET, CLOSE], OK, [(GET, True), (CLOSE, False)]),
        ([GET], NOT_FOUND, []),
        ([GET.replace(b"GET", b"PUT")], OK, []),
        ([GET[:9], GET[9:]], OK, []),
        ([b"GET /b HTTP/1.1\r\nX: ", GET], OK, []),
        ([GET + GET], OK, []),
        ([GET + GET[:9], GET[9:]], OK, []),
        ([WITH_BODY % 3 + b"abc"], OK, []),
        ([WITH_BODY % 5 + b"a\r\n\r\n"], OK, []),
        ([WITH_BODY % 2 + b"\r\n"], OK, []),
        ([WITH_BODY % 4 + b"\r\n\r\n"], OK, []),
        ([WITH_BODY % 0], OK, [(WITH_BODY % 0, True)]),
        ([b"GET /a HTTP/1.1\r\nExpect: 100-continue\r\n\r\n"], OK, []),
        ([b"\r\n" + GET], OK, []),
    ],
)
@simulated
async def test_what_is_remembered(
    tmp_path: Path, segments: list[bytes], response: Response, expected: list[tuple[bytes, bool]]
) -> None:
    """A segment is remembered if it is one whole GET without a body that was answered 200 at once."""
    repeats = RecordedRepeats()
    async with listening(tmp_path, lambda _request: response, repeats=repeats) as place:
        client = await place.connect()
        for segment in segments:
            client.send(segment)
            await asyncio.sleep(0.1)

        assert [(head, keep_alive) for head, _, keep_alive in repeats.remembered] == expected
        assert all(request in place.requests for _, request, _ in repeats.remembered)


@simulated
async def test_awaited_response_is_not_remembered(tmp_path: Path) -> None:
    """A response that had to wait is not remembered."""
    repeats = RecordedRepeats()
    async with listening(tmp_path, lambda _request: after(1), repeats=repeats) as place:
        client = await place.connect()
        client.send(GET)
        await client.receive(STAYS)

        assert repeats.remembered == []


@pytest.mark.parametrize(("keep_alive", "method"), [(True, b"GET"), (True, b"HEAD"), (False, b"GET")])
@pytest.mark.parametrize("seconds", [None, 1.0])
@simulated
async def test_repeated_request(tmp_path: Path, keep_alive: bool, method: bytes, seconds: float | None) -> None:
    """A remembered segment gets the outcome of its decision, at once or after a wait, without being parsed."""
    repeats = RecordedRepeats()
    repeats.know(GET, keep_alive=keep_alive, method=method)
    repeats.outcome = lambda: OTHER if seconds is None else after(seconds, OTHER)
    async with listening(tmp_path, lambda _request: OK, repeats=repeats) as place:
        client = await place.connect()
        client.send(GET)
        await client.receive(OTHER.bytes_for(method, keep_alive=keep_alive))

        assert client.seconds == (seconds or 0)
        assert (place.requests, repeats.remembered) == ([], [])
        assert repeats.repeated == [PEER]
        if keep_alive:
            client.send(CLOSE)
            assert await client.rest() == ENDS
            assert len(place.asked_for_peer) == 1
        else:
            assert await client.rest() == b""


@simulated
async def test_repeated_request_behind_a_part_of_another(tmp_path: Path) -> None:
    """A segment is looked up only where a request begins; after the request, the next one is looked up."""
    repeats = RecordedRepeats()
    repeats.know(GET)
    async with listening(tmp_path, lambda _request: OTHER, repeats=repeats) as place:
        client = await place.connect()
        start = b"GET /b HTTP/1.1\r\nX: "
        for segment in (start, GET, GET):
            client.send(segment)
            await asyncio.sleep(0.1)

        assert repeats.asked == [start, GET]
        assert len(place.requests) == 1
        assert len(repeats.repeated) == 1


@simulated
async def test_repeated_request_behind_a_response_that_is_owed(tmp_path: Path) -> None:
    """A remembered segment that arrives before the response that is owed is dropped, and that response is the last."""
    repeats = RecordedRepeats()
    repeats.know(GET)
    repeats.outcome = lambda: after(1)
    async with listening(tmp_path, lambda _request: OK, repeats=repeats) as place:
        client = await place.connect()
        client.send(GET)
        await asyncio.sleep(0.5)
        client.send(GET)

        assert await client.rest() == ENDS
        assert len(repeats.repeated) == 1


@pytest.mark.parametrize("refused", [b"\x16\x03\x01", b"GET * HTTP/1.1\r\n\r\n"])
@simulated
async def test_repeated_request_behind_a_refusal(tmp_path: Path, refused: bytes) -> None:
    """A remembered segment after a refusal is dropped."""
    repeats = RecordedRepeats()
    repeats.know(GET)
    async with listening(tmp_path, lambda _request: OK, repeats=repeats) as place:
        client = await place.connect()
        client.send(refused)
        assert (await client.rest()).startswith(b"HTTP/1.1 400 Bad Request\r\n")
        client.send(GET)
        await asyncio.sleep(0.5)

        assert repeats.repeated == []


@simulated
async def test_repetition_that_fails(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """If a repetition raises, the client gets 500 and the connection ends."""

    def raise_error() -> Outcome:
        raise RuntimeError

    repeats = RecordedRepeats()
    repeats.know(GET)
    repeats.outcome = raise_error
    async with listening(tmp_path, lambda _request: OK, repeats=repeats) as place:
        client = await place.connect()
        client.send(GET)

        assert await client.rest() == INTERNAL_ERROR.bytes_for(b"GET", keep_alive=False)
    assert [(record.name, record.getMessage()) for record in caplog.records] == [FAILURE]
