"""One request to the cloud: what is sent, its limits, and what each kind of answer or failure becomes."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from app.core.errors import Unreachable
from app.core.events import ClockRead, Event
from app.upstream.answers.error_body import LARGEST_UNPACKED
from app.upstream.client import Limits, UpstreamClient
from app.upstream.connections.transport import PROXY, ProxyInBetween

from ..clock import Clock
from ..simulated_loop import simulated

URL = "https://login.example.com/token"


DATE = "Fri, 02 Jan 2026 03:04:05 GMT"
"""The time of the test's clock."""


class Server(httpx.AsyncBaseTransport):
    """Give one answer to every request, and record requests and closed answers."""

    def __init__(self, status: int = 200, body: bytes = b"{}", **headers: str) -> None:
        self.status, self.body = status, body
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.error: Exception | None = None
        self.takes = 0.0
        self.proxy: ProxyInBetween | None = None
        self.requests: list[httpx.Request] = []
        self.closed = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.proxy is not None:
            request.extensions[PROXY] = self.proxy
        await asyncio.sleep(self.takes)
        if self.error is not None:
            raise self.error
        return httpx.Response(self.status, headers=self.headers, stream=Body(self))

    async def aclose(self) -> None:
        self.closed += 1


class Body(httpx.AsyncByteStream):
    """The body of an answer, in two pieces."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def __aiter__(self) -> AsyncIterator[bytes]:
        half = len(self._server.body) // 2
        yield self._server.body[:half]
        yield self._server.body[half:]

    async def aclose(self) -> None:
        self._server.closed += 1


@pytest.fixture
def events() -> list[Event]:
    """The events of the client."""
    return []


@pytest.fixture
def client(clock: Clock, events: list[Event]) -> Callable[..., UpstreamClient]:
    """Build a client of a server."""

    def build(server: Server, limits: Limits | None = None) -> UpstreamClient:
        return UpstreamClient(server, limits=limits or Limits(), now=clock.time, observe=events.append)

    return build


Build = Callable[..., UpstreamClient]


async def test_post_sends_a_form(client: Build) -> None:
    """A POST has the fields as a form, the caller's headers, and asks for uncompressed JSON."""
    server = Server(body=b'{"a": 1}')
    response = await client(server).post(URL, {"a": "1 2", "b": "ü"}, {"Authorization": "Basic x"})

    request = server.requests[0]
    assert (request.method, str(request.url), await request.aread()) == ("POST", URL, b"a=1+2&b=%C3%BC")
    assert {name: request.headers[name] for name in ("accept", "accept-encoding", "user-agent", "authorization")} == {
        "accept": "application/json",
        "accept-encoding": "identity",
        "user-agent": "idaas-credential-sidecar",
        "authorization": "Basic x",
    }
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert (response.status, response.body, response.retry_after) == (200, b'{"a": 1}', None)


async def test_get_and_put_have_no_body(client: Build) -> None:
    """A GET and a PUT have the caller's headers and no body."""
    server = Server()
    answers = [await client(server).get(URL), await client(server).get(URL, {"x": "1"})]
    answers.append(await client(server).put(URL, {"x": "2"}))

    assert [answer.body for answer in answers] == [b"{}"] * 3
    assert [(item.method, item.headers.get("x"), await item.aread()) for item in server.requests] == [
        ("GET", None, b""),
        ("GET", "1", b""),
        ("PUT", "2", b""),
    ]


async def test_limits_of_a_request(client: Build) -> None:
    """The transport gets the seconds to connect and to the next byte; an exchange has the sum with two reads."""
    server = Server()
    await client(server).get(URL)
    await client(server, Limits(2.0, 3.0)).get(URL)

    timeouts = [request.extensions["timeout"] for request in server.requests]
    assert [(timeout["connect"], timeout["read"]) for timeout in timeouts] == [(5.0, 10.0), (2.0, 3.0)]
    assert (Limits().total, Limits(2.0, 3.0).total) == (25.0, 8.0)


