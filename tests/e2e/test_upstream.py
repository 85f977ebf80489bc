"""The wire itself, over sockets of this test: proxies, time, trickles, and marks of the emulator from afar."""

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
from app.core.errors import ConfigError, Unreachable
from app.core.events import ClockRead, Event
from app.refresh.pipeline import Pipeline
from app.system.sockets import is_ours
from app.upstream.client import Limits, UpstreamClient
from app.upstream.tls import Trust
from app.upstream.transport import RoutingTransport

from ..clock import Clock

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(handle: Handle) -> AsyncIterator[str]:
    """A TCP server on loopback; yields its address."""
    clients: list[asyncio.StreamWriter] = []

    async def noted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        clients.append(writer)
        await handle(reader, writer)

    running = await asyncio.start_server(noted, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{running.sockets[0].getsockname()[1]}"
    finally:
        running.close()
        for writer in clients:
            writer.transport.abort()
        await asyncio.gather(*(writer.wait_closed() for writer in clients), return_exceptions=True)


def wire(environ: dict[str, str], *, limits: Limits | None = None, configured: str | None = None) -> UpstreamClient:
    """A real wire."""
    routes = RoutingTransport(proxy=configured, environ=environ, trust=Trust(None, "tls.caFile", {}))
    return UpstreamClient(routes, limits=limits or Limits(2, 2), now=time.time, observe=lambda _: None)


def answering(text: bytes, seen: list[bytes]) -> Handle:
    """Reads one head, notes its first line, answers `text` and closes."""

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
async def test_the_cloud_is_reached_through_the_proxy(configured: bool, variables: dict[str, str]) -> None:
    """An https URL goes out as CONNECT to the proxy that the configuration or the environment names."""
    seen: list[bytes] = []
    async with server(answering(b"HTTP/1.1 403 Forbidden\r\n\r\n", seen)) as proxy:
        environ = {name: value.format(proxy) for name, value in variables.items()}
        upstream = wire(environ, configured=f"http://{proxy}" if configured else None)
        with pytest.raises(Unreachable, match="the proxy refused: 403"):
            await upstream.post("https://idaas.example/token", {})
        await upstream.aclose()

    assert seen == [b"CONNECT idaas.example:443 HTTP/1.1"]


async def test_loopback_is_never_proxied() -> None:
    """Whatever proxies are configured, a loopback URL is asked directly."""
    seen: list[bytes] = []
    async with server(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", seen)) as here:
        upstream = wire({"HTTP_PROXY": "http://127.0.0.1:9"}, configured="http://127.0.0.1:9")
        reply = await upstream.post(f"http://{here}/token?x=1", {"a": "b c"})
        await upstream.aclose()

    assert reply.status == 200
    assert seen == [b"POST /token?x=1 HTTP/1.1"]


async def test_a_trickle_ends_at_the_total() -> None:
    """A body that comes byte by byte keeps no connection beyond the limit of the whole exchange."""

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
        upstream = wire({}, limits=Limits(0.1, 0.1))
        with pytest.raises(Unreachable, match=r"no complete answer within 0\.3 s"):
            await upstream.post(f"http://{here}/", {})
        await upstream.aclose()


async def test_silence_ends_at_the_read_limit() -> None:
    """An endpoint that accepts and says nothing is given up after the read limit."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with server(silent) as here:
        upstream = wire({}, limits=Limits(1, 0.1))
        with pytest.raises(Unreachable, match="no answer in time"):
            await upstream.post(f"http://{here}/", {})
        await upstream.aclose()


async def test_nonsense_is_not_repeated() -> None:
    """What stands where a status line belongs may be a secret: the error names its kind and not its text."""
    async with server(answering(b'{"access_token":"eyJ-secret"}\r\n\r\n', [])) as here:
        upstream = wire({})
        with pytest.raises(Unreachable, match="RemoteProtocolError") as caught:
            await upstream.post(f"http://{here}/", {})
        await upstream.aclose()

    assert "eyJ" not in str(caught.value)


async def test_nobody_there() -> None:
    """A refused connection is Unreachable and names the URL without its query."""
    async with server(answering(b"", [])) as here:
        pass
    upstream = wire({})
    with pytest.raises(Unreachable, match=rf"^http://{here}/path: could not connect") as caught:
        await upstream.post(f"http://{here}/path?secret=1", {})
    await upstream.aclose()

    assert "secret" not in str(caught.value)


def played(headers: dict[str, str], events: list[Event], clock: Clock) -> UpstreamClient:
    """An upstream whose other side answers 200 `{}` with `headers`."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, headers=headers, stream=httpx.ByteStream(b"{}")))
    return UpstreamClient(transport, limits=Limits(), now=clock.time, observe=events.append)


@pytest.mark.parametrize(("url", "believed"), [("http://127.0.0.1:1/", True), ("https://sts.example/", False)])
async def test_the_emulator_counts_only_from_loopback(url: str, believed: bool, clock: Clock) -> None:
    """An answer with the emulator's mark from anywhere else is refused: its keys would be none."""
    upstream = played({"X-Idaas-Emulator": "1"}, [], clock)
    if believed:
        assert (await upstream.post(url, {})).status == 200
    else:
        with pytest.raises(Unreachable, match="an emulator's answer"):
            await upstream.post(url, {})


async def test_the_clouds_clock_is_read(clock: Clock) -> None:
    """The Date header tells how far our clock is off, to about a second."""
    events: list[Event] = []
    date = format_datetime(datetime.fromtimestamp(clock.time() + 90, UTC), usegmt=True)
    await played({"Date": date}, events, clock).post("http://127.0.0.1:1/", {})

    assert events == [ClockRead(pytest.approx(90.5))]


@pytest.mark.parametrize("date", ["", "yesterday", "Thu, 99 Jan 2026 99:99:99 GMT"])
async def test_a_date_that_is_none(date: str, clock: Clock) -> None:
    """An unreadable Date tells nothing and breaks nothing."""
    events: list[Event] = []

    assert (await played({"Date": date}, events, clock).post("http://127.0.0.1:1/", {})).status == 200
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
    """Seconds, a date, or Alibaba's milliseconds; nonsense is no hint."""
    assert (await played(headers, [], clock).post("http://127.0.0.1:1/", {})).retry_after == expected


@pytest.mark.parametrize(
    ("ca_file", "environ", "words"),
    [
        ("/nowhere/ca.pem", {}, "tls.caFile: /nowhere/ca.pem"),
        (None, {"SSL_CERT_FILE": "/nowhere"}, "SSL_CERT_FILE: /nowhere"),
    ],
)
def test_trust_that_cannot_be_read(ca_file: str | None, environ: dict[str, str], words: str) -> None:
    """A named CA bundle that is not there is an error with its place, never a fall-back to another trust."""
    with pytest.raises(ConfigError, match=words):
        Trust(ca_file, "tls.caFile", environ).context()


async def test_each_leg_has_its_own_proxy(tmp_path: Path) -> None:
    """The identity's leg goes through one proxy, the exchange's through another, a third straight on."""
    seen: dict[str, list[bytes]] = {"identity": [], "exchange": [], "file": []}
    refusal = b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n"
    async with AsyncExitStack() as stack:
        addresses = {
            name: await stack.enter_async_context(server(answering(refusal, lines))) for name, lines in seen.items()
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
        cloud = Pipeline(loaded.settings, environ, clocks=Clocks(), observe=lambda _: None)
        stack.push_async_callback(cloud.aclose)
        for name in profiles:
            with pytest.raises(Unreachable, match="the proxy refused: 407"):
                await cloud.fetch(name)

    assert seen == {
        "identity": [b"CONNECT idp.example.com:443 HTTP/1.1"],
        "exchange": [b"CONNECT sts.aliyuncs.com:443 HTTP/1.1"],
        "file": [b"CONNECT sts.aliyuncs.com:443 HTTP/1.1"],
    }


def test_our_own_addresses() -> None:
    """An address of this network namespace is told from one that is not."""
    assert is_ours("127.0.0.1")
    assert not is_ours("192.0.2.1")
