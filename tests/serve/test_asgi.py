"""The bridge from a listener to an ASGI application."""

from __future__ import annotations

from typing import Any

import pytest

from app.serve.asgi import respond
from app.serve.peers.peer import UNKNOWN_PEER
from app.serve.request import Request

REQUEST = Request(b"GET", b"/docs/%C3%BC?a=b?c", [(b"host", b"localhost")])


async def hello(_scope: Any, _receive: Any, send: Any) -> None:
    """Answer with `hello`, in two parts."""
    headers = [(b"Content-Length", b"5"), (b"content-type", b"text/plain"), (b"X-Other", b"1")]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": b"he", "more_body": True})
    await send({"type": "http.response.body", "body": b"llo"})


async def test_response() -> None:
    """The response has the application's status, body and headers; length and caching are those of every response."""
    found = await respond(hello, REQUEST, "ops")

    assert (found.status, found.body) == (201, b"hello")
    assert found.headers == (
        (b"Content-Type", b"text/plain"),
        (b"Content-Length", b"5"),
        (b"Cache-Control", b"no-store"),
        (b"x-other", b"1"),
    )


async def test_scope() -> None:
    """The application gets the raw path, the query, the client's address, the listener and the peer."""
    scopes: list[dict[str, Any]] = []

    async def record(scope: dict[str, Any], receive: Any, send: Any) -> None:
        scopes.append(scope)
        await hello(scope, receive, send)

    await respond(record, REQUEST, "ops")

    assert scopes == [
        {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/docs/%C3%BC",
            "raw_path": b"/docs/%C3%BC",
            "query_string": b"a=b?c",
            "root_path": "",
            "headers": [(b"host", b"localhost")],
            "client": (UNKNOWN_PEER.host, 0),
            "server": None,
            "state": {"listener": "ops", "peer": UNKNOWN_PEER},
        }
    ]


async def test_request_is_empty_and_complete() -> None:
    """The application receives an empty body at once."""
    received: list[dict[str, Any]] = []

    async def reads(scope: Any, receive: Any, send: Any) -> None:
        received.append(await receive())
        await hello(scope, receive, send)

    await respond(reads, REQUEST, "ops")

    assert received == [{"type": "http.request", "body": b"", "more_body": False}]


async def test_error_of_the_application() -> None:
    """An exception of the application is the caller's to answer."""

    async def fails(_scope: Any, _receive: Any, _send: Any) -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        await respond(fails, REQUEST, "ops")
