"""The listener of the webhooks: FastAPI over TLS with uvicorn."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress

import uvicorn
from fastapi import FastAPI

from ... import __version__
from ...core.addresses import authority
from ...observe import log_events
from ...observe.log import Log
from ...system.sockets import address_of
from .application import Webhook
from .certificates import LOOK_SECONDS, Certificates
from .connections import Connections, accept
from .metrics import metrics_application
from .protocol import HeadTimeoutProtocol

DRAIN_SECONDS = 5.0
"""Seconds for which the webhook answers after SIGTERM: the API server may still choose this pod meanwhile."""

CONNECTIONS = 512
"""The most concurrent connections, which take some 40 MiB. An API server needs a handful. Above this number, the
connection that is idle for longest is closed."""

SCRAPES = 16
"""The most concurrent connections of the metrics listener. Any pod can connect; one or two Prometheus servers do."""

IDLE_SECONDS = 95
"""Seconds after which an idle connection is closed. The API server closes its idle connections after 90 s. A server
that closes earlier may lose a request that is on its way."""

TlsContext = Callable[[uvicorn.Config, Callable[[], ssl.SSLContext]], ssl.SSLContext]


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to the caller, and calls `ready` when it accepts connections."""

    def __init__(self, config: uvicorn.Config, connections: int, ready: Callable[[], None] = lambda: None) -> None:
        super().__init__(config)
        self._connections = Connections(connections)
        self._accepting: list[asyncio.Task[None]] = []
        self._ready = ready

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections. uvicorn's own method would count them only after their TLS handshakes."""
        await self.lifespan.startup()
        loop = asyncio.get_running_loop()
        self._accepting = [
            loop.create_task(accept(each, self._protocol, self.config.ssl, self._connections)) for each in sockets or ()
        ]
        self.servers = []
        self.started = True
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no further connection, and wait for requests under way."""
        for each in self._accepting:
            each.cancel()
        await super().shutdown(sockets)

    def _protocol(self) -> HeadTimeoutProtocol:
        return HeadTimeoutProtocol(self._connections, self.config, self.server_state, self.lifespan.state)


async def serve(
    webhook: Webhook,
    listening: socket.socket,
    scraped: socket.socket,
    certificates: Certificates,
    log: Log,
    stop: asyncio.Event,
    at_once: asyncio.Event,
) -> None:
    """
    Serve until `stop` is set, and for DRAIN_SECONDS more. `at_once` ends this time early.

    `listening` is for the API server, over TLS; `scraped` is for Prometheus.
    """
    config = _config(webhook.application(), lambda config, default: certificates.context)
    scrapes = _Server(_config(metrics_application(webhook.counters, lambda: certificates.expires_at)), SCRAPES)
    address, metrics = (authority(*address_of(each)) for each in (listening, scraped))

    def ready() -> None:
        log.write(
            log_events.WEBHOOK_LISTENING,
            address=address,
            metrics=metrics,
            version=__version__,
            not_after=certificates.not_after,
        )

    server = _Server(config, CONNECTIONS, ready)
    looking = asyncio.create_task(_look(certificates))
    serving = asyncio.create_task(server.serve([listening]))
    scraping = asyncio.create_task(scrapes.serve([scraped]))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        webhook.draining = True
        if not serving.done():
            with suppress(TimeoutError):
                await asyncio.wait_for(at_once.wait(), DRAIN_SECONDS)
        server.should_exit = scrapes.should_exit = True
        await asyncio.gather(serving, scraping)
    finally:
        looking.cancel()
        stopping.cancel()


def _config(application: FastAPI, context: TlsContext | None = None) -> uvicorn.Config:
    """Return the settings of a listener with time limits. `context` makes the listener's TLS context."""
    return uvicorn.Config(
        application,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=5,
        ssl_context_factory=context,
    )


async def _look(certificates: Certificates) -> None:
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        await asyncio.to_thread(certificates.refresh)
