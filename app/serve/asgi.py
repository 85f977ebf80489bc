"""Runs the FastAPI application for a request that the handlers leave to it, by uvicorn's own request/response cycle.

The request was read and bounded by this program's protocol already; the cycle speaks ASGI and writes the response. It
is a private class of uvicorn, so `pyproject.toml` ties uvicorn to its minor version. Imported with FastAPI, at the
first request for one of its pages.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from .request import Request

_LOGGER = logging.getLogger("uvicorn.error")


class AsgiApplication:
    """One ASGI application on connections of the bounded protocol. `listener` is the name of the listener."""

    def __init__(self, app: Any, listener: str) -> None:
        self._app = app
        self._listener = listener

    async def __call__(
        self, request: Request, transport: asyncio.Transport, *, keep_alive: bool, done: Callable[[], None]
    ) -> None:
        """Answer `request`, whose body was read and dropped; `done` is called when the response is complete."""
        received = asyncio.Event()
        received.set()
        cycle = RequestResponseCycle(
            scope=self._scope(request, transport),
            transport=transport,
            flow=FlowControl(transport),
            logger=_LOGGER,
            access_logger=_LOGGER,
            access_log=False,  # a URL may hold the path token
            default_headers=[],
            message_event=received,
            expect_100_continue=False,
            keep_alive=keep_alive,
            on_response=done,
        )
        cycle.more_body = False
        work = asyncio.get_running_loop().create_task(cycle.run_asgi(self._app))
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:  # the client is gone: the cycle drops what the application still sends
            cycle.disconnected = True
            received.set()
            raise

    def _scope(self, request: Request, transport: asyncio.Transport) -> Any:
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
            "client": transport.get_extra_info("peername"),
            "server": transport.get_extra_info("sockname"),
            "state": {"listener": self._listener, "peer": request.peer},
        }