@pytest.mark.parametrize(("takes", "complete"), [(7.9, True), (8.1, False)])
@simulated
async def test_whole_exchange_has_one_deadline(takes: float, complete: bool) -> None:
    """An exchange that is not complete in time is an error with the seconds that it had."""
    server = Server()
    server.takes = takes
    client = UpstreamClient(server, limits=Limits(2.0, 3.0), now=lambda: 0.0, observe=lambda _event: None)
    if complete:
        assert (await client.get(URL)).status == 200
        return
    with pytest.raises(Unreachable) as caught:
        await client.get(URL)

    assert str(caught.value) == f"{URL}: no complete answer within 8 s"
    assert (caught.value.error_code, caught.value.endpoint) == ("IDS-206", URL)


@pytest.mark.parametrize("status", [200, 204, 299, 400, 404, 500, 599])
async def test_any_status_is_an_answer(status: int, client: Build) -> None:
    """Every status but a redirect is the caller's to judge."""
    server = Server(status, b"words")
    response = await client(server).get(URL)

    assert (response.status, response.body, server.closed) == (status, b"words", 1)


@pytest.mark.parametrize(
    ("server", "message", "error_code"),
    [
        (Server(300), "HTTP 300, which is no answer of an API", "IDS-208"),
        (Server(399), "HTTP 399, which is no answer of an API", "IDS-208"),
        (Server(content_encoding="br"), "an answer compressed with br, which was not requested", "IDS-208"),
        (Server(content_encoding="gzip, identity"), "an answer compressed, which was not requested", "IDS-208"),
        (Server(body=b"x" * 262_145), "an answer of more than 262144 bytes", "IDS-208"),
        (
            Server(x_idaas_emulator="1"),
            "an emulator's answer from an address that is not this machine's; refused",
            "IDS-217",
        ),
    ],
)
async def test_unusable_answer_is_an_error(server: Server, message: str, error_code: str, client: Build) -> None:
    """An answer that cannot be used is an error with the URL without its query, and is closed."""
    server.requests.clear()
    server.closed = 0
    with pytest.raises(Unreachable) as caught:
        await client(server).get(f"{URL}?secret=1")

    assert str(caught.value) == f"{URL}: {message}"
    assert (caught.value.error_code, caught.value.endpoint) == (error_code, URL)
    assert (len(server.requests), server.closed) == (1, 1)


@pytest.mark.parametrize("status", [400, 403, 429, 503])
@pytest.mark.parametrize("form", ["brotli", "too long"])
async def test_status_counts_before_an_unusable_body(status: int, form: str, client: Build) -> None:
    """Status and Retry-After of an error count where its body is compressed or too long: neither is read to the end."""
    body, encoding = (b"\x8b\x02\x80", "br") if form == "brotli" else (b"x" * 262_145, "identity")
    response = await client(Server(status, body, content_encoding=encoding, retry_after="17")).get(URL)

    assert (response.status, response.retry_after) == (status, 17.0)
    assert (response.body, response.compressed) == ((b"", "br") if form == "brotli" else (b"x" * 262_144, ""))


@pytest.mark.parametrize(
    ("server", "url"),
    [
        (Server(body=b"x" * 262_144), URL),
        (Server(content_encoding="Identity"), URL),
        (Server(x_idaas_emulator="1"), "http://127.0.0.1:7140/token"),
        (Server(x_idaas_emulator="1"), "http://100.100.100.200/latest"),
    ],
    ids=["largest", "identity", "emulator on loopback", "emulated metadata"],
)
async def test_answer_at_a_limit_is_usable(server: Server, url: str, client: Build) -> None:
    """The largest body, no encoding, and an emulator on this machine are accepted."""
    assert (await client(server).get(url)).body == server.body


