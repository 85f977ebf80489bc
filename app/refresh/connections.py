"""The HTTP clients of all servers: one for each combination of limits, trust, proxy and client certificate."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import httpx

from ..config.settings import Settings
from ..core.connection import Connection, HttpConfiguration
from ..core.events import Observe
from ..core.record import Record
from ..core.values import Now
from ..system.disk import Disk
from ..upstream.client import Limits, UpstreamClient
from ..upstream.connections.resolver import Resolver
from ..upstream.connections.tls import Trust
from ..upstream.connections.transport import RoutingTransport
from ..upstream.keys.client_certificate import client_certificate


class Route(Record, frozen=True):
    """The settings of an HTTP client, which servers with equal settings share. `place`: the connection's key path."""

    connection: Connection
    place: str
    limits: Limits
    verify: bool


Transport = Callable[[Route], httpx.AsyncBaseTransport]
"""Makes the transport of a route."""


class Connections:
    """The HTTP client of each server; servers with the same route share one client."""

    def __init__(self, transport: Transport, *, now: Now, observe: Observe) -> None:
        self._transport = transport
        self._now = now
        self._observe = observe
        self._open: dict[tuple[Connection, Limits, bool], UpstreamClient] = {}

    def to(self, connection: Connection, place: str, http: HttpConfiguration | None = None) -> UpstreamClient:
        """Return the client of a connection. `http`: the connection's limits, and whether to verify the certificate."""
        limits = Limits(http.connect_timeout / 1000, http.read_timeout / 1000) if http else Limits()
        route = Route(connection, place, limits, not (http and http.unsafe_ignore_ssl_cert))
        key = (route.connection, route.limits, route.verify)
        if key not in self._open:
            self._open[key] = UpstreamClient(
                self._transport(route), limits=limits, now=self._now, observe=self._observe
            )
        return self._open[key]

    async def aclose(self) -> None:
        """Close all clients."""
        for client in self._open.values():
            await client.aclose()


def real_transport(
    settings: Settings, environ: Mapping[str, str], disk: Disk, resolver: Resolver | None = None
) -> Transport:
    """Return a maker of real transports. Connections without files of their own share the configuration's trust."""
    names = resolver or Resolver()

    def transport(route: Route) -> RoutingTransport:
        own = route.connection.ca_file
        trust = Trust(
            own or settings.tls.ca_file,
            f"{route.place}.caFile" if own else "tls.caFile",
            environ,
            verify=route.verify,
            client=client_certificate(route.connection, route.place, environ),
        )
        proxy = route.connection.proxy or settings.proxy
        return RoutingTransport(proxy=proxy, environ=environ, trust=trust, disk=disk, resolver=names)

    return transport
