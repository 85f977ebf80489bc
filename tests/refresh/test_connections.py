"""The HTTP clients of the clients: who shares one, and what its transport is made of."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from app.config.loader import Loaded
from app.config.settings import Settings
from app.core.connection import Connection, HttpConfiguration
from app.core.errors import NotThereYet, Unreachable
from app.refresh.connections import Connections, Route, real_transport
from app.system.disk import Disk
from app.upstream.client import Limits
from app.upstream.connections.resolver import Resolver

from ..upstream.server import serving


class RecordingTransport(httpx.AsyncBaseTransport):
    """A transport that answers every request and records whether it is closed."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self.requests: list[httpx.Request] = []
        self.closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return httpx.Response(200, headers={"date": "Thu, 01 Jan 1970 00:00:10 GMT"}, stream=httpx.ByteStream(b""))

    async def aclose(self) -> None:
        self.closed = True


class Clients:
    """Connections, their transports in the order of their creation, and the events."""

    def __init__(self) -> None:
        self.transports: list[RecordingTransport] = []
        self.events: list[Any] = []
        self.connections = Connections(self._transport, now=lambda: 3.0, observe=self.events.append)

    def _transport(self, route: Route) -> RecordingTransport:
        self.transports.append(RecordingTransport(route))
        return self.transports[-1]


@pytest.fixture
def clients() -> Clients:
    """Connections without a network."""
    return Clients()


def test_clients_with_the_same_route_share_a_client(clients: Clients) -> None:
    """Clients share a client if connection, limits and verification are equal, wherever they are configured."""
    first = clients.connections.to(Connection(), "a")
    same = [clients.connections.to(Connection(), "b"), clients.connections.to(Connection(), "b", HttpConfiguration())]
    others = [
        clients.connections.to(Connection(proxy="none"), "c"),
        clients.connections.to(Connection(), "d", HttpConfiguration(connect_timeout=2000)),
        clients.connections.to(Connection(), "e", HttpConfiguration(read_timeout=3000)),
        clients.connections.to(Connection(), "f", HttpConfiguration(unsafe_ignore_ssl_cert=True)),
    ]

    assert same == [first, first]
    assert len({first, *others}) == 5
    assert [transport.route for transport in clients.transports] == [
        Route(Connection(), "a", Limits(5.0, 10.0), verify=True),
        Route(Connection(proxy="none"), "c", Limits(5.0, 10.0), verify=True),
        Route(Connection(), "d", Limits(2.0, 10.0), verify=True),
        Route(Connection(), "e", Limits(5.0, 3.0), verify=True),
        Route(Connection(), "f", Limits(5.0, 10.0), verify=False),
    ]


async def test_client_has_the_limits_and_reads_the_clock(clients: Clients) -> None:
    """A client sends with the limits of its connection, and reports the cloud's clock against this machine's."""
    await clients.connections.to(Connection(), "a", HttpConfiguration(2000, 3000)).get("https://x.example.com/")

    timeout = clients.transports[0].requests[0].extensions["timeout"]
    assert (timeout["connect"], timeout["read"]) == (2.0, 3.0)
    assert [event.offset for event in clients.events] == [7.5]


async def test_all_clients_are_closed(clients: Clients) -> None:
    """Closing closes every client."""
    clients.connections.to(Connection(), "a")
    clients.connections.to(Connection(proxy="none"), "b")
    await clients.connections.aclose()

    assert [transport.closed for transport in clients.transports] == [True, True]


# --- real transports --------------------------------------------------------------------------------------------------


def settings_with(loaded: Callable[..., Loaded], **changes: Any) -> Settings:
    """Return the default settings with changes."""
    return msgspec.structs.replace(loaded().settings, **changes)


async def send_one_request(settings: Settings, connection: Connection, environ: dict[str, str]) -> None:
    """Send one request with the transport of a route."""
    transport = real_transport(settings, environ, Disk())(
        Route(connection, "exchange.connection", Limits(), verify=True)
    )
    await transport.handle_async_request(httpx.Request("GET", "http://login.example.com/"))
    await transport.aclose()


