"""What came back: one HTTP answer taken apart, or the silence in its place. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

LARGEST_HEAD = 65_536
LARGEST_BODY = 1_048_576
"""Bytes (ecctl's limit, the smallest that a client sets)."""

Headers = tuple[tuple[str, str], ...]

_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: |\r|$)")
_CHUNK = re.compile(rb"([0-9a-fA-F]{1,8})[^\r\n]*\r\n")


class NotAsked(Exception):
    """The look has cost its servers enough: nothing more is sent, and what depends on it is not known."""


class NotHttp(ValueError):
    """The bytes are no answer, and more of them will not make one. The words hold none of the bytes."""


@dataclass(frozen=True, slots=True)
class Answer:
    """
    One answer. Header names are in lower case; the body is free of chunks, and still compressed where it was.

    `framing` is `length`, `chunked` or `close`: how the body's end was told. `surplus` counts bytes behind that end.
    Times are seconds from the first byte that was sent.
    """

    status: int
    headers: Headers = field(repr=False)
    body: bytes = field(repr=False)
    framing: str = "length"
    surplus: int = 0
    first_byte: float = 0.0
    seconds: float = 0.0

    def header(self, name: str) -> str | None:
        """The first value of the header `name` (lower case)."""
        return next((value for key, value in self.headers if key == name), None)

    @property
    def redirects(self) -> bool:
        return self.status in (301, 302, 303, 307, 308)

    @property
    def encoding(self) -> str:
        """The content coding in lower case; empty for plain bytes."""
        coding = (self.header("content-encoding") or "").strip().lower()
        return "" if coding == "identity" else coding


@dataclass(frozen=True, slots=True)
class Silence:
    """No answer, and why."""

    why: str


Reply = Answer | Silence


def take_apart(raw: bytes, *, ended: bool, bodyless: bool = False) -> Answer | None:
    """
    The answer in `raw`, or None while it is not whole. Raises NotHttp.

    `ended`: nothing more will come. `bodyless`: it answers a HEAD.
    """
    head, mark, rest = raw.partition(b"\r\n\r\n")
    if len(head) > LARGEST_HEAD:
        raise NotHttp(f"a head of more than {LARGEST_HEAD} bytes")
    if not mark:
        if ended:
            raise NotHttp("the connection ended within the head" if raw else "the connection ended without an answer")
        return None
    found = _STATUS.match(head)
    if found is None:
        raise NotHttp("no HTTP/1 status line")
    headers = _headers(head)
    framing, body, surplus = _body(headers, rest, ended=ended, bodyless=bodyless or found[1] in (b"204", b"304"))
    return None if body is None else Answer(int(found[1]), headers, body, framing, surplus)


def _headers(head: bytes) -> Headers:
    pairs = (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:])
    return tuple((name.strip().lower(), value.strip(" \t")) for name, _, value in pairs)


def _body(headers: Headers, rest: bytes, *, ended: bool, bodyless: bool) -> tuple[str, bytes | None, int]:
    """How the body's end is told, the body if it is whole, and the number of bytes behind it."""
    values = dict(headers)
    chunked = "chunked" in values.get("transfer-encoding", "").lower()
    length = values.get("content-length")
    framing = "chunked" if chunked else "close" if length is None else "length"
    if bodyless:
        return framing, b"", len(rest)
    if chunked:
        return framing, *_unchunked(rest, ended=ended)
    if length is None:
        _check_size(len(rest))
        return framing, rest if ended else None, 0
    return framing, *_measured(rest, length, ended=ended)


def _measured(rest: bytes, length: str, *, ended: bool) -> tuple[bytes | None, int]:
    if not re.fullmatch(r"[0-9]{1,12}", length):
        raise NotHttp("a Content-Length that is no number")
    size = int(length)
    _check_size(size)
    if len(rest) < size:
        if ended:
            raise NotHttp(f"a body of {len(rest)} bytes where Content-Length says {size}")
        return None, 0
    return rest[:size], len(rest) - size


def _unchunked(rest: bytes, *, ended: bool) -> tuple[bytes | None, int]:
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
    if ended:
        raise NotHttp("the connection ended within a chunk")
    return None, 0


def _check_size(size: int) -> None:
    if size > LARGEST_BODY:
        raise NotHttp(f"a body of more than {LARGEST_BODY} bytes")
