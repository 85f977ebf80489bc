"""Servers and proxies that fail the TLS handshake or before it: each cause has a message and a remedy of its own."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from app.core.errors import Unreachable
from app.upstream.client import Limits, UpstreamClient
from app.upstream.connections.resolver import Resolver
from app.upstream.connections.tls import Trust
from app.upstream.connections.transport import RoutingTransport

from ..ports import unused_port

NOW = datetime.now(UTC)
DAY = timedelta(days=1)

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request with an empty object."""
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()
        await reader.read()


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accept the connection and send nothing."""
    with contextlib.suppress(ConnectionError):
        while await reader.read(1000):
            pass


async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Act as a proxy: connect to the port that CONNECT names, whatever its host."""
    head = await reader.readuntil(b"\r\n\r\n")
    port = int(head.split()[1].rpartition(b":")[2])
    back, forth = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")

    async def copy(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await source.read(65_536):
                to.write(piece)
        to.close()

    try:
        await asyncio.gather(copy(reader, forth), copy(back, writer))
    finally:
        forth.transport.abort()


@asynccontextmanager
async def listening(handle: Handle, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Run a server on loopback and yield its port."""
    served: set[asyncio.Task[None]] = set()

    async def recorded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        served.add(task)
        try:
            await handle(reader, writer)
        except asyncio.CancelledError:
            pass  # the end of the test
        finally:
            writer.transport.abort()

    running = await asyncio.start_server(recorded, "127.0.0.1", 0, ssl=tls)
    try:
        yield running.sockets[0].getsockname()[1]
    finally:
        running.close()
        for task in served:
            task.cancel()
        await asyncio.gather(*served, return_exceptions=True)
        await asyncio.sleep(0)  # aborted transports close their sockets in the next turn of the loop


def certificate(authority: trustme.CA, name: str = "127.0.0.1", days: tuple[int, int] = (-1, 1)) -> ssl.SSLContext:
    """Return the context of a server whose certificate is valid from and until so many days from now."""
    issued = authority.issue_cert(name, not_before=NOW + days[0] * DAY, not_after=NOW + days[1] * DAY)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued.configure_cert(context)
    return context


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """The CA that the client trusts."""
    return trustme.CA()


def addresses(host: str, _family: int) -> list[str]:
    """Return the host, if it is an address. No name but localhost exists."""
    if host == "localhost":
        return ["127.0.0.1"]
    if re.fullmatch(r"[0-9.]+|.*:.*", host):
        return [host]
    raise socket.gaierror(socket.EAI_NONAME, "no such name")


@pytest.fixture
def request_to(authority: trustme.CA, tmp_path: Path) -> Callable[..., Awaitable[str]]:
    """Return what sends a request and returns the error, or an empty text."""
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))

    async def request(url: str, proxy: str = "none", *, seconds: float = 60) -> str:
        trust = Trust(str(ca_file), "tls.caFile", {})
        transport = RoutingTransport(proxy=proxy, environ={}, trust=trust, resolver=Resolver(addresses))
        client = UpstreamClient(transport, limits=Limits(seconds, seconds), now=time.time, observe=lambda _: None)
        try:
            await client.post(url, {})
        except Unreachable as error:
            return str(error)
        finally:
            await client.aclose()
        return ""

    return request


CERTIFICATES = {
    "valid": ("127.0.0.1", (-1, 1), ""),
    "expired": (
        "127.0.0.1",
        (-3, -1),
        "certificate has expired; set this machine's clock, or renew the certificate on the server",
    ),
    "not yet valid": ("127.0.0.1", (1, 3), "certificate is not valid yet; set this machine's clock"),
    "another name": ("idaas.test", (-1, 1), "certificate is not for 127.0.0.1; use a name that the certificate has"),
}


@pytest.mark.parametrize("case", CERTIFICATES)
async def test_certificate(case: str, authority: trustme.CA, request_to: Callable[..., Awaitable[str]]) -> None:
    """A certificate that is expired, not valid yet, or for another name is named as that, not as one of another CA."""
    name, days, expected = CERTIFICATES[case]
    async with listening(answer, certificate(authority, name, days)) as port:
        error = await request_to(f"https://127.0.0.1:{port}/token?secret=1")

    assert error == (f"https://127.0.0.1:{port}/token: could not connect: the server's {expected}" if expected else "")


async def test_certificate_of_another_ca(request_to: Callable[..., Awaitable[str]]) -> None:
    """For a certificate of another CA the remedy is `tls.caFile`."""
    async with listening(answer, certificate(trustme.CA())) as port:
        error = await request_to(f"https://127.0.0.1:{port}/")

    assert error.endswith("the server's certificate is not from a trusted CA; name its CA with tls.caFile")


async def test_server_without_tls(request_to: Callable[..., Awaitable[str]]) -> None:
    """A server that speaks HTTP without TLS is named as that."""

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with listening(plain) as port:
        error = await request_to(f"https://127.0.0.1:{port}/")

    assert "the server does not speak TLS; correct scheme and port of the URL" in error


async def test_silent_handshake(request_to: Callable[..., Awaitable[str]]) -> None:
    """A server that accepts the connection and is silent is told from one that cannot be reached."""
    async with listening(silent) as port:
        error = await request_to(f"https://127.0.0.1:{port}/", seconds=1)

    assert "could not connect: the server accepts connections, but does not answer the TLS handshake in time" in error


# --- proxies ----------------------------------------------------------------------------------------------------------


async def test_working_proxy(authority: trustme.CA, request_to: Callable[..., Awaitable[str]]) -> None:
    """A request through a proxy succeeds, and the proxy may have TLS with a certificate of the trusted CA."""
    async with (
        listening(answer, certificate(authority, "idaas.test")) as port,
        listening(tunnel) as plain,
        listening(tunnel, certificate(authority)) as secure,
    ):
        assert await request_to(f"https://idaas.test:{port}/", f"http://127.0.0.1:{plain}") == ""
        assert await request_to(f"https://idaas.test:{port}/", f"https://127.0.0.1:{secure}") == ""


async def test_server_behind_a_proxy(authority: trustme.CA, request_to: Callable[..., Awaitable[str]]) -> None:
    """An error of the server behind a proxy is the server's, and names the proxy as well."""
    async with listening(answer, certificate(authority, "other.test")) as port, listening(tunnel) as proxy:
        error = await request_to(f"https://idaas.test:{port}/", f"http://127.0.0.1:{proxy}")

    assert error.endswith(
        "could not connect: the server's certificate is not for idaas.test "
        f"(through the proxy 127.0.0.1:{proxy}); use a name that the certificate has"
    )


async def test_proxy_that_refuses_connections(request_to: Callable[..., Awaitable[str]]) -> None:
    """A proxy that cannot be reached is named, with the address that was tried."""
    port = unused_port()
    error = await request_to("https://idaas.test/", f"http://localhost:{port}")

    assert f"could not connect to the proxy localhost:{port} at " in error
    assert f"127.0.0.1:{port}: connection refused" in error


@pytest.mark.parametrize(
    ("status", "cure"),
    [
        (
            "403 Forbidden",
            "allow idaas.test in the proxy, or set connection.proxy to none if it can be reached directly",
        ),
        ("407 Proxy Authentication Required", "correct the user name and password in the proxy's URL"),
        ("405 Method Not Allowed", "it does not act as a proxy; correct the proxy's address, or permit CONNECT there"),
        ("502 Bad Gateway", "it cannot reach idaas.test; repair the proxy's network or its DNS"),
    ],
)
async def test_proxy_that_refuses(status: str, cure: str, request_to: Callable[..., Awaitable[str]]) -> None:
    """A proxy that refuses is named, with its answer and the remedy for that answer."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()

    async with listening(refuse) as port:
        error = await request_to("https://idaas.test/token?secret=1", f"http://user:password@127.0.0.1:{port}")

    assert error == f"https://idaas.test/token: the proxy 127.0.0.1:{port} refused: {status}; {cure}"


async def test_proxy_that_asks_for_a_login(request_to: Callable[..., Awaitable[str]]) -> None:
    """A proxy that asks for a login is told from one that does not accept the configured one."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with listening(refuse) as port:
        error = await request_to("https://idaas.test/", f"http://127.0.0.1:{port}")

    assert error.endswith("; give its user name and password in the proxy's URL")


@pytest.mark.parametrize(
    "login", ["user:pass%20phrase12", "token%20of%20user1", "token-of-user1:", "token-of-user12:x-oauth-basic1"]
)
async def test_proxy_that_quotes_its_login(login: str, request_to: Callable[..., Awaitable[str]]) -> None:
    """A proxy that repeats the login that it received, as it is or decoded, makes it appear in no message."""

    async def quote(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        sent = re.search(rb"Proxy-Authorization: Basic (\S+)", head, re.IGNORECASE)
        assert sent is not None
        user = base64.b64decode(sent[1]).partition(b":")[0]
        writer.write(b"HTTP/1.1 403 not for %s %s %s\r\n\r\n" % (sent[1], base64.b64decode(sent[1]), user))
        await writer.drain()

    async with listening(quote) as port:
        error = await request_to("https://idaas.test/", f"http://{login}@127.0.0.1:{port}")

    assert f"the proxy 127.0.0.1:{port} refused: 403 not for [hidden] [hidden] [hidden]; allow idaas.test" in error


@pytest.mark.parametrize("login", ["Authentication:Required", "407:407%20Proxy", "Proxy%20Authentication%20Required:"])
async def test_proxy_whose_words_are_its_login(login: str, request_to: Callable[..., Awaitable[str]]) -> None:
    """A login of ordinary words hides neither the status nor its standard words, nor the remedy."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
        await writer.drain()

    async with listening(refuse) as port:
        error = await request_to("https://idaas.test/", f"http://{login}@127.0.0.1:{port}")

    assert error.endswith(
        f"the proxy 127.0.0.1:{port} refused: 407 Proxy Authentication Required; "
        "correct the user name and password in the proxy's URL"
    )


ALERTS = {
    40: "the server ends the TLS handshake: no cipher or version in common, or it requires a client certificate",
    70: "the server speaks no version of TLS that is allowed here",
    112: "the server has no certificate for that name; use a name that the certificate has",
    None: "the server ends the TLS handshake without a reason; correct the port; if the server requires",
}
"""By the number of a TLS alert (RFC 8446 section 6); None: the connection is closed."""


@pytest.mark.parametrize("alert", ALERTS)
async def test_handshake_that_the_server_ends(alert: int | None, request_to: Callable[..., Awaitable[str]]) -> None:
    """A server that ends the handshake with an alert, or without one, is described by what it means."""

    async def end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65_536)
        if alert is not None:
            writer.write(bytes((21, 3, 3, 0, 2, 2, alert)))
            await writer.drain()
        writer.close()

    async with listening(end) as port:
        error = await request_to(f"https://127.0.0.1:{port}/")

    assert f": could not connect: {ALERTS[alert]}" in error


REDIRECTS = {
    "http://user:password@other.test/a?token=1": 'captive portal answers; it says "Location: http://other.test/a"',
    "http://user:password@[::1": "a redirect to an invalid URL; configure the final URL",
}


@pytest.mark.parametrize("location", REDIRECTS)
async def test_redirect_with_a_login(location: str, request_to: Callable[..., Awaitable[str]]) -> None:
    """A redirect is named without the login of its target, also where the target is no URL."""

    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()

    async with listening(redirect) as port:
        error = await request_to(f"http://127.0.0.1:{port}/")

    assert error.endswith(REDIRECTS[location])


async def test_name_that_is_no_host_name(request_to: Callable[..., Awaitable[str]]) -> None:
    """A host name that cannot be encoded, which an issuer's document may have, is an error of the URL."""
    error = await request_to("https://xn--.test/token")

    assert error == "https://xn--.test/token: not a usable URL: its host name is not valid"


async def test_silent_proxy(request_to: Callable[..., Awaitable[str]]) -> None:
    """A proxy that accepts the connection and does not answer is named, and not the server."""
    async with listening(silent) as port:
        error = await request_to("https://idaas.test/", f"http://127.0.0.1:{port}", seconds=1)

    assert error == f"https://idaas.test/: no answer in time from the proxy 127.0.0.1:{port}"


async def test_certificate_of_a_proxy(request_to: Callable[..., Awaitable[str]]) -> None:
    """A proxy's own certificate is not taken for the server's."""
    async with listening(tunnel, certificate(trustme.CA())) as port:
        error = await request_to("https://idaas.test/", f"https://127.0.0.1:{port}")

    assert f"the proxy 127.0.0.1:{port}'s certificate is not from a trusted CA" in error


async def test_name_of_a_proxy(request_to: Callable[..., Awaitable[str]]) -> None:
    """A proxy whose name does not exist is named as the proxy's, not the server's."""
    error = await request_to("https://idaas.test/", "http://nobody.test:3128")

    assert "the name of the proxy, nobody.test, does not exist in DNS; correct the host name" in error
