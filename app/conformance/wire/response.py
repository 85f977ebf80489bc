"""One HTTP response parsed from bytes, or the reason why there is none. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

MAX_HEAD = 65_536
"""Bytes of a status line and headers."""

MAX_BODY = 1_048_576
"""Bytes of a body: ecctl's limit, the smallest that a client sets."""

Headers = tuple[tuple[str, str], ...]

_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: |\r|$)")
_CHUNK = re.compile(rb"([0-9a-fA-F]{1,8})[^\r\n]*\r\n")


class InvalidResponse(ValueError):
    """The bytes are not an HTTP response, and more bytes cannot complete them. The message contains none of them."""


@dataclass(frozen=True, slots=True)
class Response:
    """
    One response. Header names are in lower case. The body is dechunked, and still compressed if the server did that.

    `framing` says how the end of the body is marked: `length`, `chunked` or `close`. `trailing_bytes` counts the bytes
    after that end. Both times are seconds since the first byte of the request was sent.
    """

    status: int
    headers: Headers = field(repr=False)
    body: bytes = field(repr=False)
    framing: str = "length"
    trailing_bytes: int = 0
    first_byte_seconds: float = 0.0
    total_seconds: float = 0.0

    def header(self, name: str) -> str | None:
        """The first value of the header `name`, given in lower case."""
        return next((value for key, value in self.headers if key == name), None)

    @property
    def is_redirect(self) -> bool:
        """Whether the status is one that clients follow to Location."""
        return self.status in (301, 302, 303, 307, 308)

    @property
    def content_encoding(self) -> str:
        """The content coding in lower case. Empty if the body is not encoded."""
        coding = (self.header("content-encoding") or "").strip().lower()
        return "" if coding == "identity" else coding


@dataclass(frozen=True, slots=True)
class NoResponse:
    """The reason why a request got no response."""

    reason: str


Outcome = Response | NoResponse
"""What a request came to."""


def parse_response(raw: bytes, *, closed: bool, bodyless: bool = False) -> Response | None:
    """
    Return the response in `raw`, or None if it is not complete yet. Raises InvalidResponse.

    `closed`: the server closed the connection. `bodyless`: the response answers a HEAD request.
    """
    head, blank_line, rest = raw.partition(b"\r\n\r\n")
    if len(head) > MAX_HEAD:
        raise InvalidResponse(f"a head of more than {MAX_HEAD} bytes")
    if not blank_line:
        if closed:
            raise InvalidResponse(f"connection closed {'within the head' if raw else 'without a response'}")
        return None
    found = _STATUS.match(head)
    if found is None:
        raise InvalidResponse("no HTTP/1 status line")
    headers = _headers(head)
    framing, body, trailing = _body(headers, rest, closed=closed, bodyless=bodyless or found[1] in (b"204", b"304"))
    return None if body is None else Response(int(found[1]), headers, body, framing, trailing)


def _headers(head: bytes) -> Headers:
    pairs = (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:])
    return tuple((name.strip().lower(), value.strip(" \t")) for name, _, value in pairs)


def _body(headers: Headers, rest: bytes, *, closed: bool, bodyless: bool) -> tuple[str, bytes | None, int]:
    """Return the framing, the body (None: not complete yet), and the number of bytes after it."""
    values = dict(headers)
    chunked = "chunked" in values.get("transfer-encoding", "").lower()
    length = values.get("content-length")
    framing = "chunked" if chunked else "close" if length is None else "length"
    if bodyless:
        return framing, b"", len(rest)
    if chunked:
        return framing, *_chunked(rest, closed=closed)
    if length is None:
        _check_size(len(rest))
        return framing, rest if closed else None, 0
    return framing, *_with_length(rest, length, closed=closed)


def _with_length(rest: bytes, length: str, *, closed: bool) -> tuple[bytes | None, int]:
    if not re.fullmatch(r"[0-9]{1,12}", length):
        raise InvalidResponse("Content-Length is not a number")
    size = int(length)
    _check_size(size)
    if len(rest) < size:
        if closed:
            raise InvalidResponse(f"a body of {len(rest)} bytes where Content-Length says {size}")
        return None, 0
    return rest[:size], len(rest) - size


def _chunked(rest: bytes, *, closed: bool) -> tuple[bytes | None, int]:
    body, at = b"", 0
    while (found := _CHUNK.match(rest, at)) is not None:
        size, start = int(found[1], 16), found.end()
        _check_size(len(body) + size)
        if len(rest) < start + size + 2:
            break
        if size == 0:
            return body, len(rest) - start - 2
        body += rest[start : start + size]
        at = start + size + 2
    if closed:
        raise InvalidResponse("connection closed within a chunk")
    return None, 0


def _check_size(size: int) -> None:
    if size > MAX_BODY:
        raise InvalidResponse(f"a body of more than {MAX_BODY} bytes")
