"""Reads requests from a connection's bytes: httptools parses, this module enforces the limits.

The parser alone accepts a head of 4 MB and has no time limit.
"""

from __future__ import annotations

import logging
from typing import Protocol

import httptools

from .request import RequestHeaders
from .responses import BAD_REQUEST, BODY_TOO_LARGE, HEAD_TOO_LARGE, INTERNAL_ERROR, TARGET_TOO_LONG, Response

_LOGGER = logging.getLogger("idaas_sidecar.protocol")

LARGEST_HEAD = 16_384
MOST_LINES = 100
LONGEST_TARGET = 8_192
LARGEST_BODY = 1_024
LARGEST_BODY_ON_THE_WIRE = 8 * LARGEST_BODY
"""The most bytes of a body in transfer. A body in chunks of one byte takes six times its size. Chunk extensions and
trailers are ignored, but count."""

PIECE = 4_096
"""Bytes parsed at a time. After each piece, the reader checks whether the connection still accepts requests."""

_END_OF_HEAD = b"\r\n\r\n"


class RequestSink(Protocol):
    """Receives the requests of one connection."""

    @property
    def closed_to_requests(self) -> bool:
        """Whether further bytes no longer count: refused, closing, or a response is owed that will be the last."""

    def begin_request(self) -> None:
        """Record that the first byte of a request has arrived."""

    def continue_request(self) -> None:
        """Record that the client waits for `100 Continue` before it sends the body."""

    def complete_request(self, method: bytes, target: bytes, headers: RequestHeaders, *, keep_alive: bool) -> None:
        """Receive a request that has arrived completely."""

    def refuse(self, response: Response) -> None:
        """End the connection with `response`, because the bytes are not a request."""


class RequestReader:
    """
    Reads the requests of one connection and passes each complete request within the limits to the sink.

    `receiving`: whether a request has begun and not ended. Raises nothing.
    """

    __slots__ = (
        "_body_on_the_wire",
        "_body_size",
        "_complete",
        "_head",
        "_head_size",
        "_headers",
        "_in_chunk",
        "_parser",
        "_pending",
        "_reading_head",
        "_sink",
        "_spans_segments",
        "_target",
        "receiving",
    )  # fmt: skip

    def __init__(self, sink: RequestSink) -> None:
        self._sink = sink
        self._parser = httptools.HttpRequestParser(self)
        self.receiving = False
        self._reading_head = False
        self._head = self._target = b""
        # `feed` and `on_message_begin` set the other members before any use.

    def close(self) -> None:
        """Release the parser. The parser and this object refer to each other, which only the cyclic collector frees."""
        self._parser = None  # type: ignore[assignment]  # nothing is fed after this
        self._sink = None  # type: ignore[assignment]

    def feed(self, data: bytes) -> int:
        """
        Parse `data` until a request is complete, or to its end; return the number of bytes parsed.

        A request that follows another one in `data` is left for the next call. If the end of a body and a whole head
        are in one piece, both requests are passed to the sink.
        """
        self._complete = False
        self._spans_segments = True
        try:
            parsed = self._parse(data)
        except httptools.HttpParserCallbackError as error:
            # The exception is a bug of this program, not of the client: answer 500 without details.
            _LOGGER.error("answering a request failed", exc_info=error.__context__ or error)
            self._refuse(INTERNAL_ERROR)
            return len(data)
        except httptools.HttpParserUpgrade:
            return len(data)  # the request is answered already; not switching tells the client that HTTP/1.1 goes on
        except httptools.HttpParserError:
            self._refuse(BAD_REQUEST)
            return len(data)
        # The parser reports a header only when it is complete, so bytes that the parser still holds are counted here.
        # If a piece ends one request and begins another, the share of each is unknown: counting starts with the next
        # piece.
        if self._reading_head and self._spans_segments:
            self._pending += parsed
            if self._pending > LARGEST_HEAD:
                long = len(self._target) > LONGEST_TARGET or not self._target
                self._refuse(TARGET_TOO_LONG if long else HEAD_TOO_LARGE)
        return parsed

    def _parse(self, data: bytes) -> int:
        # Starvation: a segment may hold some thousand requests. A piece ends with a head, so that one request is
        # answered before the next one is parsed.
        at = 0
        while at < len(data):
            found = data.find(_END_OF_HEAD, at, at + PIECE)
            end = found + len(_END_OF_HEAD) if found >= 0 else min(at + PIECE, len(data))
            piece = data[at:end]
            at = end
            if self._reading_head:
                self._head += piece
            else:
                self._head = piece
                if self.receiving:
                    self._body_on_the_wire += len(piece)
                    if self._body_on_the_wire > LARGEST_BODY_ON_THE_WIRE:
                        self._refuse(HEAD_TOO_LARGE if self._in_chunk else BODY_TOO_LARGE)
                        return len(data)
            self._parser.feed_data(piece)
            if self._complete or self._parser is None or self._sink.closed_to_requests:
                break
        return at

    def _refuse(self, response: Response) -> None:
        if self._sink is not None:
            self._sink.refuse(response)

    # --- called by httptools ------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._spans_segments = self._target == b""
        self._target = b""
        self._headers: RequestHeaders = []
        self.receiving = self._reading_head = True
        self._in_chunk = False
        self._pending = self._head_size = self._body_size = self._body_on_the_wire = 0
        self._sink.begin_request()

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._reading_head:  # trailers are ignored: no client sends one, and a Host in a trailer does not count
            self._refuse(BAD_REQUEST)
            return
        self._head_size += len(name) + len(value) + 4
        self._headers.append((name.lower(), value.rstrip(b" \t")))  # the parser keeps white space after the value

    def on_headers_complete(self) -> None:
        self._reading_head = False
        head, self._head = self._head, b""
        if self._sink.closed_to_requests:
            return
        if self._target + b" HTTP/1." not in head:  # the parser also takes RTSP/1.0 and ICE/1.0
            self._refuse(BAD_REQUEST)
        elif len(self._target) > LONGEST_TARGET:
            self._refuse(TARGET_TOO_LONG)
        elif self._head_size + len(self._target) > LARGEST_HEAD or len(self._headers) > MOST_LINES:
            self._refuse(HEAD_TOO_LARGE)
        elif (b"expect", b"100-continue") in self._headers and self._parser.get_http_version() == "1.1":
            self._sink.continue_request()

    def on_body(self, body: bytes) -> None:
        self._body_size += len(body)
        if self._body_size > LARGEST_BODY:
            self._refuse(BODY_TOO_LARGE)

    def on_chunk_header(self) -> None:
        self._in_chunk = True

    def on_chunk_complete(self) -> None:
        self._in_chunk = False

    def on_message_complete(self) -> None:
        self.receiving = False
        self._complete = True
        if self._sink.closed_to_requests:
            return
        version = self._parser.get_http_version()
        # The access rules refuse an absolute-form target later.
        if not self._target.startswith((b"/", b"http")) or version not in ("1.1", "1.0"):
            self._refuse(BAD_REQUEST)
            return
        keep_alive = self._parser.should_keep_alive() and version != "1.0" and not self._parser.should_upgrade()
        headers, self._headers = self._headers, []
        self._sink.complete_request(self._parser.get_method(), self._target, headers, keep_alive=keep_alive)
