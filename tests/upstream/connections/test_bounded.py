"""Connections that bound what a server sends before its answer is complete."""

from __future__ import annotations

import httpcore
import pytest

from app.upstream.connections.bounded import LARGEST, MOST_INTERIM, PIECE, BoundedStream, TooMuch

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
