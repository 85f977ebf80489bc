"""Connections to the cloud, each through the configured proxy of its URL, with TLS as configured."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

import httpcore
import httpx
from msgspec.structs import replace

from ...core.addresses import authority
from ...core.errors import ConfigError, Unreachable
from ...core.proxies import check_proxy, proxy_for, proxy_variable
from ...system.disk import Disk, Stalled
from ...system.probe import probe
from .bounded import BoundedNetwork
from .connect import Network
from .resolver import Resolver
from .tls import Trust

T = TypeVar("T")

PROXY = "idaas_sidecar.proxy"
"""The name of the request extension that holds the request's ProxyInBetween, if there is a proxy."""

IDLE_CONNECTIONS, IDLE_SECONDS = 20, 5.0
"""The most idle connections of a pool, and the seconds for which they stay open: the defaults of httpx."""


@dataclass(slots=True)
class ProxyInBetween:
    """
    The proxy of a request, as host and port. `passed`: whether the proxy has connected to the server.

    `login`: the secrets of the login, which an answer of the proxy may quote. `place`: the variable of the environment
    that names the proxy, or `proxy`.
    """

    address: str
    passed: bool = False
    login: tuple[str, ...] = field(default=(), repr=False)
    place: str = "proxy"

    async def trace(self, event: str, _: Mapping[str, Any]) -> None:
        """Record that the handshake with the server begins. httpcore calls this method at each step of a request."""
        self.passed = self.passed or event == "proxy.start_tls.started"


def _login(proxy: SplitResult) -> tuple[str, ...]:
    """
    Return the secrets of a proxy's login: the password, the user, and both as the header has them.

    The user may be a token, with an empty password or a fixed word as the password.
    """
    if proxy.username is None:
        return ()
    user, password = unquote(proxy.username), unquote(proxy.password or "")
    return (f"{user}:{password}", *filter(None, (password, user)))


class PooledTransport(httpx.AsyncHTTPTransport):
    """The transport of httpx over a given pool of connections. httpx's own pool does not allow another network."""

    def __init__(self, pool: httpcore.AsyncConnectionPool) -> None:
        self._pool = pool


class RoutingTransport(httpx.AsyncBaseTransport):
    """
    Opens connections at their first use. Opens new ones after the files of `trust` have changed.

    `proxy`: the proxy of this connection, `proxies.NO_PROXY` for no proxy, or None for the proxy of the environment.
    """

    def __init__(
        self,
        *,
        proxy: str | None,
        environ: Mapping[str, str],
        trust: Trust,
        disk: Disk | None = None,
        resolver: Resolver | None = None,
    ) -> None:
        self._proxy = proxy
        self._environ = environ
        self._trust = trust
        self._disk = disk or Disk()
        self._network = BoundedNetwork(Network(resolver or Resolver()))
        self._open: dict[tuple[str | None, Hashable], PooledTransport] = {}
        self._retired: list[PooledTransport] = []
        self._opening = asyncio.Lock()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = str(request.url)
        proxy = proxy_for(url, self._proxy, self._environ)
        if proxy is not None:
            place = "proxy" if self._proxy else proxy_variable(url, self._environ) or ""
            try:
                check_proxy(proxy, place)
            except ConfigError as error:  # for a URL that is known at run time only: the configuration's check passed
                raise Unreachable(error.cause, cure=error.cure, error_code=error.error_code) from None
            parts = urlsplit(proxy)  # only host and port are kept: a proxy's URL may hold a password
            port = parts.port or (443 if parts.scheme == "https" else 80)
            between = ProxyInBetween(authority(parts.hostname or "", port), login=_login(parts), place=place)
            request.extensions |= {PROXY: between, "trace": between.trace}
        secure = request.url.scheme == "https" or bool(proxy and proxy.lower().startswith("https:"))
        transport = await self._transport(proxy, secure=secure)
        return await transport.handle_async_request(request)

    async def _transport(self, proxy: str | None, *, secure: bool) -> PooledTransport:
        # Without TLS, no trust store is read: reading takes 20 to 60 ms and a mebibyte.
        try:
            version = await self._version() if secure else None
        except Unreachable:
            # The file system hangs: the trust store in memory stays in use.
            known = next((found for (to, of), found in self._open.items() if to == proxy and of is not None), None)
            if known is None:
                raise
            return known
        async with self._opening:  # concurrent requests share one trust store of a mebibyte
            transport = self._open.get((proxy, version))
            if transport is None:
                transport = PooledTransport(await self._pool(proxy, secure=secure))
                await self._retire(proxy)
                self._open[proxy, version] = transport
            return transport

    async def _pool(self, proxy: str | None, *, secure: bool) -> httpcore.AsyncConnectionPool:
        """Return a new pool without a limit of connections: a server that hangs would use up a limit for all others."""
        options: dict[str, Any] = {
            "ssl_context": await self._context(self._trust) if secure else None,
            "max_connections": None,
            "max_keepalive_connections": IDLE_CONNECTIONS,
            "keepalive_expiry": IDLE_SECONDS,
            "network_backend": self._network,
        }
        if proxy is None:
            return httpcore.AsyncConnectionPool(**options)
        between = httpx.Proxy(proxy)
        return httpcore.AsyncHTTPProxy(
            httpcore.URL(
                scheme=between.url.raw_scheme,
                host=between.url.raw_host,
                port=between.url.port,
                target=between.url.raw_path,
            ),
            between.raw_auth,
            between.headers.raw,
            proxy_ssl_context=await self._proxy_trust() if between.url.scheme == "https" else None,
            **options,
        )

    async def _proxy_trust(self) -> ssl.SSLContext:
        """Return the trust for a proxy with TLS: the CAs of the connection, without its client certificate."""
        return await self._context(replace(self._trust, verify=True, client=None))

    async def _version(self) -> Hashable:
        """Return the state of the TLS files, so that a rotated certificate needs no restart."""
        # One call for each file, so that a file that hangs delays its own directory only.
        return tuple([await self._from_disk(partial(probe, path), place, path) for place, path in self._trust.named()])

    async def _context(self, trust: Trust) -> ssl.SSLContext:
        place, path = next(iter(trust.named()), (trust.place, "(the system's CA certificates)"))
        return await self._from_disk(trust.context, place, path)

    async def _from_disk(self, call: Callable[[], T], place: str, path: str) -> T:
        """Return the result of `call` about a TLS file. Raises Unreachable if its file system hangs."""
        try:
            return await self._disk.call(path, call)
        except Stalled as error:
            raise Unreachable(f"{place}: {path}: {error}", error_code="IDS-601") from None

    async def _retire(self, proxy: str | None) -> None:
        """Set aside the transports with the previous files. They close later, because a request may be under way."""
        gone, self._retired = self._retired, []
        for key in [key for key in self._open if key[0] == proxy and key[1] is not None]:
            self._retired.append(self._open.pop(key))
        for transport in gone:
            await transport.aclose()

    async def aclose(self) -> None:
        for transport in (*self._open.values(), *self._retired):
            await transport.aclose()
