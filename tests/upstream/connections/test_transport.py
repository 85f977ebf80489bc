"""Connections to servers on loopback: through which proxy, with which trust, and when new ones are opened."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from app.core.errors import Unreachable
from app.core.proxies import NO_PROXY
from app.system.disk import Disk, Stalled
from app.upstream.connections.tls import Trust
from app.upstream.connections.transport import PROXY, RoutingTransport
from app.upstream.keys.client_certificate import ClientCertificate

from ..server import ANSWER, serving


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
    assert request.extensions[PROXY].place == ("proxy" if source == "configuration" else "http_proxy")
    assert request.extensions[PROXY].login == ("user:s3cr3t", "s3cr3t", "user")
    assert "s3cr3t" not in repr(request.extensions[PROXY])


@pytest.mark.parametrize("proxy", ["socks5://proxy:1080", "http://proxy:99999", "fd00::1"])
async def test_proxy_that_cannot_be_used(proxy: str) -> None:
    """A URL that only an issuer's document names may have a proxy of its own, which no check of a configuration saw."""
    found = transport(environ={"all_proxy": proxy})
    with pytest.raises(Unreachable) as caught:
        await get(found, "https://login.example.com/token")
    await found.aclose()

    assert str(caught.value).startswith("all_proxy: ")
    assert caught.value.cure
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


@pytest.mark.parametrize(
    ("login", "secrets"),
    [("", ()), ("us%2Fer:pass%20word@", ("us/er:pass word", "pass word", "us/er")), ("token@", ("token:", "token"))],
    ids=["none", "user and password", "user alone"],
)
async def test_login_of_a_proxy(login: str, secrets: tuple[str, ...]) -> None:
    """The secrets of a proxy include its login in the form of the header, because an answer may quote it."""
    async with serving() as proxy:
        found = transport(proxy=f"http://{login}{proxy.authority}")
        request = await get(found, "http://login.example.com/token")
        await found.aclose()

    assert request.extensions[PROXY].login == secrets


@pytest.mark.parametrize(("scheme", "port"), [("http", 80), ("https", 443)])
async def test_default_port_of_a_proxy(scheme: str, port: int) -> None:
    """A message names a proxy with its port, by default that of the scheme. An IPv6 address has brackets."""
    found = transport(proxy=f"{scheme}://[::1]")
    request = httpx.Request("GET", "http://login.example.com/")
    with pytest.raises((httpx.ConnectError, httpx.ProxyError, httpx.RemoteProtocolError)):
        await found.handle_async_request(request)
    await found.aclose()

    assert request.extensions[PROXY].address == f"[::1]:{port}"


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


async def test_secure_proxy_is_verified_in_any_case(tmp_path: Path) -> None:
    """A connection that does not verify its server verifies its proxy, which gets the login."""
    site = Site(tmp_path)
    async with serving(site.context) as proxy:
        unverified = Trust(None, "tls.caFile", {}, verify=False)
        found = transport(proxy=f"https://{proxy.authority}", trust=unverified)
        with pytest.raises(httpx.ConnectError):
            await get(found, "http://login.example.com/token")
        await found.aclose()

    assert proxy.lines == []


@pytest.mark.parametrize("through_a_proxy", [False, True])
async def test_client_certificate_is_for_the_server_alone(through_a_proxy: bool, tmp_path: Path) -> None:
    """The client certificate is presented to the server, and not to a proxy that asks for one."""
    site, presented = Site(tmp_path), list[bool]()
    site.write(site.authority)
    site.context.verify_mode = ssl.CERT_OPTIONAL
    site.authority.configure_trust(site.context)
    path = tmp_path / "client.pem"
    site.authority.issue_cert("client.example.com").private_key_and_cert_chain_pem.write_to_path(str(path))
    path.chmod(0o600)
    certificate = ClientCertificate(str(path), None, None, "certificateFile", "certificateFile")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        presented.append(bool(writer.get_extra_info("peercert")))
        writer.write(ANSWER)
        writer.close()

    running = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=site.context)
    url = f"https://127.0.0.1:{running.sockets[0].getsockname()[1]}"
    found = transport(
        proxy=url if through_a_proxy else None, trust=Trust(str(site.ca_file), "tls.caFile", {}, client=certificate)
    )
    await get(found, "http://login.example.com/token" if through_a_proxy else url)
    await found.aclose()
    running.close()

    assert presented == [not through_a_proxy]