@pytest.mark.parametrize(
    ("url", "headers", "error", "proxy", "message", "error_code"),
    [
        (URL, {}, httpx.ReadTimeout(""), None, f"{URL}: no answer in time", "IDS-206"),
        (URL, {}, httpx.RemoteProtocolError("x"), None, f"{URL}: the server's answer is not valid HTTP", "IDS-207"),
        (
            URL,
            {},
            httpx.ReadTimeout(""),
            ProxyInBetween("proxy:8080"),
            f"{URL}: no answer in time from the proxy proxy:8080",
            "IDS-205",
        ),
        (URL, {}, OSError("a bug"), None, f"{URL}: the connection broke off", "IDS-207"),
        ("https://x:port/", {}, None, None, "https://x:port/: not a usable URL: Invalid port: 'port'", "IDS-112"),
        ("https://xn--a/", {}, None, None, "https://xn--a/: not a usable URL: its host name is not valid", "IDS-112"),
        (
            URL,
            {"Authorization": "Bearer ü…"},
            None,
            None,
            f"{URL}: a key, token or name to send there is not ASCII, so it is invalid",
            "IDS-218",
        ),
        (
            URL,
            {"Authorization": "Bearer a\r\nb"},
            httpx.LocalProtocolError("Illegal header value b'Bearer a\\r\\nb'"),
            None,
            f"{URL}: a key, token or name to send there has a character that HTTP does not allow",
            "IDS-218",
        ),
    ],
)
async def test_failure_is_described(
    url: str,
    headers: dict[str, str],
    error: Exception | None,
    proxy: ProxyInBetween | None,
    message: str,
    error_code: str,
    client: Build,
) -> None:
    """A request that fails is an error with the URL, the reason, and the proxy in between."""
    server = Server()
    server.error, server.proxy = error, proxy
    with pytest.raises(Unreachable) as caught:
        await client(server).get(url, headers)

    assert str(caught.value).startswith(message)
    assert (caught.value.error_code, caught.value.endpoint) == (error_code, url)


@pytest.mark.parametrize(
    ("headers", "offset"),
    [
        ({"date": DATE}, 0.5),
        ({"date": "Fri, 02 Jan 2026 03:14:05 GMT"}, 600.5),
        ({"date": "Fri, 02 Jan 2026 02:04:05 GMT"}, -3599.5),
        ({}, None),
        ({"date": "yesterday"}, None),
        ({"date": "Fri, 02 Jan 2026 02:04:05 GMT", "age": "3600"}, 0.5),
        ({"date": DATE, "age": "0"}, 0.5),
        ({"date": DATE, "age": "12345678901"}, 123_456_789.5),
        ({"date": DATE, "age": "-1"}, None),
        ({"date": "Fri, 02 Jan 99999999999 03:04:05 GMT"}, None),
    ],
)
async def test_date_tells_the_clocks_difference(
    headers: dict[str, str], offset: float | None, client: Build, events: list[Event]
) -> None:
    """A Date header is the cloud's clock, half a second later on average; without one nothing is learnt."""
    await client(Server(**headers)).get(URL)

    assert events == ([ClockRead("login.example.com:443", offset)] if offset is not None else [])


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-acs-retry-after": "1500"}, 1.5),
        ({"x-acs-retry-after": "1500", "retry-after": "17"}, 1.5),
        ({"x-acs-retry-after": "soon", "retry-after": "17"}, 17.0),
        ({"x-acs-retry-after": "1234567890"}, 1234567.89),
        ({"x-acs-retry-after": "9" * 18}, 1e9),
        ({"x-ratelimit-reset": "Fri, 31 Dec 9999 23:59:59 GMT"}, 1e9),
        ({"retry-after": "17"}, 17.0),
        ({"retry-after": " 17 "}, 17.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "12345678900"}, 1e9),
        ({"retry-after": "5, 7"}, 7.0),
        ({"retry-after": '"17"'}, 17.0),
        ({"retry-after": "120s"}, 120.0),
        ({"retry-after": "1767323105"}, 60.0),
        ({"retry-after": "2026-01-02T03:05:05Z"}, 60.0),
        ({"retry-after": "2026-01-02T03:05:05"}, None),
        ({"retry-after": "Fri, 02 Jan 2026 11:05:05 +0800"}, 60.0),
        ({"retry-after": "Fri Jan  2 03:05:05 2026"}, 60.0),
        ({"retry-after": "1767323000"}, 0.0),
        ({"retry-after": "1798945444"}, 31_622_399.0),
        ({"retry-after": "1798945445"}, 1e9),
        ({"x-retry-after": "17"}, 17.0),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"x-ms-retry-after-ms": "1500.5", "retry-after": "1"}, 1.5005),
        ({"x-rate-limit-reset": "1767323105"}, 60.0),
        ({"x-ratelimit-reset": "1767323105"}, 60.0),
        ({"x-ratelimit-reset": "1767323105000"}, 60.0),
        ({"ratelimit-reset": "90"}, 90.0),
        ({"ratelimit": "limit=10, remaining=0, reset=90"}, 90.0),
        ({"ratelimit": '"default";r=0;t=90'}, 90.0),
        ({"ratelimit": "reset=soon"}, None),
        ({"retry-after": "Fri, 02 Jan 2026 03:05:05 GMT"}, 60.0),
        ({"retry-after": "Fri, 02 Jan 2026 03:05:05 GMT", "date": "Fri, 02 Jan 2026 03:04:35 GMT"}, 30.0),
        ({"retry-after": "Fri, 02 Jan 2026 03:04:00 GMT"}, 0.0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "1.5"}, 1.5),
        ({}, None),
    ],
)
async def test_pause_that_the_server_asks_for(headers: dict[str, str], seconds: float | None, client: Build) -> None:
    """Retry-After has seconds or a date by the server's clock; x-acs-retry-after has milliseconds and comes first."""
    response = await client(Server(429, **headers)).get(URL)

    assert response.retry_after == seconds


