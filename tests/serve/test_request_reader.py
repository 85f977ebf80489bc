"""Requests out of bytes: what is a request, and the limits of its size."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import pytest

from app.serve.request import RequestHeaders
from app.serve.request_reader import PIECE, RequestReader
from app.serve.responses import Response

GET = b"GET / HTTP/1.1\r\n\r\n"
HEADERS = b"POST / HTTP/1.1\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"


class Sink:
    """Records what the reader reports. After a refusal, and after request number `last`, nothing more counts."""

    def __init__(self, last: int = 1000) -> None:
        self.last = last
        self.begun = 0
        self.continued = 0
        self.requests: list[tuple[bytes, bytes, RequestHeaders, bool]] = []
        self.refusals: list[tuple[int, bool]] = []

    @property
    def closed_to_requests(self) -> bool:
        """Whether further bytes no longer count."""
        return bool(self.refusals) or len(self.requests) >= self.last

    def begin_request(self) -> None:
        """Count."""
        self.begun += 1

    def continue_request(self) -> None:
        """Count."""
        self.continued += 1

    def complete_request(self, method: bytes, target: bytes, headers: RequestHeaders, *, keep_alive: bool) -> None:
        """Record the request."""
        self.requests.append((method, target, headers, keep_alive))

    def refuse(self, response: Response) -> None:
        """Record the status, and whether a request was closed to it already."""
        self.refusals.append((response.status, self.closed_to_requests))

    @property
    def refused(self) -> int | None:
        """The status of the first refusal, or None."""
        return self.refusals[0][0] if self.refusals else None


def read(*segments: bytes, last: int = 1000) -> Sink:
    """Read segments until one is refused."""
    sink = Sink(last)
    reader = RequestReader(sink)
    for segment in segments:
        rest = segment
        while rest and not sink.closed_to_requests:
            rest = rest[reader.feed(rest) :]
    return sink


def pieces(data: bytes, size: int) -> Iterable[bytes]:
    """Return `data` in segments of `size` bytes."""
    return (data[at : at + size] for at in range(0, len(data), size))


def target(size: int) -> bytes:
    """Return a request whose target has this size."""
    return b"GET /" + b"a" * (size - 1) + b" HTTP/1.1\r\n\r\n"


def head(size: int) -> bytes:
    """Return a request whose target and header lines have this size; its lines are below the limit of lines."""
    lines, rest = divmod(size - 1, 1000)
    names = [b"x: " + b"a" * 995 + b"\r\n"] * (lines - 1) + [b"x: " + b"a" * (995 + rest) + b"\r\n"]
    return b"GET / HTTP/1.1\r\n" + b"".join(names) + b"\r\n"


def lines(number: int) -> bytes:
    """Return a request with this number of header lines."""
    return b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * number + b"\r\n"


def body(size: int) -> bytes:
    """Return a request with a body of this size."""
    return b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % size + b"a" * size


def chunks(size: int) -> bytes:
    """Return a request with a body of this size in chunks of one byte."""
    return CHUNKED + b"1\r\na\r\n" * size + b"0\r\n\r\n"


def test_request() -> None:
    """A request is reported with its target undecoded and its header names in lower case, in order."""
    sink = read(b"PUT /%41?b=%20 HTTP/1.1\r\nHost: A\r\nX-Token:  B \t\r\nhost: c\r\n\r\n")

    headers = [(b"host", b"A"), (b"x-token", b"B"), (b"host", b"c")]
    assert sink.requests == [(b"PUT", b"/%41?b=%20", headers, True)]
    assert (sink.begun, sink.continued, sink.refused) == (1, 0, None)


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_request_in_segments(size: int) -> None:
    """A request may arrive in any segments; `receiving` tells whether one is under way."""
    sink = Sink()
    reader = RequestReader(sink)
    assert not reader.receiving
    for segment in pieces(body(10)[:-1] if size == 1 else body(10)[:-2], size):
        reader.feed(segment)
        assert reader.receiving
    assert sink.requests == []
    reader.feed(body(10)[-1:] if size == 1 else body(10)[-2:])

    assert not reader.receiving
    assert sink.requests == [(b"POST", b"/", [(b"content-length", b"10")], True)]


def test_next_request_is_independent() -> None:
    """A second request has its own target, headers and size."""
    sink = read(head(12_000), head(12_000).replace(b"GET /", b"GET /b"), body(1000), body(1000), lines(60), lines(60))

    assert [target for _, target, _, _ in sink.requests] == [b"/", b"/b", b"/", b"/", b"/", b"/"]
    assert [len(headers) for _, _, headers, _ in sink.requests] == [11, 11, 1, 1, 60, 60]
    assert sink.refused is None


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (target(8192), None),
        (target(8193), 414),
        (head(16_384), None),
        (head(16_385), 431),
        (lines(100), None),
        (lines(101), 431),
        (body(1024), None),
        (body(1025), 413),
        (chunks(1024), None),
        (chunks(1025), 413),
        (b"GET /" + b"a" * 17_000 + b" HTTP/1.1\r\n\r\n", 414),
    ],
    ids=lambda value: len(value) if isinstance(value, bytes) else value,
)
@pytest.mark.parametrize("size", [1000, 100_000])
def test_limits(data: bytes, status: int | None, size: int) -> None:
    """A target has at most 8192 bytes, a head 16384 bytes and 100 lines, a body 1024 bytes."""
    sink = read(*pieces(data, size))

    assert sink.refused == status
    assert len(sink.requests) == (0 if status else 1)


@pytest.mark.parametrize(
    ("start", "status"),
    [
        (b"GET /", 414),
        (b"GET /" + b"a" * 8191 + b" HTTP/1.1\r\nX: ", 431),
        (b"GET /" + b"a" * 8192 + b" HTTP/1.1\r\nX: ", 414),
        (b"GET / HTTP/1.1\r\nX: ", 431),
        (b"GET / HTTP/1.1\r\n", 431),
        (b"GET".ljust(16_384), 414),
    ],
)
@pytest.mark.parametrize("size", [100, 4000, 30_000])
def test_endless_head(start: bytes, status: int, size: int) -> None:
    """A head without end is refused beyond 16384 bytes."""
    data = start.ljust(16_384, b"a")

    assert read(*pieces(data, size)).refused is None
    assert read(*pieces(data, size), data[-1:]).refused == status


@pytest.mark.parametrize(
    ("start", "status"), [(b"1;", 413), (b"1\r\na\r\n1;", 413), (b"0\r\nX: ", 431), (b"1\r\na\r\n0\r\nX: ", 431)]
)
@pytest.mark.parametrize("size", [100, 4000, 30_000])
def test_endless_body(start: bytes, status: int, size: int) -> None:
    """A body that is short but never ends is refused beyond 8192 bytes on the wire, and so is a trailer."""
    data = CHUNKED + start.ljust(8192, b"a")

    assert read(*pieces(data, size)).refused is None
    assert read(*pieces(data, size), b"a").refused == status


def test_next_chunked_request() -> None:
    """The size of a second body on the wire is counted from zero."""
    sink = read(CHUNKED, b"1;".ljust(8000, b"a"), b"\r\na\r\n0\r\n\r\n", CHUNKED, b"1;".ljust(8000, b"a"))

    assert (len(sink.requests), sink.refused) == (1, None)


def test_endless_second_request() -> None:
    """Of a segment that ends one request and begins another, no byte counts for the second; of later ones, all do."""
    first = head(16_000) + b"GET / HTTP/1.1\r\nX: "

    assert read(first, b"a" * 16_384).refused is None
    assert read(first, b"a" * 16_384, b"a").refused == 431


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01",
        b"GET / HTTP/2.0\r\n\r\n",
        b"GET / HTTP/0.9\r\n\r\n",
        b"GET / RTSP/1.0\r\n\r\n",
        b"GET / ICE/1.0\r\n\r\n",
        b"GET *\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\n\r\n",
        b"CONNECT example:443 HTTP/1.1\r\n\r\n",
        HEADERS + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        HEADERS + b"Content-Length: x\r\n\r\n",
        HEADERS + b"bad header\r\n\r\n",
        CHUNKED + b"0\r\nHost: a\r\n\r\n",
        CHUNKED + b"x\r\n",
    ],
)
def test_bytes_that_are_no_request(data: bytes) -> None:
    """What cannot be parsed, another version, a target that is no path, and a trailer get 400."""
    sink = read(data)

    assert sink.refused == 400
    assert sink.requests == []


def test_absolute_form() -> None:
    """A target in absolute form is reported: the access rules refuse it."""
    assert read(b"GET http://a/ HTTP/1.1\r\n\r\n").requests == [(b"GET", b"http://a/", [], True)]


@pytest.mark.parametrize(
    ("data", "keep_alive"),
    [
        (GET, True),
        (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", False),
    ],
)
def test_connection_stays_open(data: bytes, keep_alive: bool) -> None:
    """The connection stays open after HTTP/1.1, unless the client closes it or asks for another protocol."""
    sink = read(data)

    assert [request[3] for request in sink.requests] == [keep_alive]
    assert sink.refused is None


def test_one_request_at_a_time() -> None:
    """Of several requests in one segment, one is handed over; the number of parsed bytes says where the next begins."""
    sink = Sink()
    reader = RequestReader(sink)

    assert reader.feed(GET + lines(3) + GET) == len(GET)
    assert reader.feed(lines(3) + GET[:5]) == len(lines(3))
    assert reader.feed(GET[:5]) == 5
    assert reader.feed(GET[5:] + body(3)) == len(GET[5:])
    assert reader.feed(body(3)) == len(body(3))
    assert len(sink.requests) == 4


def test_request_behind_a_body() -> None:
    """A request whose head is in one piece with the end of a body is handed over with that request."""
    sink = Sink()
    reader = RequestReader(sink)

    assert reader.feed(body(5) + GET + GET) == len(body(5) + GET)
    assert [method for method, *_ in sink.requests] == [b"POST", b"GET"]


@pytest.mark.parametrize(
    ("version", "value", "expected"),
    [(b"1.1", b"100-continue", 1), (b"1.0", b"100-continue", 0), (b"1.1", b"200-ok", 0)],
)
def test_expect_continue(version: bytes, value: bytes, expected: int) -> None:
    """A client of HTTP/1.1 that waits for `100 Continue` gets it when its head is whole."""
    sink = read(b"PUT / HTTP/%b\r\nExpect: %b\r\nContent-Length: 2\r\n\r\n" % (version, value))
    assert (sink.continued, sink.requests) == (expected, [])

    too_long = target(8193).replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    assert read(too_long).continued == 0


@pytest.mark.parametrize(
    "more",
    [
        GET,
        b"PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
        target(8193),
        b"GET * HTTP/1.1\r\n\r\n",
        lines(101),
    ],
)
def test_request_after_the_last(more: bytes) -> None:
    """A request that is parsed after the last one begins, and is neither continued, handed over nor refused."""
    sink = Sink(last=1)
    reader = RequestReader(sink)
    reader.feed(body(5) + more)

    assert len(sink.requests) == 1
    assert (sink.begun, sink.continued, sink.refusals) == (2, 0, [])


def test_pieces_of_a_segment() -> None:
    """A long segment is parsed in pieces of 4096 bytes; after a refusal, the rest is left."""
    sink = Sink()
    data = body(20_000)

    assert PIECE == 4096
    assert RequestReader(sink).feed(data) == len(data) - 20_000 + 4096
    assert [status for status, _ in sink.refusals] == [413]


def test_error_in_the_sink(caplog: pytest.LogCaptureFixture) -> None:
    """An error of the sink gives 500; the log has the error itself."""
    bug = RuntimeError("a bug")

    class Failing(Sink):
        def complete_request(self, method: bytes, target: bytes, headers: RequestHeaders, *, keep_alive: bool) -> None:
            raise bug

    sink = Failing()
    with caplog.at_level(logging.ERROR):
        RequestReader(sink).feed(GET)

    assert sink.refusals == [(500, False)]
    (record,) = caplog.records
    assert (record.name, record.getMessage()) == ("idaas_sidecar.protocol", "answering a request failed")
    assert record.exc_info is not None
    assert record.exc_info[1] is bug


def test_reader_that_is_closed_meanwhile() -> None:
    """A reader that is closed while it hands over a request drops the rest of the segment."""
    sink = Sink()
    reader = RequestReader(sink)

    def close(*_arguments: object, **_named: object) -> None:
        reader.close()

    sink.complete_request = close  # type: ignore[method-assign]
    reader.feed(body(5) + b"\x16\x03\x01")

    assert (sink.begun, sink.refusals) == (1, [])
