"""Changes that put a fault into the responses of a correct server, byte by byte."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from typing import Any

from app.serve.request import Request

from .conftest import Change


def is_role(request: Request) -> bool:
    """Select the requests for the credentials of the role `default`."""
    return request.method == b"GET" and request.target.partition(b"?")[0].lower().endswith(b"/default")


def is_list(request: Request) -> bool:
    """Select the requests for the role list."""
    return request.method == b"GET" and request.target.partition(b"?")[0].rstrip(b"/").endswith(b"security-credentials")


def is_token(request: Request) -> bool:
    """Select the requests for a metadata token."""
    return request.method == b"PUT"


def has_credentials(raw: bytes) -> bool:
    """Whether the response has credentials."""
    return b'"AccessKeyId"' in raw


def with_body(raw: bytes, body: bytes) -> bytes:
    """Return the response with another body and the Content-Length of that body."""
    head = raw.partition(b"\r\n\r\n")[0]
    head = re.sub(rb"(?i)content-length: [0-9]+", b"Content-Length: %d" % len(body), head)
    return head + b"\r\n\r\n" + body


def members(change: Callable[[dict[str, Any]], object]) -> Change:
    """Apply `change` to the JSON object of each response with credentials."""

    def changed(_request: Request, raw: bytes) -> bytes:
        if not has_credentials(raw):
            return raw
        found = json.loads(raw.partition(b"\r\n\r\n")[2])
        change(found)
        return with_body(raw, json.dumps(found, separators=(",", ":")).encode())

    return changed


def without_header(name: bytes) -> Change:
    """Remove one header from every response."""
    return lambda _request, raw: re.sub(rb"(?i)\r\n" + name + rb": [^\r]*", b"", raw, count=1)


def status(where: Callable[[Request], bool], line: bytes, body: bytes = b"") -> Change:
    """Replace the whole response to the requests that `where` selects."""
    response = b"HTTP/1.1 " + line + b"\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    return lambda request, raw: response if where(request) else raw


def body(where: Callable[[Request], bool], change: Callable[[bytes], bytes]) -> Change:
    """Apply `change` to the body of successful responses to the requests that `where` selects."""

    def changed(request: Request, raw: bytes) -> bytes:
        if not where(request) or not raw.startswith(b"HTTP/1.1 200"):
            return raw
        return with_body(raw, change(raw.partition(b"\r\n\r\n")[2]))

    return changed


def chunked(request: Request, raw: bytes) -> bytes:
    """Send the body in one chunk, without Content-Length."""
    if request.method == b"HEAD":
        return raw
    head, _, content = raw.partition(b"\r\n\r\n")
    head = re.sub(rb"(?i)\r\ncontent-length: [0-9]+", b"\r\nTransfer-Encoding: chunked", head)
    return head + b"\r\n\r\n%x\r\n" % len(content) + content + b"\r\n0\r\n\r\n"


def gzipped(_request: Request, raw: bytes) -> bytes:
    """Compress the body."""
    changed = with_body(raw, gzip.compress(raw.partition(b"\r\n\r\n")[2]))
    return changed.replace(b"\r\n", b"\r\nContent-Encoding: gzip\r\n", 1)
