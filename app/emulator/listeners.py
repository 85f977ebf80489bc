"""
The emulator on real sockets, http and https, on loopback only.

The issuer's URL names the TLS port, so ports come first: `bind`, build the world from `Sockets.tls_url`, then
`listening`.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .crypto.loopback_ca import CA_FILE, server_context
from .http.faults import DroppedError

_PATIENCE = 0.5  # seconds that answers under way get at the end


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the emulator answers, and the CA certificate that its https needs."""

    url: str
    tls_url: str
    ca_file: Path


@dataclass(frozen=True, slots=True)
class Sockets:
    """Two bound sockets. Raises ValueError for one that others than this machine can reach."""

    http: socket.socket
    https: socket.socket

    def __post_init__(self) -> None:
        for bound in (self.http, self.https):
            if not ip_address(bound.getsockname()[0]).is_loopback:
                raise ValueError(f"the emulator listens on loopback only, not on {bound.getsockname()[0]}")

    @property
    def url(self) -> str:
        """The base URL of plain http."""
        return f"http://127.0.0.1:{self.http.getsockname()[1]}"

    @property
    def tls_url(self) -> str:
        """The base URL of https."""
        return f"https://127.0.0.1:{self.https.getsockname()[1]}"

    def close(self) -> None:
        """Give the ports back; `listening` does so itself."""
        self.http.close()
        self.https.close()


def bind(port: int = 0, tls_port: int = 0) -> Sockets:
    """Sockets on 127.0.0.1; 0 is any free port. Raises OSError if a port is taken."""
    http = _bound(port)
    try:
        return Sockets(http, _bound(tls_port))
    except OSError:
        http.close()
        raise


@asynccontextmanager
async def listening(
    app: ASGIApp,
    *,
    directory: Path,
    port: int = 0,
    tls_port: int = 0,
    sockets: Sockets | None = None,
    clients: str | None = None,
) -> AsyncIterator[Listening]:
    """
    Serves `app` in this event loop while the context is open.

    `clients`: the CA, PEM, whose certificates https clients may show; the application then sees the common name.

    Signals are the caller's. Leaving stops both servers within a second, whatever clients do, and closes
    `sockets`.
    """
    sockets = sockets or bind(port, tls_port)
    where = Listening(sockets.url, sockets.tls_url, directory / CA_FILE)
    async with AsyncExitStack() as stack:
        stack.callback(sockets.close)
        context = server_context(directory, clients)
        await stack.enter_async_context(_serving(app, sockets.http, None))
        await stack.enter_async_context(_serving(app, sockets.https, context))
        yield where


class _Protocol(HttpToolsProtocol):
    """One that tells the application who the client is, if TLS has verified a certificate."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        certificate = transport.get_extra_info("peercert") or {}
        names = dict(part[0] for part in certificate.get("subject", ()))
        if "commonName" in names:
            self.app_state = {**self.app_state, "certificate": names["commonName"]}


class _Server(uvicorn.Server):
    """One that leaves signals alone and says when it is ready."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@asynccontextmanager
async def _serving(app: ASGIApp, bound: socket.socket, context: ssl.SSLContext | None) -> AsyncIterator[None]:
    server = _Server(_config(app, context))
    task = asyncio.create_task(server.serve([bound]))
    ready = asyncio.create_task(server.ready.wait())
    try:
        await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()  # it never became ready: this raises why
        yield
    finally:
        ready.cancel()
        await _stop(server, task)


def _config(app: ASGIApp, context: ssl.SSLContext | None) -> uvicorn.Config:
    return uvicorn.Config(
        _quiet(app),
        http=_Protocol,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # every caller is loopback, which uvicorn would let rewrite its own address
        server_header=False,
        date_header=False,  # the emulator has its own clock
        ssl_context_factory=None if context is None else lambda config, default: context,
    )


async def _stop(server: _Server, task: asyncio.Task[None]) -> None:
    server.should_exit = True
    await asyncio.wait({task}, timeout=_PATIENCE)
    rest = {task, *server.server_state.tasks}
    for each in rest:
        each.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


def _quiet(app: ASGIApp) -> ASGIApp:
    """`app`, where an answer that is not to be given is half a response: uvicorn then closes the connection on it."""

    async def half(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except (DroppedError, asyncio.CancelledError):
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})

    return half


def _bound(port: int) -> socket.socket:
    # With the protocol named, asyncio turns Nagle's algorithm off on what is accepted.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(("127.0.0.1", port))
    except OSError:
        bound.close()
        raise
    return bound