@pytest.mark.parametrize("place", ["connection", "file", "environment"])
async def test_proxy_of_a_connection_comes_before_that_of_the_file(place: str, loaded: Callable[..., Loaded]) -> None:
    """The proxy of a connection is its own, else that of the file, else that of the environment."""
    async with serving() as proxy:
        url, unused = f"http://{proxy.authority}", "http://127.0.0.1:1"
        settings = settings_with(loaded, proxy={"connection": unused, "file": url}.get(place))
        connection = Connection(proxy=url if place == "connection" else None)
        await send_one_request(settings, connection, {"http_proxy": url if place == "environment" else unused})

    assert proxy.lines == ["GET http://login.example.com/ HTTP/1.1"]


@pytest.mark.parametrize(
    ("own", "of_the_file", "message"),
    [
        ("own.pem", "file.pem", "exchange.connection.caFile: {}/own.pem: no such file"),
        (None, "file.pem", "tls.caFile: {}/file.pem: no such file"),
        (None, None, "SSL_CERT_FILE: {}/environment.pem: no such file"),
    ],
)
async def test_authority_of_a_connection_comes_before_that_of_the_file(
    own: str | None, of_the_file: str | None, message: str, tmp_path: Path, loaded: Callable[..., Loaded]
) -> None:
    """The CA file of a connection is its own, else the file's, else the environment's; an error names its key."""
    tls = msgspec.structs.replace(loaded().settings.tls, ca_file=of_the_file and str(tmp_path / of_the_file))
    environ = {"SSL_CERT_FILE": str(tmp_path / "environment.pem")}
    route = Route(Connection(ca_file=own and str(tmp_path / own)), "exchange.connection", Limits(), verify=True)
    transport = real_transport(settings_with(loaded, tls=tls), environ, Disk())(route)

    with pytest.raises(NotThereYet) as caught:
        await transport.handle_async_request(httpx.Request("GET", "https://127.0.0.1:1/"))
    assert str(caught.value).startswith(message.format(tmp_path))


async def test_connection_without_verification_reads_no_authority(
    tmp_path: Path, loaded: Callable[..., Loaded]
) -> None:
    """Where the server's certificate is not verified, a missing CA file does not matter."""
    route = Route(Connection(ca_file=str(tmp_path / "missing.pem")), "exchange.connection", Limits(), verify=False)
    transport = real_transport(loaded().settings, {}, Disk())(route)

    with pytest.raises(httpx.ConnectError):
        await transport.handle_async_request(httpx.Request("GET", "https://127.0.0.1:1/"))


async def test_client_certificate_of_a_connection(tmp_path: Path, loaded: Callable[..., Loaded]) -> None:
    """The client certificate of a connection is read when a connection needs it, and an error names its key."""
    connection = Connection(certificate_file=str(tmp_path / "tls.crt"))
    transport = real_transport(loaded().settings, {}, Disk())(
        Route(connection, "exchange.connection", Limits(), verify=True)
    )

    with pytest.raises(NotThereYet) as caught:
        await transport.handle_async_request(httpx.Request("GET", "https://127.0.0.1:1/"))
    assert str(caught.value) == f"exchange.connection.certificateFile: {tmp_path}/tls.crt: no such file"


async def test_all_connections_share_the_resolver(loaded: Callable[..., Loaded]) -> None:
    """Names are resolved by the resolver that is given; without one, the system's is asked."""
    asked = list[str]()

    def addresses(host: str, _family: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    for resolver in (Resolver(addresses), None):
        async with serving() as server:
            transport = real_transport(loaded().settings, {}, Disk(), resolver)(
                Route(Connection(), "exchange.connection", Limits(), verify=True)
            )
            port = server.authority.rpartition(":")[2]
            await transport.handle_async_request(httpx.Request("GET", f"http://localhost:{port}/"))
            await transport.aclose()
            assert server.lines == ["GET / HTTP/1.1"]

    assert asked == ["localhost"]


async def test_files_are_read_by_the_disk_that_is_given(tmp_path: Path, loaded: Callable[..., Loaded]) -> None:
    """A CA file on a file system that hangs ends with the patience of the disk that is given."""

    class Hanging(Executor):
        def submit(self, *_arguments: Any, **_options: Any) -> Future[Any]:
            return Future()

    tls = msgspec.structs.replace(loaded().settings.tls, ca_file=str(tmp_path / "ca.pem"))
    transport = real_transport(settings_with(loaded, tls=tls), {}, Disk(0.01, Hanging()))(
        Route(Connection(), "exchange.connection", Limits(), verify=True)
    )

    with pytest.raises(Unreachable, match=r"the file system did not answer within 0\.01 s"):
        await transport.handle_async_request(httpx.Request("GET", "https://127.0.0.1:1/"))
