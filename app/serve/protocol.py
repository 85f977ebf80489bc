"""The bounded HTTP/1.1 protocol of the production listeners, and its fast path.

A request is read whole, within its limits, before a handler sees it. A response is written without a task or a
framework; what the handlers leave to the application goes to FastAPI (asgi.py). Before a request is parsed, its bytes
are looked up among the remembered decisions (memo.py).

Why not uvicorn's protocol here: a connection through it costs twice the CPU, its import 60 ms and 4 MiB, and every
limit would have to be added all the same. `make bench` prints today's ratios.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from .connection_table import ConnectionTable
from .memo import Decision
from .peers.peer import Peer
from .request import Request, RequestHeaders
from .request_reader import RequestReader
from .responses import INTERNAL_ERROR, NOT_FOUND, REQUEST_TIMEOUT, Response

_LOGGER = logging.getLogger("idaas_sidecar.protocol")

REQUEST_SECONDS = 10.0
"""From a request's first byte to its last; trickling does not extend it."""

IDLE_SECONDS = 5.0
"""Keep-alive: credentials-go leaves a connection idle for 90 s after every fetch."""

LINGER_SECONDS = 1.0
"""How long the rest of a refused request is read and dropped, so that the refusal arrives."""


class Handle(Protocol):
    """
    Answers a request: a response at once; a coroutine where it has to wait; None where the application answers.

    Raises nothing; an exception all the same is answered by 500 and logged.
    """

    def __call__(self, request: Request, /) -> Response | Coroutine[Any, Any, Response] | None: ...


class Repeats(Protocol):
    """Answers repeated requests by their bytes (`Dispatcher`)."""

    def recall(self, head: bytes, /) -> Decision | None: ...

    def repeat(self, decision: Decision, peer: Peer, /) -> Response | Coroutine[Any, Any, Response]: ...

    def remember(self, head: bytes, request: Request, /, *, keep_alive: bool) -> None: ...


