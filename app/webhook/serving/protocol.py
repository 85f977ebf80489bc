"""uvicorn's protocol with a time limit for the head of a request.

uvicorn waits for the head without a limit. Any pod of the cluster can connect to the webhook, and 512 silent
connections would lock out the API server.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .connections import Connections

HEAD_SECONDS = 5.0
"""Seconds from the connection, or from the first byte of a later request, to the end of the head."""


class HeadTimeoutProtocol(HttpToolsProtocol):
    """Closes a connection whose request head is late. `counted`: all connections of the listener."""

    def __init__(self, counted: Connections, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._counted = counted
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._counted.closed(self.transport)
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self._await_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._stop_waiting()
        self._counted.answering(self.transport)
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        self._counted.waiting(self.transport)
        super().on_response_complete()

    def _await_head(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
