"""Runs the FastAPI application for one request, without a server.

The production listeners use it for the pages that the handlers leave to the application. Imported with FastAPI, at the
first request for one of these pages.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from .request import Request
from .responses import Response, response

App = Callable[[dict[str, Any], Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]

_ADDED = frozenset({b"content-type", b"content-length", b"cache-control"})
"""Headers that `response` adds itself."""


async def respond(app: App, request: Request, listener: str) -> Response:
    """Return the application's response to a request at `listener`. The request's body was read and dropped before."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(_scope(request, listener), receive, send)
    headers = {name.lower(): value for name, value in sent[0]["headers"]}
    extra = tuple((name, value) for name, value in headers.items() if name not in _ADDED)
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return response(sent[0]["status"], body, headers[b"content-type"], extra)


def _scope(request: Request, listener: str) -> dict[str, Any]:
    path, _, query = request.target.partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method.decode("ascii"),
        "scheme": "http",
        "path": path.decode("latin-1"),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": request.headers,
        "client": (request.peer.host, 0),
        "server": None,
        "state": {"listener": listener, "peer": request.peer},
    }