@pytest.mark.parametrize("name", ["retry-after", "x-acs-retry-after"])
async def test_digits_of_other_scripts_are_no_number(name: str, client: Build) -> None:
    """A superscript digit, which Python takes for a digit but not for a number, is ignored."""
    server = Server(429)
    server.headers = [(name.encode(), "²".encode())]  # type: ignore[assignment]

    assert (await client(server).get(URL)).retry_after is None


async def test_closed_client_closes_its_transport(client: Build) -> None:
    """Closing a client closes its connections."""
    server = Server()
    await client(server).aclose()

    assert server.closed == 1


WORDS = b'{"error":"invalid_client"}'


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(WORDS, mtime=0)),
        ("X-GZIP", gzip.compress(WORDS, mtime=0)),
        ("deflate", zlib.compress(WORDS)),
        ("deflate", zlib.compress(WORDS)[2:-4]),
        ("gzip", gzip.compress(WORDS + b"x" * 10_000_000, mtime=0)),
        ("gzip", gzip.compress(WORDS, mtime=0)[:-8]),
    ],
)
async def test_compressed_words_are_read(encoding: str, body: bytes, client: Build) -> None:
    """The words of an error are read from gzip and deflate, and no more of them than an error's beginning."""
    response = await client(Server(400, body, content_encoding=encoding)).get(URL)

    assert response.body.startswith(WORDS)
    assert len(response.body) <= LARGEST_UNPACKED
    assert not response.compressed


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_damaged_compression_leaves_no_words(encoding: str, client: Build) -> None:
    """A body that is not what its header says counts as compressed."""
    response = await client(Server(400, b"\xffno", content_encoding=encoding)).get(URL)

    assert (response.body, response.compressed) == (b"", encoding)


@pytest.mark.parametrize(
    ("charset", "body", "read"),
    [
        ("GBK", "客户端".encode("gbk"), "客户端"),
        ("iso-8859-1", "gesperrt für".encode("latin-1"), "gesperrt für"),
        ("utf-16", "für".encode("utf-16"), "für"),
        ("utf-8", "für".encode(), "für"),
        ("unknown", b"for", "for"),
        ("idna", b"xn--a", "xn--a"),
        ("gbk", b"\xff\xff", None),
        ("utf-16", b'{"error_description":"a secret"}', None),
        ("utf-16-be", "客户端".encode("utf-16-be") + b"\0a", "客户端a"),
    ],
)
async def test_words_in_the_encoding_of_the_header(charset: str, body: bytes, read: str | None, client: Build) -> None:
    """An error's body is decoded as its Content-Type says, where that is an encoding of text."""
    response = await client(Server(400, body, content_type=f"text/plain; charset={charset}")).get(URL)

    assert response.body == (body if read is None else read.encode())


async def test_challenge_is_kept(client: Build) -> None:
    """The header with the error of RFC 6750 reaches the caller."""
    response = await client(Server(401, b"", www_authenticate='Bearer error="invalid_token"')).get(URL)

    assert response.challenge == 'Bearer error="invalid_token"'
    assert "invalid_token" not in repr(response)
