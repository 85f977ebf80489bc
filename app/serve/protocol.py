"""Sockets and HTTP: httptools' parser within our limits, and answers that leave without a task or a framework.

Why not uvicorn here: a connection through its protocol costs twice as much CPU, importing it 60 ms and 4 MiB, and every
limit (the parser alone accepts a head of 4 MB and waits for ever) would be ours all the same. It speaks for the pages
that FastAPI makes (app/serve/asgi.py), to which a connection is handed over. `make bench` prints today's ratios.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import httptools

from .access import Request, RequestHeaders
from .peers.peer import Visitor
from .responses import (
    BAD_REQUEST,
    BODY_TOO_LARGE,
    BROKEN,
    FULL,
    HEAD_TOO_LARGE,
    NOT_FOUND,
    STOPPING,
    TARGET_TOO_LONG,
    TIMED_OUT,
    Reply,
)

_LOGGER = logging.getLogger("idaas_sidecar.listener")

_FRAMING = frozenset({b"connection", b"keep-alive", b"content-length", b"transfer-encoding", b"expect", b"upgrade"})

LARGEST_HEAD = 16_384
MOST_LINES = 100
LONGEST_TARGET = 8_192
LARGEST_BODY = 1_024
LARGEST_REQUEST = LARGEST_HEAD + 8 * LARGEST_BODY
"""Bytes on the wire: a body in chunks of one byte is six times its size."""

REQUEST_SECONDS = 10.0
"""From a request's first byte to its last; trickling does not extend it."""

IDLE_SECONDS = 5.0
"""Keep-alive: credentials-go leaves a connection idle for 90 s after every fetch."""

MOST_AT_ONCE = 16
"""Requests in one segment; no SDK sends two. The answer to the last of them is the connection's last."""

PIECE = 4_096
"""Bytes parsed before somebody looks whether the rest of a segment still counts."""

LINGER_SECONDS = 1.0
"""How long the rest of a refused request is read and dropped, so that the refusal arrives."""

SWEEP_SECONDS = 1.0
"""How often deadlines are looked at, and only while there are connections: cheaper than a timer per request."""


class Lane(Protocol):
    """
    What answers: a reply at once; a coroutine where it has to be waited for; None where the request is for a page.

    Raises nothing; what it raises all the same is answered by 500 and logged.
    """

    def __call__(self, request: Request) -> Reply | Coroutine[Any, Any, Reply] | None: ...


Visitors = Callable[[asyncio.Transport], Visitor]
"""Makes what finds out who is at a connection's other end."""


class Pages(Protocol):
    """Gives the protocol that speaks for a page; it calls `left` when the connection is gone."""

    async def __call__(self, left: Callable[[], None]) -> asyncio.Protocol: ...


