"""The wires to the cloud, one for each way to get there: limits, trust, proxy, client certificate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx

from ..config.settings import Settings
from ..core.base import Connection
from ..core.model import Now, Observe
from ..identity.settings import HttpConfiguration
from ..upstream.client import Limits, Routes, Upstream
from ..upstream.tls import Trust, client_certificate


@dataclass(frozen=True, slots=True)
class Way:
    """What makes two legs share connections. `place` is where the connection is configured."""

    connection: Connection
    place: str
    limits: Limits
    verify: bool


Transport = Callable[[Way], httpx.AsyncBaseTransport]
"""Makes the transport under a wire."""


class Wires:
    """Gives each leg its wire; legs that go one way share one."""

    def __init__(self, transport: Transport, *, now: Now, observe: Observe) -> None:
        self._transport = transport
        self._now = now
        self._observe = observe
        self._open: dict[tuple[Connection, Limits, bool], Upstream] = {}

    def to(self, connection: Connection, place: str, http: HttpConfiguration | None = None) -> Upstream:
        """The wire of a leg. `http`: its own limits, and whether its server's certificate is verified."""
        limits = Limits(http.connect_timeout / 1000, http.read_timeout / 1000) if http else Limits()
        way = Way(connection, place, limits, not (http and http.unsafe_ignore_ssl_cert))
        key = (way.connection, way.limits, way.verify)
        if key not in self._open:
            self._open[key] = Upstream(self._transport(way), limits=limits, now=self._now, observe=self._observe)
        return self._open[key]

    async def aclose(self) -> None:
        for wire in self._open.values():
            await wire.aclose()


def real_transport(settings: Settings, environ: Mapping[str, str]) -> Transport:
    """Connections to the real world; legs without files of their own share the whole file's trust."""

    def routes(way: Way) -> Routes:
        own = way.connection.ca_file
        trust = Trust(
            own or settings.tls.ca_file,
            f"{way.place}.caFile" if own else "tls.caFile",
            environ,
            verify=way.verify,
            client=client_certificate(way.connection, way.place, environ),
        )
        return Routes(proxy=way.connection.proxy or settings.proxy, environ=environ, trust=trust)

    return routes
