"""Connections to servers on loopback: through which proxy, with which trust, and when new ones are opened."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx
import pytest
import trustme

from app.core.errors import Unreachable
from app.core.proxies import NO_PROXY
from app.upstream.connections.tls import Trust
from app.upstream.connections.transport import PROXY, RoutingTransport

from ..server import serving


def transport(
    *, proxy: str | None = None, environ: dict[str, str] | None = None, trust: Trust | None = None
) -> RoutingTransport:
    """Return a transport without a proxy and with the system's trust, unless the arguments say otherwise."""
    return RoutingTransport(proxy=proxy, environ=environ or {}, trust=trust or Trust(None, "tls.caFile", {}))


async def get(at: RoutingTransport, url: str) -> httpx.Request:
    """Send a GET, read the answer, and return the request."""
    request = httpx.Request("GET", url)
    response = await at.handle_async_request(request)
    assert await response.aread() == b"{}"
    return request


async def test_connection_is_kept() -> None:
    """Requests to one server share a connection, which ends when the transport is closed."""
    async with serving() as server:
        found = transport()
        requests = [await get(found, f"http://{server.authority}/{number}") for number in range(2)]
        assert (server.opened, server.closed) == (1, 0)
        await found.aclose()
        await server.closed_connections(1)

    assert server.lines == ["GET /0 HTTP/1.1", "GET /1 HTTP/1.1"]
    assert [request.extensions.get(PROXY) for request in requests] == [None, None]


@pytest.mark.parametrize("source", ["configuration", "environment"])
async def test_proxy_gets_the_request(source: str) -> None:
    """A request goes through the proxy of the configuration or environment, which is named without its password."""
    async with serving() as proxy:
        url = f"http://user:s3cr3t@{proxy.authority}"
        found = transport(proxy=url) if source == "configuration" else transport(environ={"http_proxy": url})
        request = await get(found, "http://login.example.com/token")
        await found.aclose()

    assert proxy.lines == ["GET http://login.example.com/token HTTP/1.1"]
    assert request.extensions[PROXY].address == proxy.authority


@pytest.mark.parametrize("proxy", ["socks5://proxy:1080", "http://proxy:99999", "fd00::1"])
async def test_proxy_that_cannot_be_used(proxy: str) -> None:
    """A URL that only an issuer's document names may have a proxy of its own, which no check of a configuration saw."""
    found = transport(environ={"all_proxy": proxy})
    with pytest.raises(Unreachable) as caught:
        await get(found, "https://login.example.com/token")
    await found.aclose()

    assert str(caught.value).startswith("all_proxy: ")
    assert caught.value.error_code == "IDS-112"


async def test_proxy_is_not_used_for_loopback() -> None:
    """A request to this machine goes directly to its server, and shares no connection with those through a proxy."""
    async with serving() as proxy, serving() as server:
        found = transport(proxy=f"http://{proxy.authority}")
        await get(found, "http://login.example.com/token")
        direct = await get(found, f"http://{server.authority}/")
        await found.aclose()

    assert (len(proxy.lines), len(server.lines), direct.extensions.get(PROXY)) == (1, 1, None)


async def test_proxy_of_the_environment_can_be_ignored() -> None:
    """With `none` the proxy of the environment is not used, not even by the HTTP library."""
    async with serving() as proxy:
        found = transport(proxy=NO_PROXY, environ={"http_proxy": f"http://{proxy.authority}"})
        request = httpx.Request("GET", "http://login.invalid/token")
        with pytest.raises(httpx.ConnectError):
            await found.handle_async_request(request)
        await found.aclose()

    assert (proxy.lines, PROXY in request.extensions) == ([], False)


async def test_default_port_of_a_proxy() -> None:
    """A proxy without a port is named with port 80, and one with an IPv6 address in brackets."""
    found = transport(proxy="http://[::1]")
    request = httpx.Request("GET", "http://login.example.com/")
    with pytest.raises((httpx.ConnectError, httpx.ProxyError, httpx.RemoteProtocolError)):
        await found.handle_async_request(request)

    assert request.extensions[PROXY].address == "[::1]:80"


