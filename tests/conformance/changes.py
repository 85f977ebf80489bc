"""Ways to make a good server's answers worse, byte by byte."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from typing import Any

from app.serve.access import Request

from .conftest import Change


def is_role(request: Request) -> bool:
    return request.method == b"GET" and request.target.partition(b"?")[0].lower().endswith(b"/default")


def is_list(request: Request) -> bool:
    return request.method == b"GET" and request.target.partition(b"?")[0].rstrip(b"/").endswith(b"security-credentials")


def is_token(request: Request) -> bool:
    return request.method == b"PUT"


def is_credential(raw: bytes) -> bool:
    return b'"AccessKeyId"' in raw


def with_body(raw: bytes, body: bytes) -> bytes:
    """The answer with another body, and a Content-Length that is true."""
    head = raw.partition(b"\r\n\r\n")[0]
    head = re.sub(rb"(?i)content-length: [0-9]+", b"Content-Length: %d" % len(body), head)
    return head + b"\r\n\r\n" + body


def members(change: Callable[[dict[str, Any]], object]) -> Change:
    """Credentials whose JSON object `change` has had in its hands."""

    def changed(_request: Request, raw: bytes) -> bytes:
        if not is_credential(raw):
            return raw
        found = json.loads(raw.partition(b"\r\n\r\n")[2])
        change(found)
        return with_body(raw, json.dumps(found, separators=(",", ":")).encode())

    return changed


def without_header(name: bytes) -> Change:
    """Every answer without one of its headers."""
    return lambda _request, raw: re.sub(rb"(?i)\r\n" + name + rb": [^\r]*", b"", raw, count=1)


def status(where: Callable[[Request], bool], line: bytes, body: bytes = b"") -> Change:
    """Another answer altogether, where `where` says so."""
    answer = b"HTTP/1.1 " + line + b"\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    return lambda request, raw: answer if where(request) else raw


def body(where: Callable[[Request], bool], change: Callable[[bytes], bytes]) -> Change:
    """Another body, where `where` says so and the answer is a good one."""

    def changed(request: Request, raw: bytes) -> bytes:
        if not where(request) or not raw.startswith(b"HTTP/1.1 200"):
            return raw
        return with_body(raw, change(raw.partition(b"\r\n\r\n")[2]))

    return changed


def chunked(request: Request, raw: bytes) -> bytes:
    if request.method == b"HEAD":
        return raw
    head, _, content = raw.partition(b"\r\n\r\n")
    head = re.sub(rb"(?i)\r\ncontent-length: [0-9]+", b"\r\nTransfer-Encoding: chunked", head)
    return head + b"\r\n\r\n%x\r\n" % len(content) + content + b"\r\n0\r\n\r\n"


def zipped(_request: Request, raw: bytes) -> bytes:
    changed = with_body(raw, gzip.compress(raw.partition(b"\r\n\r\n")[2]))
    return changed.replace(b"\r\n", b"\r\nContent-Encoding: gzip\r\n", 1)
