"""The upstream client over sockets of this test: proxies, time limits, slow responses, and the emulator's mark."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import httpx
import pytest

from app.config.loader import load
from app.core.clocks import Clocks
from app.core.errors import NotThereYet, Unreachable
from app.core.events import ClockRead, Event
from app.refresh.pipeline import Pipeline
from app.system.sockets import is_ours
from app.upstream.client import Limits, UpstreamClient
from app.upstream.connections.tls import Trust
from app.upstream.connections.transport import RoutingTransport

from ..clock import Clock
from ..ports import unused_port

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(handle: Handle) -> AsyncIterator[str]:
    """Run a TCP server on loopback and yield its address."""
    clients: list[asyncio.StreamWriter] = []

    async def recorded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        clients.append(writer)
        await handle(reader, writer)

    running = await asyncio.start_server(recorded, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{running.sockets[0].getsockname()[1]}"
    finally:
        running.close()
        for writer in clients:
            writer.transport.abort()
        await asyncio.gather(*(writer.wait_closed() for writer in clients), return_exceptions=True)


def new_client(
    environ: dict[str, str], *, limits: Limits | None = None, configured: str | None = None
) -> UpstreamClient:
    """Return a client with a real transport."""
    routes = RoutingTransport(proxy=configured, environ=environ, trust=Trust(None, "tls.caFile", {}))
    return UpstreamClient(routes, limits=limits or Limits(60, 60), now=time.time, observe=lambda _: None)


def responding(text: bytes, seen: list[bytes]) -> Handle:
    """Return a handler that reads one head, records its first line, sends `text` and closes."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append(head.split(b"\r\n")[0])
        writer.write(text)
        await writer.drain()
        writer.close()

    return handle


