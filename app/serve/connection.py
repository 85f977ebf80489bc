"""One connection between its requests: when it is read, how much it may hold, and how it ends.

Unread data costs memory: the kernel charges socket buffers to the sidecar's cgroup. So both directions of a
connection are bounded: `system/sockets.py` keeps the buffers small, and a connection is not read until its last
response has left the process. `ConnectionTable` bounds the sum over all connections.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from ..core.record import Record
from ..system.sockets import reset_on_close, unsent_bytes
from .connection_table import IDLE_SECONDS, KEPT_BYTES, ConnectionTable
from .memo import Decision
from .peers.peer import Peer
from .request import Request
from .responses import Response
from .turns import RequestQueue

REQUEST_SECONDS = 10.0
"""The longest time from a request's first byte to its last; sending slowly does not extend it.

Also the longest time for which a client may leave a response unread, or a request waits for its turn.
"""

LINGER_SECONDS = 1.0
"""How long the rest of a refused request is read and dropped, so that the refusal arrives."""

_UNREAD, _QUEUED, _HELD = 1, 2, 4


class Handle(Protocol):
    """
    Answers a request: with a response at once, or with a coroutine if the request has to wait.

    Should raise nothing. If an exception occurs, it is logged, and the client receives 500.
    """

    def __call__(self, request: Request, /) -> Response | Coroutine[Any, Any, Response]: ...


class Repeats(Protocol):
    """Answers repeated requests by their bytes (`Dispatcher`)."""

    def recall(self, head: bytes, /) -> Decision | None: ...

    def repeat(self, decision: Decision, peer: Peer, /) -> Response | Coroutine[Any, Any, Response]: ...

    def remember(self, head: bytes, request: Request, /, *, keep_alive: bool) -> None: ...


class Context(Record, frozen=True):
    """The objects that all connections of one listener share. `repeats` is None for a listener without a memo."""

    loop: asyncio.AbstractEventLoop
    handle: Handle
    peer_of: Callable[[asyncio.Transport], Peer]
    table: ConnectionTable
    queue: RequestQueue
    repeats: Repeats | None = None


class Connection(asyncio.Protocol):
    """
    The flow of one connection. `BoundedProtocol` adds requests and responses.

    `busy`: a response is owed; if the client sends more data first, this response is the last one. `task` makes the
    response. `_kept`: received bytes that are not parsed yet. `_paused`: the reasons for not reading, as flags: the
    client leaves its response unread, a request waits for its turn, or the caller is above its rate.
    """

    __slots__ = (
        *("_context", "_kept", "_lingering", "_paused"),
        *("added", "answered", "busy", "deadline", "task", "transport"),
    )

    def __init__(self, context: Context) -> None:
        self._context = context
        self._kept = b""
        self._paused = 0
        self._lingering = False
        self.added = 0
        self.answered = False
        self.busy = False
        self.task: asyncio.Task[Response] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        self.deadline = self._context.loop.time() + IDLE_SECONDS
        self._context.table.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._context.table.discard(self)
        if self._paused & _QUEUED:
            self._context.queue.leave(self)
        if self._kept:
            self.keep(b"")
        if self.task is not None:
            self.task.cancel()

    # --- when it is read ----------------------------------------------------------------------------------------------

    def advance(self, data: bytes) -> None:
        """Answer the first request in `data`, and keep the rest in `_kept`."""
        raise NotImplementedError

    def queue(self, data: bytes) -> None:
        """Keep `data` for a later turn of the loop, and read nothing meanwhile."""
        if self.answered and self._context.table.kept_bytes > KEPT_BYTES:
            self.finish(LINGER_SECONDS)
            return
        self.keep(data)
        self._queue()

    def skip(self) -> None:
        """Read nothing until a later turn, so that bytes to be dropped arrive no faster than requests would."""
        self._pause(_QUEUED)
        self._context.queue.wait(self)

    def keep(self, data: bytes) -> None:
        """Replace the kept bytes with `data`."""
        self._context.table.kept_bytes += len(data) - len(self._kept)
        self._kept = data

    def hold_unread(self, data: bytes) -> None:
        """Keep `data` until the client has read its last response."""
        self.keep(data)
        self.transport.set_write_buffer_limits(0)  # makes the transport call `pause_writing`

    def hold(self, seconds: float) -> None:
        """Stop reading for `seconds`: the caller is above its rate. A request that it sends meanwhile costs no CPU."""
        self._pause(_HELD)
        self.deadline = self._context.loop.time() + seconds + IDLE_SECONDS
        self._context.loop.call_later(seconds, self._resume, _HELD)

    def proceed(self) -> None:
        """Answer one request: this connection's turn has come."""
        self._paused &= ~_QUEUED
        if self._paused or self.transport.is_closing():
            return  # `_resume` queues the connection again when the other reason for the pause ends
        if self.transport.get_write_buffer_size():
            self.hold_unread(self._kept)
            return
        data = self._kept
        self.keep(b"")
        if data:
            self.advance(data)
        if not self._paused:
            self.transport.resume_reading()

    def pause_writing(self) -> None:
        """Stop reading: the client leaves its responses unread. The connection ends after REQUEST_SECONDS."""
        self._pause(_UNREAD)
        self.deadline = self._context.loop.time() + REQUEST_SECONDS
        self._context.table.stall(self)

    def resume_writing(self) -> None:
        """Accept requests again: the client has read its responses."""
        self._context.table.unstall(self)
        self.deadline = self._context.loop.time() + IDLE_SECONDS
        self._resume(_UNREAD)

    def _pause(self, reason: int) -> None:
        if not self._paused:
            self.transport.pause_reading()
        self._paused |= reason

    def _resume(self, reason: int) -> None:
        self._paused &= ~reason
        if self._paused or self.transport.is_closing():
            return
        if self._kept and not self.closed_to_requests:
            self._queue()
        else:
            self.transport.resume_reading()

    def _queue(self) -> None:
        self._pause(_QUEUED)
        self.deadline = max(self.deadline, self._context.loop.time() + REQUEST_SECONDS)
        self._context.queue.wait(self)

    # --- how it ends --------------------------------------------------------------------------------------------------

    @property
    def closed_to_requests(self) -> bool:
        """Whether further bytes no longer count: refused, closing, or a response is owed that will be the last."""
        return self._lingering or self.busy or self.transport.is_closing()

    @property
    def closed(self) -> bool:
        """Whether the connection is closed, or being closed."""
        return self.transport.is_closing()

    @property
    def owes(self) -> bool:
        """Whether a response is owed: a request was received, or bytes that may be one."""
        return self.busy or bool(self._kept)

    def close(self) -> None:
        """Close after the written responses have been sent."""
        self.transport.close()

    def drop(self) -> None:
        """Close now, without waiting for an unread response: a graceful close would wait for the client to read it."""
        if self.unread():
            reset_on_close(self.transport.get_extra_info("socket"))
            self.transport.abort()
        else:
            self.transport.close()

    def give_up(self, response: Response) -> None:
        """Close now; a client that waits for a response gets `response`."""
        if self.owes and not self.transport.is_closing() and not self.unread():
            if self.task is not None:
                self.task.cancel()
            self.transport.write(response.bytes_for(b"GET", keep_alive=False))
            self.transport.abort() if self.transport.get_write_buffer_size() else self.transport.close()
        else:
            self.drop()

    def expire(self) -> None:
        """Close the connection: its deadline has passed."""
        self.drop()

    def finish(self, seconds: float = REQUEST_SECONDS) -> None:
        """Close the sending side. For `seconds`, read further bytes and drop them."""
        # If bytes were unread at the close, the kernel would reset the connection, and the response would be lost.
        self.transport.write_eof()
        self._lingering = True
        self.keep(b"")
        self.deadline = self._context.loop.time() + seconds

    def unread(self) -> bool:
        """Return whether a part of the last response has not left this machine."""
        if self.transport.get_write_buffer_size():
            return True
        return unsent_bytes(self.transport.get_extra_info("socket")) > 0

    def unread_bytes(self) -> int:
        """Return the number of response bytes that the kernel has not taken yet."""
        return self.transport.get_write_buffer_size()
