"""The emulator on real sockets."""

import asyncio
import socket
import ssl

import httpx
import pytest

from app.emulator import MARKER_HEADER, Emulator, Fault, Sockets, World, bind, listening
from app.emulator.world.world import CLIENT_ID, CLIENT_SECRET, SCOPE

PATH = "/api/v2/iauths_system/oauth2"


@pytest.fixture
def emulator(signing_key):
    """An emulator of the default world with the real clock."""
    return Emulator(World.default(), signing_key=signing_key)


async def test_http_and_https(tmp_path, signing_key):
    """With sockets bound first, the issuer contains the TLS port, and https clients need only the CA file."""
    sockets = bind()
    emulator = Emulator(World.default(issuer=sockets.tls_url + PATH), signing_key=signing_key)
    form = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "grant_type": "client_credentials", "scope": SCOPE}
    async with listening(emulator, sockets=sockets, directory=tmp_path) as address:
        context = ssl.create_default_context(cafile=address.ca_file)
        async with httpx.AsyncClient(verify=context, trust_env=False) as http:
            document = (await http.get(f"{address.tls_url}{PATH}/.well-known/openid-configuration")).json()
            secure = await http.post(document["token_endpoint"], data=form)
            plain = await http.post(f"{address.url}{PATH}/token", data=form)
            by_name = await http.get(address.tls_url.replace("127.0.0.1", "localhost") + f"{PATH}/jwks")

    assert document["issuer"] == emulator.world.issuer
    assert [response.status_code for response in (secure, plain, by_name)] == [200, 200, 200]
    assert plain.headers.get_list(MARKER_HEADER) == ["1"]
    assert len(plain.headers.get_list("date")) == 1
    assert "server" not in plain.headers


async def test_others_do_not_trust_it(tmp_path, emulator):
    """Without the CA file https fails, and only the CA certificate is left on disk."""
    async with listening(emulator, directory=tmp_path) as address, httpx.AsyncClient(trust_env=False) as http:
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await http.get(address.tls_url)

    assert [path.name for path in tmp_path.iterdir()] == ["emulator-ca.pem"]
    assert "PRIVATE" not in address.ca_file.read_text()


def test_loopback_only():
    """A socket that other machines can reach is refused."""
    with socket.socket() as public, socket.socket() as local:
        public.bind(("0.0.0.0", 0))
        local.bind(("127.0.0.1", 0))
        with pytest.raises(ValueError, match="loopback only"):
            Sockets(http=local, https=public)


def test_taken_port():
    """A port in use raises OSError, and no socket stays open."""
    sockets = bind()
    port = sockets.http.getsockname()[1]
    sockets.http.listen()
    with pytest.raises(OSError, match="in use"):
        bind(0, port)
    sockets.close()


async def test_dropped_connection(tmp_path, emulator):
    """A dropped connection is closed before the response is complete."""
    emulator.faults.add(Fault(drop=True))
    async with listening(emulator, directory=tmp_path) as address, httpx.AsyncClient(trust_env=False) as http:
        with pytest.raises(httpx.RemoteProtocolError):
            await http.post(address.url)


async def test_stops_despite_open_connections(tmp_path, signing_key):
    """The emulator stops despite an idle connection and a request that never gets a response."""
    sleeping = asyncio.Event()

    async def sleep_forever(seconds):
        sleeping.set()
        await asyncio.Event().wait()

    emulator = Emulator(World.default(), sleep=sleep_forever, signing_key=signing_key)
    emulator.faults.add(Fault("sts", delay=1))
    async with httpx.AsyncClient(trust_env=False, timeout=None) as http, asyncio.timeout(60):
        async with listening(emulator, directory=tmp_path) as address:
            await http.get(f"{address.url}{PATH}/jwks")
            slow = asyncio.create_task(http.post(address.url))
            await sleeping.wait()
        with pytest.raises(httpx.HTTPError):
            await slow

    assert emulator.journal[-1].outcome == "unanswered"