class Application(Protocol):
    """Runs the application for one request, which writes its response to the transport itself."""

    async def __call__(
        self, request: Request, transport: asyncio.Transport, /, *, keep_alive: bool, done: Callable[[], None]
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class Context:
    """What all connections of one listener share. `repeats` and `application` are None where there is none."""

    loop: asyncio.AbstractEventLoop
    handle: Handle
    peer_of: Callable[[asyncio.Transport], Peer]
    table: ConnectionTable
    repeats: Repeats | None = None
    application: Application | None = None


class BoundedProtocol(asyncio.Protocol):
    """
    One connection.

    `busy`: a response is owed; it is the last one if the client sends more before it. `task` makes that response.
    `_last`: the request that the segment under way was answered 200 for, until it has been remembered.
    """

    __slots__ = (
        "_context",
        "_keep_alive",
        "_last",
        "_lingering",
        "_peer",
        "_reader",
        "busy",
        "deadline",
        "task",
        "transport",
    )  # fmt: skip

    def __init__(self, context: Context) -> None:
        self._context = context
        self._reader: RequestReader | None = None
        self._peer: Peer | None = None
        self._last: Request | None = None
        self._keep_alive = True
        self._lingering = False
        self.busy = False
        self.task: asyncio.Task[None] | None = None

    # --- the connection's life ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        self.deadline = self._context.loop.time() + IDLE_SECONDS
        self._context.table.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._context.table.discard(self)
        if self.task is not None:
            self.task.cancel()
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def eof_received(self) -> bool:
        """Keep the connection half open where a client that has sent everything still waits for its response."""
        return self.busy

    def data_received(self, data: bytes) -> None:
        if self.busy:  # pipelined behind a response that is owed, which no client does: that response is the last
            self._keep_alive = False
            return
        if self._lingering:
            return
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
        reader.feed(data)
        self._remember_last(data if at_start else None)

    def expire(self) -> None:
        """The deadline has passed: half a request gets 408, an idle connection is closed."""
        if self._reader is not None and self._reader.receiving and not self.closed_to_requests:
            self.refuse(REQUEST_TIMEOUT)
        else:
            self.drop()

    def close(self) -> None:
        """Close when what was written has been sent."""
        self.transport.close()

    def drop(self) -> None:
        """Close now. A client that does not read would keep a graceful close waiting for ever."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def give_up(self, response: Response) -> None:
        """Close now; a client that waits for a response gets `response`."""
        if self.task is not None and not self.transport.is_closing():
            self.task.cancel()
            self.transport.write(response.bytes_for(b"GET", keep_alive=False))
        self.drop()

    def pause_writing(self) -> None:
        """The client does not read its responses: accept no more requests from it, and not for long."""
        self.transport.pause_reading()
        self.deadline = self._context.loop.time() + REQUEST_SECONDS

    def resume_writing(self) -> None:
        """The client has read what was sent: accept requests again."""
        self.transport.resume_reading()
        self.deadline = self._context.loop.time() + IDLE_SECONDS

    # --- repeated requests --------------------------------------------------------------------------------------------

    def _repeat(self, decision: Decision) -> None:
        assert self._context.repeats is not None  # noqa: S101 - the decision came from there
        self._keep_alive = decision.keep_alive
        outcome: Response | Coroutine[Any, Any, Response] | None
        try:
            outcome = self._context.repeats.repeat(decision, self._identified())
        except Exception:
            _LOGGER.exception("answering a request failed")
            self.refuse(INTERNAL_ERROR)
            return
        self._respond(outcome, decision.request)

    def _remember_last(self, head: bytes | None) -> None:
        """Remember what the segment was answered 200 for, if it is that one request, complete and without a body."""
        request, self._last = self._last, None
        if request is None or head is None:
            return
        whole = head.startswith(b"GET ") and head.endswith(b"\r\n\r\n") and head.count(b"\r\n\r\n") == 1
        # A client that expects 100 Continue must get it every time.
        if whole and self._context.repeats is not None and not request.values(b"expect"):
            self._context.repeats.remember(head, request, keep_alive=self._keep_alive)

    # --- requests from the reader -------------------------------------------------------------------------------------

    @property
    def closed_to_requests(self) -> bool:
        """Whether further bytes no longer count: refused, closing, or a response is owed that will be the last."""
        return self._lingering or self.busy or self.transport.is_closing()

    def begin_request(self) -> None:
        """The first byte of a request has arrived: it has to be complete in time."""
        if self.closed_to_requests:
            self._keep_alive = False
        else:
            self.deadline = self._context.loop.time() + REQUEST_SECONDS

    def continue_request(self) -> None:
        """Tell the client to send the body."""
        self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def complete_request(self, method: bytes, target: bytes, headers: RequestHeaders, *, keep_alive: bool) -> None:
        """A whole request has arrived: answer it."""
        self._keep_alive = keep_alive
        request = Request(method, target, headers, self._identified())
        outcome = self._context.handle(request)
        self._last = request if isinstance(outcome, Response) and outcome.status == 200 else None
        self._respond(outcome, request)

    def refuse(self, response: Response) -> None:
        """Answer bytes that are no request. The connection ends, because its framing cannot be trusted."""
        if self.closed_to_requests:
            self._keep_alive = False
            return
        self.transport.write(response.bytes_for(b"GET", keep_alive=False))
        # Closed with bytes unread, the kernel would reset the connection and the response with it: half-closed, what
        # still arrives is read and dropped for a moment.
        self.transport.write_eof()
        self._lingering = True
        self.deadline = self._context.loop.time() + LINGER_SECONDS

    def _identified(self) -> Peer:
        if self._peer is None:
            self._peer = self._context.peer_of(self.transport)
        return self._peer

    # --- responses ----------------------------------------------------------------------------------------------------

    def _respond(self, outcome: Response | Coroutine[Any, Any, Response] | None, request: Request) -> None:
        if isinstance(outcome, Response):
            self._send(outcome, request)
            return
        self.busy = True
        self.deadline = float("inf")
        work = self._run_application(request) if outcome is None else self._wait_for(outcome, request)
        self.task = self._context.loop.create_task(work)

    def _send(self, response: Response, request: Request) -> None:
        self.deadline = self._context.loop.time() + IDLE_SECONDS  # before the write: `pause_writing` sets another one
        self.transport.write(response.bytes_for(request.method, keep_alive=self._keep_alive))
        self._next_request()

    def _next_request(self) -> None:
        if self._keep_alive:
            self._context.table.touch(self)
        else:
            self.transport.close()

    async def _wait_for(self, outcome: Coroutine[Any, Any, Response], request: Request) -> None:
        try:
            response = await outcome
        except Exception:
            _LOGGER.exception("answering a request failed")
            response, self._keep_alive = INTERNAL_ERROR, False
        self._end_wait()
        if not self.closed_to_requests:
            self._send(response, request)

    async def _run_application(self, request: Request) -> None:
        """Let the application answer this one request."""
        if self._context.application is None:
            self._end_wait()
            self._send(NOT_FOUND, request)
            return
        self.deadline = self._context.loop.time() + REQUEST_SECONDS
        await self._context.application(
            request, self.transport, keep_alive=self._keep_alive, done=self._application_done
        )

    def _application_done(self) -> None:
        self._end_wait()
        if not self.transport.is_closing():
            self.deadline = self._context.loop.time() + IDLE_SECONDS
            self._next_request()

    def _end_wait(self) -> None:
        self.busy, self.task = False, None
