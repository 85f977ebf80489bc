"""HTTP answers as bytes, made once. No answer is ever chunked, compressed, cached or without a Content-Type."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from http import HTTPStatus

from .documents import error_document

JSON = b"application/json; charset=utf-8"
TEXT = b"text/plain; charset=utf-8"

Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """
    One answer. `keep` and `close` are the whole bytes for a connection that stays or goes; `headers` and `body` are the
    same for an ASGI server. Bodies may hold credentials, so they are not in `repr`.
    """

    status: int
    headers: Headers
    body: bytes = field(repr=False)
    keep: bytes = field(repr=False)
    close: bytes = field(repr=False)


def reply(status: int, body: bytes, content_type: bytes = JSON, extra: Headers = ()) -> Reply:
    """An answer with `body`; Content-Length and Cache-Control are added."""
    headers: Headers = (
        (b"Content-Type", content_type),
        (b"Content-Length", str(len(body)).encode()),
        (b"Cache-Control", b"no-store"),
        *extra,
    )
    start = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
    return Reply(
        status,
        headers,
        body,
        keep=start + lines + b"\r\n" + body,
        close=start + lines + b"Connection: close\r\n\r\n" + body,
    )


def error(status: int, code: str, message: str, extra: Headers = ()) -> Reply:
    """An error answer: `Code` is what several clients judge by."""
    return reply(status, error_document(code, message), extra=extra)


def unavailable(message: str, retry_after: float) -> Reply:
    """503 with Retry-After in whole seconds, rounded up."""
    seconds = str(int(-(-retry_after // 1))).encode()
    return error(503, "CredentialsUnavailable", message, ((b"Retry-After", seconds),))


def document(status: int, value: object) -> Reply:
    """A JSON answer that is made per request: probes and status, never a credential."""
    return reply(status, json.dumps(value, separators=(",", ":")).encode())


NOT_FOUND = error(404, "NotFound", "nothing is served at this path")
BAD_REQUEST = error(400, "BadRequest", "not a request that this server understands")
BROKEN = error(500, "InternalError", "this server failed to answer; its log says more")
TIMED_OUT = error(408, "RequestTimeout", "the request did not arrive in time")
BODY_TOO_LARGE = error(413, "TooLarge", "the body is larger than 1024 bytes")
TARGET_TOO_LONG = error(414, "TooLarge", "the path is longer than 8192 bytes")
HEAD_TOO_LARGE = error(431, "TooLarge", "the head is larger than 16384 bytes or 100 lines")


def method_not_allowed(allowed: bytes) -> Reply:
    """405 for a path that exists; HEAD is among the refused, since no client sends it."""
    return error(405, "MethodNotAllowed", f"use {allowed.decode()}", ((b"Allow", allowed),))