async def test_handshake_behind_a_proxy_is_noted() -> None:
    """When the TLS handshake with the server begins, the proxy is recorded as connected."""
    async with serving() as proxy:
        found = transport(proxy=f"http://{proxy.authority}")
        secure, plain = (httpx.Request("GET", f"{scheme}://login.example.com/") for scheme in ("https", "http"))
        with pytest.raises(httpx.TransportError):  # behind the tunnel there is no TLS server
            await found.handle_async_request(secure)
        await (await found.handle_async_request(plain)).aread()
        await found.aclose()

    assert (secure.extensions[PROXY].passed, plain.extensions[PROXY].passed) == (True, False)


class StallingDisk(Disk):
    """A disk that records the paths of its calls. It can be made to hang."""

    def __init__(self) -> None:
        super().__init__()
        self.stalled = False
        self.paths: list[str] = []

    async def call(self, path: str, call: Callable[..., Any], *arguments: Any, patience: float | None = None) -> Any:
        """Return the result of the call, or raise Stalled."""
        self.paths.append(path)
        if self.stalled:
            raise Stalled("the file system did not answer within 5 s", error_code="IDS-601")
        return await super().call(path, call, *arguments, patience=patience)


async def test_trust_in_memory_is_used_while_the_disk_hangs(tmp_path: Path) -> None:
    """If the file system of the CA file hangs, the open connections to this proxy with TLS stay in use."""
    site, disk = Site(tmp_path), StallingDisk()
    site.write(site.authority)
    async with serving(site.context) as server, serving() as proxy:
        found = RoutingTransport(proxy=None, environ={"no_proxy": "*"}, trust=site.trust, disk=disk)
        await get(found, f"http://{proxy.authority}/")
        await get(found, f"https://{server.authority}/")
        disk.stalled = True
        await get(found, f"https://{server.authority}/")
        await get(found, f"http://{proxy.authority}/")
        await found.aclose()

    assert (len(server.lines), server.opened, len(proxy.lines)) == (2, 1, 2)
    assert set(disk.paths) == {str(site.ca_file)}


async def test_disk_that_hangs_before_the_first_connection(tmp_path: Path) -> None:
    """Without open connections, a CA file whose file system hangs is an error with key and path."""
    site, disk = Site(tmp_path), StallingDisk()
    disk.stalled = True
    async with serving() as plain:
        found = RoutingTransport(proxy=None, environ={}, trust=site.trust, disk=disk)
        await get(found, f"http://{plain.authority}/")
        with pytest.raises(Unreachable) as caught:
            await get(found, "https://127.0.0.1:1/")
        await found.aclose()

    assert str(caught.value) == f"tls.caFile: {site.ca_file}: the file system did not answer within 5 s"
    assert caught.value.error_code == "IDS-601"


async def test_disk_that_hangs_under_the_systems_certificates() -> None:
    """The system's CA certificates have no key. The message about them says what they are."""
    disk = StallingDisk()
    disk.stalled = True
    found = RoutingTransport(proxy=None, environ={}, trust=Trust(None, "tls.caFile", {}), disk=disk)
    with pytest.raises(Unreachable, match=r"^tls\.caFile: \(the system's CA certificates\): the file system did not"):
        await get(found, "https://127.0.0.1:1/")
    await found.aclose()


async def test_many_connections_at_once_and_few_idle_ones() -> None:
    """The number of concurrent requests is not limited. At most 20 of their connections are kept for later requests."""
    async with serving() as server:
        found = transport()
        url = f"http://{server.authority}/"
        answers = [await found.handle_async_request(httpx.Request("GET", url)) for _ in range(22)]
        assert (server.opened, server.closed) == (22, 0)
        for answer in answers:
            await answer.aread()
            await answer.aclose()
        await server.closed_connections(2)
        again = [await found.handle_async_request(httpx.Request("GET", url)) for _ in range(20)]
        for answer in again:
            await answer.aread()
            await answer.aclose()
        await found.aclose()

    assert server.opened == 22


async def test_changed_authority_counts_for_a_secure_proxy(tmp_path: Path) -> None:
    """A changed CA file is read before the next request through a proxy with TLS, also for a request without TLS."""
    site = Site(tmp_path)
    site.write(site.authority)
    async with serving(site.context) as proxy:
        found = transport(proxy=f"https://{proxy.authority}", trust=site.trust)
        await get(found, "http://login.example.com/token")
        site.write(trustme.CA())
        with pytest.raises(httpx.ConnectError):
            await get(found, "http://login.example.com/token")
        await found.aclose()

    assert len(proxy.lines) == 1