class Site:
    """The certificate of a TLS server, and the file with the CA that a client trusts."""

    def __init__(self, directory: Path) -> None:
        self.ca_file = directory / "ca.pem"
        self.authority = trustme.CA()
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.authority.issue_cert("127.0.0.1").configure_cert(self.context)
        self.trust = Trust(str(self.ca_file), "tls.caFile", {})

    def write(self, authority: trustme.CA) -> None:
        """Make `authority` the CA that the client trusts."""
        self.ca_file.unlink(missing_ok=True)
        authority.cert_pem.write_to_path(str(self.ca_file))


async def test_changed_authority_opens_new_connections(tmp_path: Path) -> None:
    """A changed CA file is read before the next request; a connection closes at the second change after it."""
    site = Site(tmp_path)
    site.write(site.authority)
    async with serving(site.context) as server:
        found = transport(trust=site.trust)
        url = f"https://{server.authority}/"
        await get(found, url)
        await get(found, url)
        assert server.opened == 1

        site.write(trustme.CA())
        with pytest.raises(httpx.ConnectError):
            await get(found, url)

        site.write(site.authority)
        before = server.closed
        await get(found, url)
        await server.closed_connections(before + 1)
        await get(found, url)
        await found.aclose()

    assert len(server.lines) == 4


async def test_plain_requests_survive_a_changed_authority(tmp_path: Path) -> None:
    """A request without TLS needs no trust, so its connection is kept whatever happens to the CA file."""
    site = Site(tmp_path)
    site.write(site.authority)
    async with serving(site.context) as secure, serving() as plain:
        found = transport(trust=site.trust)
        await get(found, f"http://{plain.authority}/")
        await get(found, f"https://{secure.authority}/")
        site.write(site.authority)
        await get(found, f"https://{secure.authority}/")
        site.ca_file.unlink()
        await get(found, f"http://{plain.authority}/")
        await found.aclose()

    assert (plain.opened, len(secure.lines)) == (1, 2)


@pytest.mark.parametrize("through_a_proxy", [False, True])
async def test_plain_requests_read_no_authority(through_a_proxy: bool, tmp_path: Path) -> None:
    """Without TLS a missing CA file does not matter, neither directly nor through a proxy."""
    async with serving() as server:
        proxy = f"http://{server.authority}" if through_a_proxy else None
        found = transport(proxy=proxy, trust=Trust(str(tmp_path / "missing"), "tls.caFile", {}))
        await get(found, "http://login.example.com/" if through_a_proxy else f"http://{server.authority}/")
        await found.aclose()

    assert len(server.lines) == 1


async def test_tunnel_through_a_plain_proxy() -> None:
    """A request with TLS gets a tunnel from a proxy without TLS, and its trust is not used for the proxy."""
    async with serving() as proxy:
        found = transport(proxy=f"http://{proxy.authority}")
        with pytest.raises(httpx.TransportError):  # behind the tunnel there is no TLS server
            await get(found, "https://login.example.com/token")
        await found.aclose()

    assert proxy.lines[0] == "CONNECT login.example.com:443 HTTP/1.1"


async def test_request_under_way_outlives_a_changed_authority(tmp_path: Path) -> None:
    """A connection with the previous files is not closed by the first request with the new ones."""
    site = Site(tmp_path)
    site.write(site.authority)
    async with serving(site.context) as server:
        found = transport(trust=site.trust)
        url = f"https://{server.authority}/"
        first = await found.handle_async_request(httpx.Request("GET", url))
        site.write(site.authority)
        await get(found, url)

        assert await first.aread() == b"{}"
        await found.aclose()
        await server.closed_connections(2)


async def test_secure_proxy_needs_trust(tmp_path: Path) -> None:
    """The trust of the connection applies to a proxy that is spoken to by TLS, too."""
    site = Site(tmp_path)
    site.write(site.authority)
    async with serving(site.context) as proxy:
        found = transport(proxy=f"https://{proxy.authority}", trust=site.trust)
        await get(found, "http://login.example.com/token")
        await found.aclose()

    assert proxy.lines == ["GET http://login.example.com/token HTTP/1.1"]
