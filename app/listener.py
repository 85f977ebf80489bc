"""Sockets and the HTTP protocol: uvicorn's, with our limits, and with a lane that answers before ASGI is reached.

Why a subclass of uvicorn's protocol, tied to its minor version (uvicorn 0.54, httptools 0.9; performance.md measured
both): the parser alone accepts a head of 4 MB and waits for ever, so the limits must stand here; and a credential that
is in memory needs neither a task nor an ASGI scope: 8 µs instead of 15 µs of CPU. `make bench` prints today's ratio.

What the lane does not know (cold starts, status pages) goes the ordinary ASGI way.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, Protocol

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from .guard import Request
from .model import ConfigError
from .places import authority, listen_address
from .replies import BAD_REQUEST, BODY_TOO_LARGE, BROKEN, HEAD_TOO_LARGE, TARGET_TOO_LONG, TIMED_OUT, Reply

LARGEST_HEAD = 16_384
MOST_LINES = 100
LONGEST_TARGET = 8_192
LARGEST_BODY = 1_024
REQUEST_SECONDS = 10.0
"""From a request's first byte to its last; trickling does not extend it."""

IDLE_SECONDS = 5.0
"""Keep-alive: credentials-go leaves a connection idle for 90 s after every fetch."""

SWEEP_SECONDS = 1.0
"""How often deadlines are looked at, and only while there are connections: cheaper than a timer per request."""


class Lane(Protocol):
    """What answers straight from the protocol: a reply, or None to hand the request to ASGI."""

    def __call__(self, request: Request) -> Reply | None: ...


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

    def _evict(self, newest: Connection) -> None:
        # Starvation: whoever opens connections and says nothing must not keep out a client that has a question.
        victim = next((item for item in self._open if not item.busy), newest)
        del self._open[victim]
        victim.transport.close()

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection in [item for item in self._open if item.deadline <= now]:
            connection.expire()
        self._timer = loop.call_later(SWEEP_SECONDS, self._sweep, loop) if self._open else None


class Connection(HttpToolsProtocol):
    """One connection: a request is read whole, within its limits, before anybody sees it."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        lane: Lane,
        siblings: Connections,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._lane = lane
        self._siblings = siblings
        self._receiving = False
        self._reading_head = False
        self._pending = 0
        self._head_size = 0
        self._body_size = 0
        self.busy = False
        self.deadline = float("inf")

    # --- the connection's life ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.deadline = self.loop.time() + IDLE_SECONDS
        self._siblings.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._siblings.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            # A bug of ours, not the client's: say so, and let nothing out.
            self.logger.error("answering a request failed", exc_info=error.__context__ or error)
            self._refuse(BROKEN)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._refuse(BAD_REQUEST)
        # The parser tells of a header only when it is whole: what it still holds back must be counted here.
        if self._reading_head:
            self._pending += len(data)
            if self._pending > LARGEST_HEAD:
                self._refuse(HEAD_TOO_LARGE if self.url else TARGET_TOO_LONG)

    def expire(self) -> None:
        """The deadline has passed: half a request gets 408, an idle connection is closed."""
        if self.flow.write_paused:
            self.transport.abort()
        elif self._receiving:
            self._refuse(TIMED_OUT)
        else:
            self.transport.close()
        self.deadline = float("inf")

    def pause_writing(self) -> None:
        """The client does not read its answers: take no more requests from it, and not for long."""
        super().pause_writing()
        self.transport.pause_reading()
        self.deadline = self.loop.time() + REQUEST_SECONDS

    def resume_writing(self) -> None:
        super().resume_writing()
        self.transport.resume_reading()
        self.deadline = self.loop.time() + IDLE_SECONDS

    # --- one request --------------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._receiving = self._reading_head = True
        self._pending = self._head_size = self._body_size = 0
        self.deadline = self.loop.time() + REQUEST_SECONDS

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_size += len(name) + len(value) + 4
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._reading_head = False
        if len(self.url) > LONGEST_TARGET:
            self._refuse(TARGET_TOO_LONG)
        elif self._head_size + len(self.url) > LARGEST_HEAD or len(self.headers) > MOST_LINES:
            self._refuse(HEAD_TOO_LARGE)
        elif self.headers and (b"expect", b"100-continue") in self.headers:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body_size += len(body)
        if self._body_size > LARGEST_BODY:
            self._refuse(BODY_TOO_LARGE)

    def on_message_complete(self) -> None:
        self._receiving = False
        if self.transport.is_closing():
            return
        if not self._is_request():
            self._refuse(BAD_REQUEST)
            return
        if self.busy:  # pipelined behind an answer that ASGI still owes: order is kept by uvicorn's own queue
            self._hand_on()
            return
        reply = self._lane(Request(self.parser.get_method(), self.url, self.headers))
        if reply is None:
            self._hand_on()
        else:
            self._send(reply)

    def _is_request(self) -> bool:
        """Whether it asks for something in a version that we speak; absolute-form targets are the guard's to refuse."""
        return (
            not self.parser.should_upgrade()
            and self.url.startswith((b"/", b"http"))
            and self.parser.get_http_version() in ("1.1", "1.0")
        )

    def _send(self, reply: Reply) -> None:
        stays = self.parser.should_keep_alive() and self.parser.get_http_version() != "1.0"
        whole = reply.keep if stays else reply.close
        if self.parser.get_method() == b"HEAD":
            whole = whole[: len(whole) - len(reply.body)]
        self.transport.write(whole)
        self.server_state.total_requests += 1
        if stays:
            self._rest()
        else:
            self.transport.close()

    def _refuse(self, reply: Reply) -> None:
        """An answer to something that is no request; the connection ends, because its framing is not to be trusted."""
        self._reading_head = False
        if not self.transport.is_closing():
            self.transport.write(reply.close)
            self.transport.close()

    def _rest(self) -> None:
        self.deadline = self.loop.time() + IDLE_SECONDS
        self._siblings.touch(self)

    # --- the ASGI way -------------------------------------------------------------------------------------------------

    def _hand_on(self) -> None:
        """Lets uvicorn see the request that we read: its own callbacks, in their order, on what we kept."""
        url, headers = self.url, self.headers
        self.busy = True
        self.deadline = float("inf")
        super().on_message_begin()
        self.url = url
        self.headers[:] = headers
        self.scope["state"]["target"] = url
        super().on_headers_complete()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self.busy = False
            self._rest()


