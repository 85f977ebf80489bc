"""
The emulator on real sockets, http and https, on loopback only.

The issuer's URL contains the TLS port, so the ports must be known first: call `bind`, build the world with
`Sockets.tls_url`, then call `listening`.
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

from .crypto.loopback_ca import CA_FILE, ca_fingerprint, server_context
from .http.asgi import CLIENT_CERTIFICATE_NAME
from .http.faults import DroppedError

_SHUTDOWN_TIMEOUT = 0.5
"""How long pending responses may take after the shutdown began, in seconds."""


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """
    The base URLs of a listening emulator, and the CA certificate file that its https clients need.

    `fingerprint` is the SHA-1 fingerprint of that certificate, for the OIDC providers of RAM.
    """

    url: str
    tls_url: str
    ca_file: Path
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Sockets:
    """Two bound sockets. Raises ValueError if other machines can reach one of them."""

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
        """Close both sockets. `listening` closes them as well."""
        self.http.close()
        self.https.close()


def bind(port: int = 0, tls_port: int = 0) -> Sockets:
    """Return sockets bound to 127.0.0.1; port 0 means any free port. Raises OSError if a port is in use."""
    http = _bind_loopback(port)
    try:
        return Sockets(http, _bind_loopback(tls_port))
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
    client_ca: str | None = None,
) -> AsyncIterator[ListenAddress]:
    """
    Serve `app` in this event loop while the context is open.

    The CA certificate of https is written into `directory`. `client_ca` is PEM: the CA whose client certificates are
    verified on https; the application then receives the certificate's common name.

    The caller handles signals. On exit both servers stop within a second, whatever clients do, and `sockets` is closed.
    """
    sockets = sockets or bind(port, tls_port)
    async with AsyncExitStack() as stack:
        stack.callback(sockets.close)
        context = server_context(directory, client_ca)
        address = ListenAddress(sockets.url, sockets.tls_url, directory / CA_FILE, ca_fingerprint(directory))
        await stack.enter_async_context(_serve(app, sockets.http, None))
        await stack.enter_async_context(_serve(app, sockets.https, context))
        yield address


class _Protocol(HttpToolsProtocol):
    """Uvicorn's protocol that adds the name in a verified client certificate to the scope's state."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        certificate = transport.get_extra_info("peercert") or {}
        names = dict(part[0] for part in certificate.get("subject", ()))
        if "commonName" in names:
            self.app_state = {**self.app_state, CLIENT_CERTIFICATE_NAME: names["commonName"]}


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to the caller and reports when it is ready."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@asynccontextmanager
async def _serve(app: ASGIApp, bound: socket.socket, context: ssl.SSLContext | None) -> AsyncIterator[None]:
    server = _Server(_config(app, context))
    task = asyncio.create_task(server.serve([bound]))
    ready = asyncio.create_task(server.ready.wait())
    try:
        await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()  # the server never became ready: raises the reason
        yield
    finally:
        ready.cancel()
        await _stop(server, task)


def _config(app: ASGIApp, context: ssl.SSLContext | None) -> uvicorn.Config:
    return uvicorn.Config(
        _close_if_dropped(app),
        http=_Protocol,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # every client is on loopback, and uvicorn would let it replace its own address
        server_header=False,
        date_header=False,  # the emulator sends the date of its own clock
        ssl_context_factory=None if context is None else lambda config, default: context,
    )


async def _stop(server: _Server, task: asyncio.Task[None]) -> None:
    server.should_exit = True
    await asyncio.wait({task}, timeout=_SHUTDOWN_TIMEOUT)
    remaining = {task, *server.server_state.tasks}
    for each in remaining:
        each.cancel()
    await asyncio.gather(*remaining, return_exceptions=True)


def _close_if_dropped(app: ASGIApp) -> ASGIApp:
    """Return `app` with an incomplete response for a dropped connection: uvicorn then closes the connection."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except (DroppedError, asyncio.CancelledError):
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})

    return wrapped


def _bind_loopback(port: int) -> socket.socket:
    # asyncio disables Nagle's algorithm on accepted connections only if the socket names its protocol.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(("127.0.0.1", port))
    except OSError:
        bound.close()
        raise
    return bound
