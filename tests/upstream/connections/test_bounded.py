"""Connections that bound what a server sends before its answer is complete."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import httpcore
import pytest

from app.upstream.connections.bounded import (
    CLOSED,
    LARGEST,
    MOST_INTERIM,
    PIECE,
    BoundedNetwork,
    BoundedStream,
    Ended,
    NoHttp,
    Stopped,
    TooMuch,
)

INTERIM = b"HTTP/1.1 103 Early Hints\r\n\r\n"


class SentStream(httpcore.AsyncNetworkStream):
    """A connection that returns `data`, as much as is asked for."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's
        found, self.data = self.data[:max_bytes], self.data[max_bytes:]
        return found

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - httpcore's
        """Accept a request."""


async def read_all(data: bytes, piece: int = 65_536) -> bytes:
    """Return what a bounded connection returns of `data`."""
    stream, found = BoundedStream(SentStream(data)), b""
    while part := await stream.read(piece):
        assert len(part) <= PIECE
        found += part
    return found


@pytest.mark.parametrize("piece", [1, 7, 65_536])
async def test_interim_answers_are_counted_in_pieces_of_any_size(piece: int) -> None:
    """As many interim answers as the limit are read, and one more is refused, however they are cut."""
    assert await read_all(INTERIM * MOST_INTERIM, piece) == INTERIM * MOST_INTERIM
    with pytest.raises(TooMuch, match="interim"):
        await read_all(INTERIM * (MOST_INTERIM + 1), piece)


async def test_answer_has_a_largest_size() -> None:
    """An answer as large as the limit is read, and one byte more is refused."""
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    assert len(await read_all(head.ljust(LARGEST, b"x"))) == LARGEST
    with pytest.raises(TooMuch, match="bytes"):
        await read_all(head.ljust(LARGEST + 1, b"x"))


async def test_blank_lines_before_an_answer() -> None:
    """Blank lines before an answer are tolerated, and the answer may arrive byte by byte."""
    answer = b"\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    assert await read_all(answer, 1) == answer


async def test_next_request_begins_at_zero() -> None:
    """The limits are those of one answer: they begin again with the next request on the connection."""
    inner = SentStream(INTERIM * MOST_INTERIM)
    stream = BoundedStream(inner)
    for _ in range(3):
        await stream.write(b"GET / HTTP/1.1\r\n\r\n")
        inner.data = INTERIM * MOST_INTERIM
        while await stream.read(65_536):
            pass


@pytest.mark.parametrize(
    ("data", "tls"),
    [
        (b"220 smtp", False),
        (b"~HTTP/1.1 200 OK", False),
        (b"\r\nHTML", False),
        (b"\x15\x03", True),
        (b"\x16\x03", True),
    ],
)
async def test_answer_that_is_not_http(data: bytes, tls: bool) -> None:
    """An answer of another protocol is recognised by its first bytes. TLS is distinguished from other protocols."""
    with pytest.raises(NoHttp) as caught:
        await read_all(data)

    assert (caught.value.tls, str(caught.value)) == (tls, "not HTTP")


class FailingStream(SentStream):
    """A connection that fails with `error` when its data has been read. `secure`: whether it uses TLS."""

    def __init__(self, data: bytes, error: Exception | None, *, secure: bool = False) -> None:
        super().__init__(data)
        self.error, self.secure, self.closed = error, secure, False

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's
        if not self.data and self.error is not None:
            raise self.error
        return await super().read(max_bytes, timeout)

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's
    ) -> httpcore.AsyncNetworkStream:
        """Return the same connection, which now uses TLS."""
        self.secure = True
        return self

    async def aclose(self) -> None:
        """Record the end."""
        self.closed = True

    def get_extra_info(self, info: str) -> Any:
        """Return the TLS of a connection with TLS, and the name of any other information."""
        return (self if self.secure else None) if info == "ssl_object" else info


