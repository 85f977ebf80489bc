"""Connections to the cloud: for each URL through the proxy that the configuration names, with TLS as configured."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar
from urllib.parse import urlsplit

import httpx

from ..core.addresses import authority
from ..core.errors import Unreachable
from ..core.proxies import proxy_for
from ..system.disk import Disk, Stalled
from .bounded import BoundedNetwork
from .tls import Trust

T = TypeVar("T")

PROXY = "idaas_sidecar.proxy"
"""The extension of a request that names the proxy in between, as host and port."""


class RoutingTransport(httpx.AsyncBaseTransport):
    """
    Opens connections when first needed, and anew when the files behind `trust` have changed.

    `proxy`: the proxy of this leg, `proxies.NO_PROXY` for none at all, None for what the environment says.
    """

    def __init__(
        self, *, proxy: str | None, environ: Mapping[str, str], trust: Trust, disk: Disk | None = None
    ) -> None:
        self._proxy = proxy
        self._environ = environ
        self._trust = trust
        self._disk = disk or Disk()
        self._open: dict[tuple[str | None, Hashable], httpx.AsyncHTTPTransport] = {}
        self._retired: list[httpx.AsyncHTTPTransport] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        proxy = proxy_for(str(request.url), self._proxy, self._environ)
        if proxy is not None:
            parts = urlsplit(proxy)  # host and port alone: a proxy's URL may hold a password
            request.extensions[PROXY] = authority(parts.hostname or "", parts.port or 80)
        secure = request.url.scheme == "https" or (proxy is not None and _secure(proxy))
        transport = await self._transport(proxy, secure=secure)
        return await transport.handle_async_request(request)

    async def _transport(self, proxy: str | None, *, secure: bool) -> httpx.AsyncHTTPTransport:
        # Without TLS no trust store is read: that takes 20 to 60 ms and a mebibyte.
        version = await self._from_disk(self._trust.version) if secure else None
        transport = self._open.get((proxy, version))
        if transport is None:
            context = await self._from_disk(self._trust.context) if secure else None
            transport = httpx.AsyncHTTPTransport(verify=context or False, proxy=_proxy(proxy, context), trust_env=False)
            # httpx has no argument for it.
            transport._pool._network_backend = BoundedNetwork(transport._pool._network_backend)
            await self._retire(proxy)
            self._open[proxy, version] = transport
        return transport

    async def _from_disk(self, call: Callable[[], T]) -> T:
        """Return what a look at the TLS files returns. Raises Unreachable where their file system hangs."""
        try:
            return await self._disk.call(self._trust.path, call)
        except Stalled as error:
            raise Unreachable(f"{self._trust.place}: {self._trust.path}: {error}") from None

    async def _retire(self, proxy: str | None) -> None:
        """Set the transports with the previous files aside: a request may be under way on one, so it closes later."""
        gone, self._retired = self._retired, []
        for key in [key for key in self._open if key[0] == proxy and key[1] is not None]:
            self._retired.append(self._open.pop(key))
        for transport in gone:
            await transport.aclose()

    async def aclose(self) -> None:
        for transport in (*self._open.values(), *self._retired):
            await transport.aclose()


def _proxy(url: str | None, context: ssl.SSLContext | None) -> httpx.Proxy | None:
    """Return the proxy with the trust of its own TLS connection: `verify` of httpx is that of the server."""
    if url is None:
        return None
    return httpx.Proxy(url, ssl_context=context if _secure(url) else None)


def _secure(url: str) -> bool:
    return urlsplit(url).scheme == "https"