class Listener(uvicorn.Server):
    """One bound socket and what answers there. `serve` runs until `stop`; signals are the caller's."""

    def __init__(self, sock: socket.socket, lane: Lane, app: Any, *, max_connections: int) -> None:
        siblings = Connections(max_connections)

        def connection(**arguments: Any) -> Connection:
            return Connection(**arguments, lane=lane, siblings=siblings)

        super().__init__(
            uvicorn.Config(
                app,
                http=connection,  # type: ignore[arg-type]  # uvicorn asks for a class and only calls it
                interface="asgi3",
                lifespan="off",
                ws="none",
                log_config=None,
                access_log=False,  # a path may hold the path token
                proxy_headers=False,  # every caller here is loopback, whom uvicorn would believe
                server_header=False,
                date_header=False,
                timeout_graceful_shutdown=2,
            )
        )
        self._socket = sock
        self._stopped = asyncio.Event()
        self.answering = asyncio.Event()

    async def run_until_stopped(self) -> None:
        """Answers until `stop`; then lets answers under way finish."""
        await self.serve(sockets=[self._socket])

    def stop(self) -> None:
        self._stopped.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.answering.set()

    async def main_loop(self) -> None:
        # uvicorn's own wakes ten times a second; nothing of what it does then is wanted here.
        await self._stopped.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def bound(address: str, place: str, *, hop_limit: int | None = None) -> socket.socket:
    """A listening socket. `hop_limit`: TTL of its answers. Raises ConfigError where the address cannot be had."""
    host, port = listen_address(address, place)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hop_limit is not None:
        # Routed access: an answer with TTL 1 dies at the first router, so a port that leaks to another host is mute.
        level, option = (
            (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS)
            if family == socket.AF_INET6
            else (socket.IPPROTO_IP, socket.IP_TTL)
        )
        sock.setsockopt(level, option, hop_limit)
    try:
        sock.bind((host, port))
        sock.listen(2048)
    except OSError as error:
        sock.close()
        raise ConfigError(f"{place}: cannot listen on {authority(host, port)}: {_cure(error)}") from None
    sock.setblocking(False)
    return sock


def address_of(sock: socket.socket) -> tuple[str, int]:
    """Host and port that `sock` is bound to."""
    host, port = sock.getsockname()[:2]
    return str(host), int(port)


def _cure(error: OSError) -> str:
    match error.errno:
        case 98:
            return "the port is in use; stop the other program, or choose another port"
        case 99:
            return "this machine has no such address; add it (ip address add …) or choose another"
        case 13:
            return "not permitted; ports below 1024 need CAP_NET_BIND_SERVICE"
        case _:
            return str(error.strerror)
