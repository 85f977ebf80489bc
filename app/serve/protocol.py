"""The bounded HTTP/1.1 protocol of the production listeners, and its fast path.

A request is read whole, within its limits, before a handler sees it. A response is written without a task or a
framework. Requests that the handlers leave to the application go to FastAPI (asgi.py). Before a request is parsed, its
bytes are looked up among the remembered decisions (memo.py).

Why not uvicorn's protocol: ARCHITECTURE.md, under Decisions.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from .connection import LINGER_SECONDS, REQUEST_SECONDS, Connection, Context
from .connection_table import IDLE_SECONDS
from .memo import Decision
from .peers.peer import Peer
from .request import Request, RequestHeaders
from .request_reader import RequestReader
from .responses import INTERNAL_ERROR, REQUEST_TIMEOUT, THROTTLED, Response

_LOGGER = logging.getLogger("idaas_sidecar.protocol")

MOST_PIPELINED = 16
"""The most requests that a client may send without a pause; no SDK sends two. The connection ends after the response
to the last of them."""

HOLD_SECONDS = 1.0
"""Seconds for which a connection is not read after a request above the rate: the `Retry-After` of its response."""

Outcome = Response | Coroutine[Any, Any, Response]


class BoundedProtocol(Connection):
    """
    The requests and responses of one connection.

    `_pipelined`: the number of requests since the client last paused. `_last`: the request of the current segment that
    was answered 200, until its decision has been remembered.
    """

    __slots__ = ("_keep_alive", "_last", "_peer", "_pipelined", "_reader")

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._reader: RequestReader | None = None
        self._peer: Peer | None = None
        self._last: Request | None = None
        self._keep_alive = True
        self._pipelined = 0

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def eof_received(self) -> bool:
        """Keep the connection half open if a client that has sent everything still waits for its response."""
        return self.owes

    def data_received(self, data: bytes) -> None:
        if self.busy or self._lingering or self._paused:
            self._receive_late(data)
            return
        self._pipelined = 0
        if self.transport.get_write_buffer_size():
            self.hold_unread(data)
        elif self._context.queue.admits():
            self.advance(data)
        else:
            self.queue(data)

    def _receive_late(self, data: bytes) -> None:
        if self._paused:  # a paused transport delivers the bytes that it had already read
            self.keep(self._kept + data)
            return
        if self.busy:  # pipelined before the response, which no client does: the owed response is the last one
            self._keep_alive = False
        self.skip()

    def advance(self, data: bytes) -> None:
        """Answer the first request in `data`, and keep the rest in `_kept`."""
        self._pipelined += 1
        reader = self._reader
        if self._context.repeats is not None and (reader is None or not reader.receiving):
            decision = self._context.repeats.recall(data)
            if decision is not None:
                self._repeat(decision)
                return
        if reader is None:
            reader = self._reader = RequestReader(self)
        at_start = not reader.receiving
        self._last = None
        parsed = reader.feed(data)
        if parsed == len(data):
            self._remember_last(data if at_start and self._pipelined == 1 else None)
        elif self.busy:
            self._keep_alive = False
        elif not self.closed_to_requests:
            self.queue(data[parsed:])

    def expire(self) -> None:
        """End the connection, whose deadline has passed: answer an incomplete request with 408, close an idle one."""
        if self._reader is not None and self._reader.receiving and not self.closed_to_requests and not self._kept:
            self.refuse(REQUEST_TIMEOUT)
        else:
            super().expire()

    # --- repeated requests --------------------------------------------------------------------------------------------

    def _repeat(self, decision: Decision) -> None:
        assert self._context.repeats is not None  # noqa: S101 - the decision came from there
        self._keep_alive = decision.keep_alive and self._pipelined < MOST_PIPELINED
        outcome: Outcome
        try:
            outcome = self._context.repeats.repeat(decision, self._identified())
        except Exception:
            _LOGGER.exception("answering a request failed")
            self.refuse(INTERNAL_ERROR)
            return
        self._respond(outcome, decision.request)

    def _remember_last(self, head: bytes | None) -> None:
        """Remember the decision for a request answered 200, if `head` is exactly this request, without a body."""
        request, self._last = self._last, None
        if request is None or head is None:
            return
        # `count` would find one end in `\r\n\r\n\r\n`, which is a head and the body `\r\n`; `find` gives the first end.
        whole = head.startswith(b"GET ") and head.find(b"\r\n\r\n") == len(head) - 4
        # A client with `Expect: 100-continue` must receive 100 Continue every time.
        if whole and self._context.repeats is not None and not request.values(b"expect"):
            self._context.repeats.remember(head, request, keep_alive=self._keep_alive)

    # --- requests from the reader -------------------------------------------------------------------------------------

    def begin_request(self) -> None:
        """Start the deadline of a request: its first byte has arrived."""
        if self.closed_to_requests:
            self._keep_alive = False
        else:
            self.deadline = self._context.loop.time() + REQUEST_SECONDS

    def continue_request(self) -> None:
        """Tell the client to send the body."""
        self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def complete_request(self, method: bytes, target: bytes, headers: RequestHeaders, *, keep_alive: bool) -> None:
        """Answer a request that has arrived completely."""
        self._keep_alive = keep_alive and self._pipelined < MOST_PIPELINED
        request = Request(method, target, headers, self._identified())
        outcome = self._context.handle(request)
        self._last = request if isinstance(outcome, Response) and outcome.status == 200 else None
        self._respond(outcome, request)

    def refuse(self, response: Response) -> None:
        """Answer bytes that are not a request. The connection ends, because its framing cannot be trusted."""
        if self.closed_to_requests:
            self._keep_alive = False
            return
        self.transport.write(response.bytes_for(b"GET", keep_alive=False))
        self.finish(LINGER_SECONDS)

    def _identified(self) -> Peer:
        if self._peer is None:
            self._peer = self._context.peer_of(self.transport)
        return self._peer

    # --- responses ----------------------------------------------------------------------------------------------------

    def _respond(self, outcome: Outcome, request: Request) -> None:
        if isinstance(outcome, Response):
            self._send(outcome, request)
            return
        self.busy = True
        self.deadline = float("inf")
        # The coroutine itself is the task. A wrapper that is cancelled before its first step would never await it.
        self.task = self._context.loop.create_task(outcome)
        self.task.add_done_callback(lambda task: self._ready(task, request))

    def _ready(self, task: asyncio.Task[Response], request: Request) -> None:
        """Send the response that `task` has made."""
        self.busy, self.task = False, None
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            _LOGGER.error("answering a request failed", exc_info=error)
            self._keep_alive = False
        if not self.closed_to_requests:
            self._send(INTERNAL_ERROR if error is not None else task.result(), request)

    def _send(self, response: Response, request: Request) -> None:
        self.answered = True
        if not self._keep_alive:
            self._send_last(response, request)
            return
        self.deadline = self._context.loop.time() + IDLE_SECONDS  # before the write: `pause_writing` sets another one
        self.transport.write(response.bytes_for(request.method, keep_alive=True))
        self._context.table.touch(self)
        if response is THROTTLED:
            self.hold(HOLD_SECONDS)

    def _send_last(self, response: Response, request: Request) -> None:
        table = self._context.table
        checked = table.checks_closing()
        if checked:
            self.transport.set_write_buffer_limits(0)  # write now, to learn whether the client reads the response
        self.transport.write(response.bytes_for(request.method, keep_alive=False))
        if checked and self.unread():
            table.suspect()
            self.finish()
        elif self._pipelined >= MOST_PIPELINED:
            self.finish(LINGER_SECONDS)
        else:
            self.transport.close()
