"""HTTP answers as bytes, made once. No answer is ever chunked, compressed, cached or without a Content-Type."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from http import HTTPStatus

from ..core.formats import error_document

JSON = b"application/json; charset=utf-8"
TEXT = b"text/plain; charset=utf-8"

Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """
    One answer: `keep` and `close` are its whole bytes, for a connection that stays and for one that goes.

    Bodies may hold credentials, so neither is in `repr`.
    """

    status: int
    headers: Headers
    keep: bytes = field(repr=False)
    close: bytes = field(repr=False)
    body_length: int

    @property
    def body(self) -> bytes:
        """The body alone."""
        return self.keep[len(self.keep) - self.body_length :]


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
    keep, close = start + lines + b"\r\n" + body, start + lines + b"Connection: close\r\n\r\n" + body
    return Reply(status, headers, keep, close, len(body))


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
THROTTLED = error(429, "Throttled", "too many requests (access.requestsPerSecond)", ((b"Retry-After", b"1"),))
STOPPING = error(503, "CredentialsUnavailable", "this server is being stopped", ((b"Retry-After", b"1"),))
FULL = error(429, "Throttled", "too many wait for an answer (access.maxConnections)", ((b"Retry-After", b"1"),))
TARGET_TOO_LONG = error(414, "TooLarge", "the path is longer than 8192 bytes")
HEAD_TOO_LARGE = error(431, "TooLarge", "the head is larger than 16384 bytes or 100 lines")


def method_not_allowed(allowed: bytes) -> Reply:
    """405 for a path that exists; HEAD is among the refused, since no client sends it."""
    return error(405, "MethodNotAllowed", f"use {allowed.decode()}", ((b"Allow", allowed),))