class Connections:
    """A listener's open connections, the longest untouched first; enforces their number and their deadlines."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: OrderedDict[Connection, None] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: Connection) -> None:
        self._open[connection] = None
        if len(self._open) > self._most:
            self._evict(connection)
        if self._timer is None:
            self._timer = connection.loop.call_later(SWEEP_SECONDS, self._sweep, connection.loop)

    def discard(self, connection: Connection) -> None:
        self._open.pop(connection, None)

    def touch(self, connection: Connection) -> None:
        self._open.move_to_end(connection)

    async def drained(self, patience: float) -> None:
        """Closes what is idle at once, the rest when it is answered or patience ends."""
        for connection in [item for item in self._open if not item.busy]:
            connection.transport.close()
        tasks = [item.task for item in self._open if item.task]
        if tasks:
            await asyncio.wait(tasks, timeout=patience)
        for connection in list(self._open):
            connection.give_up(STOPPING)

    def _evict(self, newest: Connection) -> None:
        # Starvation: whoever opens connections and says nothing, or waits for what is not there yet, must not keep out
        # a client that has a question. Idle ones go first, then who has waited longest; that one is told why.
        others = [item for item in self._open if item is not newest]
        victim = next((item for item in others if not item.busy), others[0])
        del self._open[victim]
        victim.give_up(FULL)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection in [item for item in self._open if item.deadline <= now]:
            connection.expire()
        self._timer = loop.call_later(SWEEP_SECONDS, self._sweep, loop) if self._open else None


class Connection(asyncio.Protocol):
    """One connection: a request is read whole, within its limits, before anybody sees it."""

    __slots__ = (
        "_at_once",
        "_body_size",
        "_head_size",
        "_headers",
        "_lane",
        "_lingering",
        "_pages",
        "_parser",
        "_pending",
        "_reading_head",
        "_receiving",
        "_siblings",
        "_split",
        "_stays",
        "_url",
        "_visitor",
        "_visitors",
        "busy",
        "deadline",
        "loop",
        "task",
        "transport",
    )  # fmt: skip

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        lane: Lane,
        pages: Pages | None,
        siblings: Connections,
        visitors: Visitors,
    ) -> None:
        self.loop = loop
        self.busy = False
        self._lane = lane
        self._pages = pages
        self._siblings = siblings
        self._visitors = visitors
        self._visitor: Visitor | None = None
        self._receiving = False
        self._split = False
        self._stays = True
        self._reading_head = False
        self._lingering = False
        self._pending = 0
        self._at_once = 0
        self._head_size = 0
        self._body_size = 0
        self._url = b""
        self.task: asyncio.Task[None] | None = None
        self._parser = httptools.HttpRequestParser(self)

    # --- the connection's life ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        self.deadline = self.loop.time() + IDLE_SECONDS
        self._siblings.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._siblings.discard(self)
        if self.task is not None:
            self.task.cancel()
        self._parser = None  # type: ignore[assignment]  # it holds us, and we it: garbage that only the collector sees

    def eof_received(self) -> bool:
        """A client that has said all it has to say may still be waiting for its answer."""
        return self.busy

    def data_received(self, data: bytes) -> None:
        if self.busy:  # pipelined behind an answer that is owed, which no client does: that answer is the last
            self._stays = False
            return
        if self._lingering:
            return
        self._split = False
        self._at_once = 0
        try:
            self._parse(data)
        except httptools.HttpParserCallbackError as error:
            # A bug of ours, not the client's: say so, and let nothing out.
            _LOGGER.error("answering a request failed", exc_info=error.__context__ or error)
            self._refuse(BROKEN)
        except httptools.HttpParserUpgrade:
            pass  # answered already; other protocols are not spoken, which HTTP says by not switching
        except httptools.HttpParserError:
            self._refuse(BAD_REQUEST)
        # The parser tells of a header only when it is whole: what it still holds back must be counted here. Of a
        # segment that ends one request and begins another nobody knows how much is whose; it counts from the next on.
        if self._receiving and not self._split:
            self._pending += len(data)
            if self._pending > (LARGEST_HEAD if self._reading_head else LARGEST_REQUEST):
                long = len(self._url) > LONGEST_TARGET or not self._url
                self._refuse(TARGET_TOO_LONG if long else HEAD_TOO_LARGE)

    def _parse(self, data: bytes) -> None:
        # Starvation: a segment of 256 KiB is some thousand requests, and whoever sends such ones on a hundred
        # connections would keep the loop from everybody else for seconds.
        for at in range(0, len(data), PIECE):
            self._parser.feed_data(data[at : at + PIECE] if len(data) > PIECE else data)
            if self._lingering or self.transport.is_closing():
                return

    def expire(self) -> None:
        """The deadline has passed: half a request gets 408, an idle connection is closed."""
        if self._receiving and not self._over():
            self._refuse(TIMED_OUT)
        else:
            self.drop()

    def drop(self) -> None:
        """Ends the connection now. Who does not read what it was sent would keep a graceful close waiting for ever."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def give_up(self, reply: Reply) -> None:
        """Ends the connection now; whoever waits for an answer there gets `reply`."""
        if self.task is not None and not self.transport.is_closing():
            self.task.cancel()
            self.transport.write(reply.close)
        self.drop()

    def pause_writing(self) -> None:
        """The client does not read its answers: take no more requests from it, and not for long."""
        self.transport.pause_reading()
        self.deadline = self.loop.time() + REQUEST_SECONDS

    def resume_writing(self) -> None:
        self.transport.resume_reading()
        self.deadline = self.loop.time() + IDLE_SECONDS

    # --- one request --------------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self.busy:
            self._stays = False
            return
        self._split = self._url != b""
        self._url = b""
        self._headers: RequestHeaders = []
        self._receiving = self._reading_head = True
        self._pending = self._head_size = self._body_size = 0
        self.deadline = self.loop.time() + REQUEST_SECONDS

    def on_url(self, url: bytes) -> None:
        if not self.busy:
            self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.busy:
            return
        if not self._reading_head:  # a trailer: no client sends one, and a Host that comes late is no Host
            self._refuse(BAD_REQUEST)
            return
        self._head_size += len(name) + len(value) + 4
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._reading_head = False
        if self._over():
            return
        if len(self._url) > LONGEST_TARGET:
            self._refuse(TARGET_TOO_LONG)
        elif self._head_size + len(self._url) > LARGEST_HEAD or len(self._headers) > MOST_LINES:
            self._refuse(HEAD_TOO_LARGE)
        elif (b"expect", b"100-continue") in self._headers and self._parser.get_http_version() == "1.1":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body_size += len(body)
        if self._body_size > LARGEST_BODY:
            self._refuse(BODY_TOO_LARGE)

    def on_message_complete(self) -> None:
        self._receiving = False
        if self._over():
            return
        if not self._is_request():
            self._refuse(BAD_REQUEST)
            return
        self._at_once += 1
        if self._visitor is None:
            self._visitor = self._visitors(self.transport)
        self._stays = (
            self._parser.should_keep_alive()
            and self._at_once < MOST_AT_ONCE
            and self._parser.get_http_version() != "1.0"
            and not self._parser.should_upgrade()
        )
        self._answer(Request(self._parser.get_method(), self._url, self._headers, self._visitor))

    def _is_request(self) -> bool:
        """Whether it asks for something in a version that we speak; absolute-form targets are the guard's to refuse."""
        return self._url.startswith((b"/", b"http")) and self._parser.get_http_version() in ("1.1", "1.0")

    def _send(self, reply: Reply, method: bytes) -> None:
        whole = reply.keep if self._stays else reply.close
        if method == b"HEAD":
            whole = whole[: len(whole) - reply.body_length]
        self.transport.write(whole)
        if self._stays:
            self._rest()
        else:
            self.transport.close()

    def _refuse(self, reply: Reply) -> None:
        """An answer to something that is no request; the connection ends, because its framing is not to be trusted."""
        if self._over():
            self._stays = False
            return
        self._reading_head = False
        self.transport.write(reply.close)
        # Closed with bytes unread, the kernel would reset the connection and the answer with it: half-closed, what
        # still comes is read and dropped for a moment.
        self.transport.write_eof()
        self._lingering = True
        self.deadline = self.loop.time() + LINGER_SECONDS

    def _over(self) -> bool:
        """Whether what comes does not count any more: refused, closing, or an answer is owed that will be the last."""
        return self._lingering or self.busy or self.transport.is_closing()

    def _rest(self) -> None:
        self.deadline = self.loop.time() + IDLE_SECONDS
        self._siblings.touch(self)

    # --- answers that take a while ------------------------------------------------------------------------------------

    def _answer(self, request: Request) -> None:
        found = self._lane(request)
        if isinstance(found, Reply):
            self._send(found, request.method)
            return
        self.busy = True
        self.deadline = float("inf")
        self.task = self.loop.create_task(self._hand_over(request) if found is None else self._wait(found, request))

    async def _wait(self, answer: Coroutine[Any, Any, Reply], request: Request) -> None:
        try:
            reply = await answer
        except Exception:
            _LOGGER.exception("answering a request failed")
            reply, self._stays = BROKEN, False
        self._end_wait()
        if not self._over():
            self._send(reply, request.method)

    def _end_wait(self) -> None:
        self.busy, self.task = False, None

    async def _hand_over(self, request: Request) -> None:
        """Gives the connection to the protocol that speaks for pages, with this one request; it closes it after."""
        self._stays = False
        if self._pages is None:
            self._end_wait()
            self._send(NOT_FOUND, request.method)
            return
        page = await self._pages(lambda: self.connection_lost(None))
        self.deadline = self.loop.time() + REQUEST_SECONDS
        if not self.transport.is_closing():
            self.task = None
            self.transport.set_protocol(page)
            page.connection_made(self.transport)
            page.data_received(head_of(request))


def head_of(request: Request) -> bytes:
    """`request` as bytes again, its body gone (it was read and is nobody's), and the last on its connection."""
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in request.headers if name not in _FRAMING)
    return request.method + b" " + request.target + b" HTTP/1.1\r\n" + lines + b"Connection: close\r\n\r\n"


class Listener:
    """One bound socket and what answers there, from `start` until `stop`."""

    def __init__(
        self, sock: socket.socket, lane: Lane, pages: Pages | None, *, visitors: Visitors, max_connections: int
    ) -> None:
        self._socket = sock
        self._visitors = visitors
        self._lane = lane
        self._pages = pages
        self._connections = Connections(max_connections)
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        arguments = (loop, self._lane, self._pages, self._connections, self._visitors)
        create = loop.create_unix_server if self._socket.family == socket.AF_UNIX else loop.create_server
        self._server = await create(lambda: Connection(*arguments), sock=self._socket, backlog=2048)

    async def stop(self) -> None:
        """Takes no more connections; lets answers under way finish, for at most 2 s."""
        if self._server is not None:
            self._server.close()
            await self._connections.drained(2.0)