@pytest.mark.parametrize(
    ("configured", "variables"),
    [(True, {}), (False, {"HTTPS_PROXY": "{}"}), (False, {"https_proxy": "http://{}"}), (False, {"ALL_PROXY": "{}"})],
    ids=["proxy key", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"],
)
async def test_https_uses_the_proxy(configured: bool, variables: dict[str, str]) -> None:
    """An https URL is requested by CONNECT at the proxy that the configuration or the environment names."""
    seen: list[bytes] = []
    async with server(responding(b"HTTP/1.1 403 Forbidden\r\n\r\n", seen)) as proxy:
        environ = {name: value.format(proxy) for name, value in variables.items()}
        upstream = new_client(environ, configured=f"http://{proxy}" if configured else None)
        refused = f"the proxy {proxy} refused: 403 Forbidden; allow idaas.example in the proxy"
        with pytest.raises(Unreachable, match=refused):
            await upstream.post("https://idaas.example/token", {})
        await upstream.aclose()

    assert seen == [b"CONNECT idaas.example:443 HTTP/1.1"]


async def test_loopback_is_never_proxied() -> None:
    """A loopback URL is requested directly, whatever proxies are configured."""
    seen: list[bytes] = []
    async with server(responding(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", seen)) as here:
        upstream = new_client({"HTTP_PROXY": "http://127.0.0.1:9"}, configured="http://127.0.0.1:9")
        response = await upstream.post(f"http://{here}/token?x=1", {"a": "b c"})
        await upstream.aclose()

    assert response.status == 200
    assert seen == [b"POST /token?x=1 HTTP/1.1"]


async def test_slow_body_ends_at_the_total_limit() -> None:
    """A body that arrives byte by byte ends at the limit of the whole exchange."""

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        try:
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.02)
        except ConnectionError:
            writer.close()

    async with server(trickle) as here:
        # A read limit of 2 s is far above the pause of 0.02 s, also on a busy machine.
        upstream = new_client({}, limits=Limits(1, 2))
        with pytest.raises(Unreachable, match=r"no complete answer within 5 s"):
            await upstream.post(f"http://{here}/", {})
        await upstream.aclose()


async def test_silence_ends_at_the_read_limit() -> None:
    """An endpoint that accepts the connection and sends nothing ends at the read limit."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with server(silent) as here:
        upstream = new_client({}, limits=Limits(1, 0.1))
        with pytest.raises(Unreachable, match="no answer in time"):
            await upstream.post(f"http://{here}/", {})
        await upstream.aclose()


async def test_invalid_status_line_is_not_repeated() -> None:
    """The error for an invalid status line names what happened and not its text, which may be a secret."""
    async with server(responding(b'{"access_token":"eyJ-secret"}\r\n\r\n', [])) as here:
        upstream = new_client({})
        with pytest.raises(Unreachable, match="the server does not speak HTTP") as caught:
            await upstream.post(f"http://{here}/", {})
        await upstream.aclose()

    assert "eyJ" not in str(caught.value)


async def test_refused_connection() -> None:
    """A refused connection raises Unreachable with the URL without its query."""
    here = f"127.0.0.1:{unused_port()}"
    upstream = new_client({})
    with pytest.raises(Unreachable, match=rf"^http://{here}/path: could not connect") as caught:
        await upstream.post(f"http://{here}/path?secret=1", {})
    await upstream.aclose()

    assert "secret" not in str(caught.value)


def mock_client(headers: dict[str, str], events: list[Event], clock: Clock) -> UpstreamClient:
    """Return a client whose responses are 200, `{}` and `headers`."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, headers=headers, stream=httpx.ByteStream(b"{}")))
    return UpstreamClient(transport, limits=Limits(), now=clock.time, observe=events.append)


@pytest.mark.parametrize(("url", "accepted"), [("http://127.0.0.1:1/", True), ("https://sts.example/", False)])
async def test_emulator_is_accepted_only_from_loopback(url: str, accepted: bool, clock: Clock) -> None:
    """A response with the emulator's mark from any other host is refused: its credentials are not real."""
    upstream = mock_client({"X-Idaas-Emulator": "1"}, [], clock)
    if accepted:
        assert (await upstream.post(url, {})).status == 200
    else:
        with pytest.raises(Unreachable, match="an emulator's answer"):
            await upstream.post(url, {})


async def test_clock_offset_is_read_from_date(clock: Clock) -> None:
    """The Date header gives the offset of the local clock, to about a second."""
    events: list[Event] = []
    date = format_datetime(datetime.fromtimestamp(clock.time() + 90, UTC), usegmt=True)
    await mock_client({"Date": date}, events, clock).post("http://127.0.0.1:1/", {})

    assert events == [ClockRead("127.0.0.1:1", pytest.approx(90.5))]


REDIRECTS = [
    ("https://login.example/sign-in?state=secret#secret", "Location: https://login.example/sign-in"),
    ("https://user:secret@login.example:8443/", "Location: https://login.example:8443/"),
    ("/v2/token?secret", "Location: https://sts.example:444/v2/token"),
    ("https://[fd00::5]/x", "Location: https://[fd00::5]/x"),
    ("https://login.example/eyJsecret", ""),
    ("https://login.example/a;secret", ""),
]


@pytest.mark.parametrize(("location", "named"), REDIRECTS)
async def test_redirect_is_named(location: str, named: str, clock: Clock) -> None:
    """A redirect is not followed; the error names the host and the path that it leads to, and nothing else of it."""
    transport = httpx.MockTransport(lambda _: httpx.Response(302, headers={"Location": location}))
    upstream = UpstreamClient(transport, limits=Limits(), now=clock.time, observe=lambda _: None)
    with pytest.raises(Unreachable) as caught:
        await upstream.post("https://sts.example:444/?Action=secret", {})

    elsewhere = ", or sign in from this machine where a gateway or captive portal answers"
    assert caught.value.own_words == (
        "https://sts.example:444/: HTTP 302, a redirect, which is not followed; configure the final URL"
        + (elsewhere if named and "sts.example" not in named else "")
    )
    assert caught.value.cloud_message == named


@pytest.mark.parametrize("location", ["https://login.example/\x1b[31msecret", "https://[secret", "secret:secret"])
async def test_redirect_to_an_invalid_url(location: str, clock: Clock) -> None:
    """A redirect to something that is no URL is an error of the server that does not repeat it."""
    transport = httpx.MockTransport(lambda _: httpx.Response(302, headers={"Location": location}))
    upstream = UpstreamClient(transport, limits=Limits(), now=clock.time, observe=lambda _: None)
    with pytest.raises(Unreachable, match=r"a redirect|not valid HTTP") as caught:
        await upstream.post("https://sts.example/", {})

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("date", ["", "yesterday", "Thu, 99 Jan 2026 99:99:99 GMT"])
async def test_invalid_date_is_ignored(date: str, clock: Clock) -> None:
    """An invalid Date header gives no offset and no error."""
    events: list[Event] = []

    assert (await mock_client({"Date": date}, events, clock).post("http://127.0.0.1:1/", {})).status == 200
    assert events == []


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Retry-After": "17"}, 17.0),
        ({"Retry-After": "Fri, 02 Jan 2026 03:05:05 GMT"}, 60.0),
        ({"Retry-After": "Fri, 02 Jan 2026 03:00:00 GMT"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({"x-acs-retry-after": "1500"}, 1.5),
        ({}, None),
    ],
)
async def test_retry_after(headers: dict[str, str], expected: float | None, clock: Clock) -> None:
    """Retry-After is seconds or a date, x-acs-retry-after is milliseconds; an invalid value is ignored."""
    assert (await mock_client(headers, [], clock).post("http://127.0.0.1:1/", {})).retry_after == expected


@pytest.mark.parametrize(
    ("ca_file", "environ", "message"),
    [
        ("/nowhere/ca.pem", {}, "tls.caFile: /nowhere/ca.pem"),
        (None, {"SSL_CERT_FILE": "/nowhere"}, "SSL_CERT_FILE: /nowhere"),
    ],
)
def test_unreadable_trust_store(ca_file: str | None, environ: dict[str, str], message: str) -> None:
    """A missing CA bundle is an error with its place, never a fallback to another trust store."""
    with pytest.raises(NotThereYet, match=message):
        Trust(ca_file, "tls.caFile", environ).context()


async def test_each_connection_has_its_own_proxy(tmp_path: Path) -> None:
    """Identity and exchange use their own proxies; a connection without one uses the global proxy."""
    seen: dict[str, list[bytes]] = {"identity": [], "exchange": [], "file": []}
    refusal = b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n"
    async with AsyncExitStack() as stack:
        addresses = {
            name: await stack.enter_async_context(server(responding(refusal, lines))) for name, lines in seen.items()
        }
        token_file = tmp_path / "token"
        token_file.write_text("e30.e30.c2ln")
        client = {"method": "client_secret_post", "clientSecretEnvVarName": "SECRET"}
        by_client = {
            "type": "oidcClient",
            "tokenEndpoint": "https://idp.example.com/token",
            "clientId": "c",
            "clientAuthentication": client,
            "connection": {"proxy": f"http://{addresses['identity']}"},
        }
        by_file = {"type": "tokenFile", "tokenFile": str(token_file)}
        role = {"roleArn": "acs:ram::1:role/r", "oidcProviderArn": "acs:ram::1:oidc-provider/p"}
        profiles = {
            "identity": {"identity": by_client, "exchange": role},
            "exchange": {
                "identity": by_file,
                "exchange": role | {"connection": {"proxy": f"http://{addresses['exchange']}"}},
            },
            "file": {"identity": by_file, "exchange": role},
        }
        path = tmp_path / "config.json"
        path.write_text(
            json.dumps({"configVersion": "1.0", "profiles": profiles, "proxy": f"http://{addresses['file']}"})
        )
        environ = {"SECRET": "s"}
        loaded = load(str(path), environ, hostname="host-1", now=time.time)
        pipeline = Pipeline(loaded.settings, environ, clocks=Clocks(), observe=lambda _: None)
        stack.push_async_callback(pipeline.aclose)
        for name in profiles:
            refusal = f"the proxy {addresses[name]} refused: 407 No; give its user name and password in the proxy's URL"
            with pytest.raises(Unreachable, match=refusal):
                await pipeline.fetch(name)

    assert seen == {
        "identity": [b"CONNECT idp.example.com:443 HTTP/1.1"],
        "exchange": [b"CONNECT sts.aliyuncs.com:443 HTTP/1.1"],
        "file": [b"CONNECT sts.aliyuncs.com:443 HTTP/1.1"],
    }


def test_own_addresses() -> None:
    """`is_ours` is true for an address of this network namespace and false for another one."""
    assert is_ours("127.0.0.1")
    assert not is_ours("192.0.2.1")
