"""The bridge from the bounded protocol to an ASGI application."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from app.serve.asgi import AsgiApplication
from app.serve.peers.peer import UNKNOWN_PEER
from app.serve.request import Request

App = Callable[[Any, Any, Any], Coroutine[Any, Any, None]]
REQUEST = Request(b"GET", b"/docs/%C3%BC?a=b?c", [(b"host", b"localhost")])


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 40_000), "sockname": ("127.0.0.1", 7118)})
        self.written = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def resume_reading(self) -> None:
        pass


async def hello(_scope: Any, _receive: Any, send: Any) -> None:
    """Answer with `hello`."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


async def answered(app: App, *, keep_alive: bool = True) -> tuple[Transport, int]:
    """Return the transport after one request, and how often its response was reported as complete."""
    transport, done = Transport(), []
    async with asyncio.timeout(5):
        await AsgiApplication(app, "ops")(
            REQUEST, transport, keep_alive=keep_alive, done=lambda: done.append(transport.written)
        )
    return transport, len(done)


@pytest.mark.parametrize(("keep_alive", "header"), [(True, b""), (False, b"connection: close\r\n")])
async def test_response(keep_alive: bool, header: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """The response has the application's headers alone; a connection that ends is closed; nothing is logged."""
    with caplog.at_level(logging.DEBUG):
        transport, done = await answered(hello, keep_alive=keep_alive)

    assert transport.written == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n" + header + b"\r\nhello"
    assert (transport.closed, done) == (not keep_alive, 1)
    assert [record.message for record in caplog.records if record.name.startswith("uvicorn")] == []


async def test_scope() -> None:
    """The application gets the raw path, the query, the addresses, the listener and the peer."""
    scopes: list[dict[str, Any]] = []

    async def record(scope: dict[str, Any], receive: Any, send: Any) -> None:
        scopes.append(scope)
        await hello(scope, receive, send)

    await answered(record)

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
            "client": ("127.0.0.1", 40_000),
            "server": ("127.0.0.1", 7118),
            "state": {"listener": "ops", "peer": UNKNOWN_PEER},
        }
    ]


async def test_request_is_empty_and_complete() -> None:
    """The application receives an empty body at once, without `100 Continue`; after its response, a disconnect."""
    received: list[dict[str, Any]] = []

    async def reads(scope: Any, receive: Any, send: Any) -> None:
        received.append(await receive())
        await hello(scope, receive, send)
        received.append(await receive())

    transport, _ = await answered(reads)

    assert received == [{"type": "http.request", "body": b"", "more_body": False}, {"type": "http.disconnect"}]
    assert transport.written.startswith(b"HTTP/1.1 200 OK")


async def test_error_of_the_application(caplog: pytest.LogCaptureFixture) -> None:
    """An exception of the application is answered with 500, and logged without the request."""

    async def fails(_scope: Any, _receive: Any, _send: Any) -> None:
        raise RuntimeError("a bug")

    transport, done = await answered(fails)

    assert transport.written.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert (transport.closed, done) == (True, 1)
    assert [(record.name, record.message) for record in caplog.records] == [
        ("uvicorn.error", "Exception in ASGI application\n")
    ]


async def test_client_that_goes_away() -> None:
    """If the client goes away, the application runs on; it learns of the disconnect, and what it sends is dropped."""
    started, goes_on, received = asyncio.Event(), asyncio.Event(), list[dict[str, Any]]()
    ended = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        received.append(await receive())
        waiting = asyncio.ensure_future(receive())
        started.set()
        await goes_on.wait()
        received.append(await waiting)
        await hello(scope, receive, send)
        ended.set()

    transport, done = Transport(), []
    work = asyncio.ensure_future(
        AsgiApplication(slow, "ops")(REQUEST, transport, keep_alive=True, done=lambda: done.append(1))
    )
    async with asyncio.timeout(5):
        await started.wait()
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work
        assert work.cancelled()
        goes_on.set()
        await ended.wait()

    assert [message["type"] for message in received] == ["http.request", "http.disconnect"]
    assert (transport.written, done) == (b"", [])
