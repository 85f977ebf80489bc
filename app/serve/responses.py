"""HTTP responses as bytes, built once. No response is chunked, compressed, cached or without a Content-Type."""

from __future__ import annotations

import json
import math
from http import HTTPStatus

from ..core.formats import error_document
from ..core.record import Record

JSON = b"application/json; charset=utf-8"
TEXT = b"text/plain; charset=utf-8"

KEEP_ALIVE_SECONDS = 5
"""Seconds within which the client may send its next request, announced with each response that keeps the connection.

Node's and Apache's connection pools obey this time. Other pools must find the connection open or closed, never
closing, so the server closes it later (`connection_table.IDLE_SECONDS`).
"""

Headers = tuple[tuple[bytes, bytes], ...]

_KEPT = b"Connection: keep-alive\r\nKeep-Alive: timeout=%d\r\n\r\n" % KEEP_ALIVE_SECONDS
"""The end of a head after which the connection stays open. Java reads the time only with the first of the two lines."""

_CLOSED = b"Connection: close\r\n\r\n"


class Response(Record, frozen=True):
    """
    One response. `wire` holds its bytes for a connection that stays open.

    A body may hold credentials, so `repr` shows neither body nor bytes.
    """

    HIDDEN = frozenset({"wire"})

    status: int
    headers: Headers
    wire: bytes
    body_length: int

    @property
    def body(self) -> bytes:
        """The body alone."""
        return self.wire[len(self.wire) - self.body_length :]

    def bytes_for(self, method: bytes, *, keep_alive: bool) -> bytes:
        """Return the bytes to send: without the body for HEAD, and with `Connection: close` unless `keep_alive`."""
        if keep_alive and method != b"HEAD":
            return self.wire
        end = len(self.wire) - self.body_length
        head = self.wire[:end] if keep_alive else self.wire[: end - len(_KEPT)] + _CLOSED
        return head if method == b"HEAD" else head + self.wire[end:]


def response(status: int, body: bytes, content_type: bytes = JSON, extra: Headers = ()) -> Response:
    """Return a response with `body`; Content-Length, Cache-Control and, on the wire, Keep-Alive are added."""
    headers: Headers = (
        (b"Content-Type", content_type),
        (b"Content-Length", str(len(body)).encode()),
        (b"Cache-Control", b"no-store"),
        *extra,
    )
    start = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
    return Response(status, headers, start + lines + _KEPT + body, len(body))


def error(status: int, code: str, message: str, extra: Headers = ()) -> Response:
    """Return an error response. Several clients look at the member `Code` alone."""
    return response(status, error_document(code, message), extra=extra)


def unavailable(message: str, retry_after: float) -> Response:
    """Return 503 with Retry-After in whole seconds, rounded up, because an earlier request would fail again."""
    return error(503, "CredentialsUnavailable", message, ((b"Retry-After", b"%d" % math.ceil(retry_after)),))


def document(status: int, value: object) -> Response:
    """Return a JSON response that is built per request: probes and status, never a credential."""
    return response(status, json.dumps(value, separators=(",", ":")).encode())


def method_not_allowed(allowed: bytes) -> Response:
    """Return 405 for a path that exists. HEAD is refused unless it is in `allowed`: no SDK sends HEAD."""
    return error(405, "MethodNotAllowed", f"use {allowed.decode()}", ((b"Allow", allowed),))


NOT_FOUND = error(404, "NotFound", "nothing is served at this path")
BAD_REQUEST = error(400, "BadRequest", "not a request that this server understands")
INTERNAL_ERROR = error(500, "InternalError", "this server failed to answer; its log says more")
REQUEST_TIMEOUT = error(408, "RequestTimeout", "the request did not arrive in time")
BODY_TOO_LARGE = error(413, "TooLarge", "the body is larger than 1024 bytes")
TARGET_TOO_LONG = error(414, "TooLarge", "the path is longer than 8192 bytes")
HEAD_TOO_LARGE = error(431, "TooLarge", "the head is larger than 16384 bytes or 100 lines")
THROTTLED = error(429, "Throttled", "too many requests (access.requestsPerSecond)", ((b"Retry-After", b"1"),))
TOO_MANY_WAITING = error(
    429, "Throttled", "too many requests wait for an answer (access.maxConnections)", ((b"Retry-After", b"1"),)
)
STOPPING = error(503, "CredentialsUnavailable", "this server is stopping", ((b"Retry-After", b"1"),))