@pytest.mark.parametrize("data", [b"", b"H", b"HTTP/1.1 20"], ids=["nothing", "one byte", "a beginning"])
@pytest.mark.parametrize("error", [None, httpcore.ReadError("reset")], ids=["closed", "broken"])
@pytest.mark.parametrize("secure", [False, True], ids=["clear", "TLS"])
async def test_answer_that_ends_before_its_head(data: bytes, error: Exception | None, secure: bool) -> None:
    """The error says whether any byte had arrived and whether the connection uses TLS. It keeps the system's error."""
    stream: httpcore.AsyncNetworkStream = BoundedStream(FailingStream(data, error))
    if secure:
        stream = await stream.start_tls(ssl.create_default_context())
    if data:
        assert await stream.read(65_536) == data
    with pytest.raises(Ended) as caught:
        await stream.read(65_536)

    assert (caught.value.begun, caught.value.clear, str(caught.value)) == (bool(data), not secure, "ended")
    assert caught.value.__context__ is error
    assert stream.get_extra_info(CLOSED) is (error is None)


async def test_answer_that_stops() -> None:
    """For each request, a time-out before the first byte differs from one in the middle of the answer."""
    inner = FailingStream(b"", httpcore.ReadTimeout())
    stream = BoundedStream(inner)
    with pytest.raises(httpcore.ReadTimeout) as silent:
        await stream.read(65_536)
    inner.data = b"HTTP/1.1 200 OK\r\n\r\n"
    await stream.read(65_536)
    with pytest.raises(Stopped):
        await stream.read(65_536)
    await stream.write(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(httpcore.ReadTimeout) as again:
        await stream.read(65_536)

    assert (silent.type, again.type) == (httpcore.ReadTimeout, httpcore.ReadTimeout)


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.0 200 OK\n\n"])
async def test_end_behind_the_head_is_the_end_of_a_body(head: bytes) -> None:
    """A server may close the connection after the head. The extra information CLOSED says so."""
    stream = BoundedStream(FailingStream(head, None))

    assert await stream.read(65_536) == head
    assert stream.get_extra_info(CLOSED) is False
    assert await stream.read(65_536) == b""
    assert stream.get_extra_info(CLOSED) is True


async def test_head_of_the_next_answer_must_come() -> None:
    """A connection that ends before the next answer's head is an error, although the first answer was complete."""
    stream = BoundedStream(FailingStream(b"HTTP/1.1 200 OK\r\n\r\n", None))
    await stream.read(65_536)
    await stream.write(b"GET / HTTP/1.1\r\n\r\n")

    with pytest.raises(Ended) as caught:
        await stream.read(65_536)
    assert caught.value.begun is False


async def test_head_of_the_last_answer_does_not_count() -> None:
    """An incomplete head is an error, even if the head of the previous answer was complete."""
    inner = FailingStream(b"HTTP/1.1 204 No Content\r\n\r\n", None)
    stream = BoundedStream(inner)
    await stream.read(65_536)
    await stream.write(b"GET / HTTP/1.1\r\n\r\n")
    inner.data = b"HTTP/1.1 20"
    await stream.read(65_536)

    with pytest.raises(Ended) as caught:
        await stream.read(65_536)
    assert caught.value.begun is True


async def test_other_work_goes_on_between_reads() -> None:
    """Each read lets the event loop do other work, even if all bytes have already arrived."""
    stream = BoundedStream(SentStream(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * PIECE))
    other = asyncio.create_task(asyncio.sleep(0))
    await stream.read(65_536)
    await stream.read(65_536)

    assert other.done()


class Sockets(httpcore.AsyncNetworkBackend):
    """A network that records the calls that it gets."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.stream = FailingStream(b"220 smtp", None)

    async def connect_tcp(self, *arguments: Any, **_: Any) -> httpcore.AsyncNetworkStream:
        self.calls.append(arguments)
        return self.stream

    async def sleep(self, seconds: float) -> None:
        self.calls.append(seconds)


async def test_network_is_passed_on() -> None:
    """A bounded network passes all calls to its inner network, and bounds the connections that it opens."""
    sockets = Sockets()
    network = BoundedNetwork(sockets)
    stream = await network.connect_tcp("name.test", 443, 5.0, "192.0.2.1", [])
    await network.sleep(0.5)

    assert sockets.calls == [("name.test", 443, 5.0, "192.0.2.1", []), 0.5]
    assert stream.get_extra_info("server_addr") == "server_addr"
    with pytest.raises(NoHttp):
        await stream.read(65_536)
    await stream.aclose()
    assert sockets.stream.closed
