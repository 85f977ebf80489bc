"""Redirects, and answers that end too early or are not HTTP: the message and the code of each."""

from __future__ import annotations

import httpx
import pytest

from app.core.errors import Unreachable
from app.upstream.client import Limits, UpstreamClient
from app.upstream.connections.tls import Trust
from app.upstream.connections.transport import RoutingTransport

from .server import serving

URL = "https://login.example.com/token"
ELSEWHERE = "configure the final URL, or sign in from this machine where a gateway or captive portal answers"
NEAR = "configure the final URL"


def client(transport: httpx.AsyncBaseTransport) -> UpstreamClient:
    """Return a client over a transport."""
    return UpstreamClient(transport, limits=Limits(), now=lambda: 0.0, observe=lambda _event: None)


def redirecting(status: int, location: str) -> UpstreamClient:
    """Return the client of a server that redirects every request to `location`."""
    answer = httpx.Response(status, headers={"location": location}, stream=httpx.ByteStream(b""))
    return client(httpx.MockTransport(lambda _request: answer))


@pytest.mark.parametrize(
    ("location", "shown", "cure"),
    [
        ("https://portal.test/login", "https://portal.test/login", ELSEWHERE),
        ("https://user:password@portal.test/login?token=1", "https://portal.test/login", ELSEWHERE),
        ("https://[2001:db8::1]/login", "https://[2001:db8::1]/login", ELSEWHERE),
        ("https://api.example.com/v2", "https://api.example.com/v2", NEAR),
        ("https://login.example.com:8443/v2", "https://login.example.com:8443/v2", NEAR),
        ("/v2?token=1", "https://login.example.com/v2", NEAR),
        ("https://login.example.com:99999/", "", NEAR),
        ("https://login.example.com/a b", "", NEAR),
        ("https://login.example.com/eyJhbGciOiJub25lIn0", "", NEAR),
    ],
)
async def test_redirect_names_its_target(location: str, shown: str, cure: str) -> None:
    """A redirect is an error with host and path of its target. Another site may be a captive portal."""
    with pytest.raises(Unreachable) as caught:
        await redirecting(302, location).get(URL)

    assert caught.value.cause == f"{URL}: HTTP 302, a redirect, which is not followed"
    assert (caught.value.cure, caught.value.error_code) == (cure, "IDS-208")
    assert caught.value.cloud_message == (f"Location: {shown}" if shown else "")


@pytest.mark.parametrize("location", ["https://x:port/", "http://xn--a/", "//xn--/x", "/" + "x" * 70_000])
async def test_redirect_to_an_invalid_url(location: str) -> None:
    """A target that is not a URL has its own message, which does not blame the requested URL."""
    with pytest.raises(Unreachable) as caught:
        await redirecting(302, location).get(URL)

    assert str(caught.value) == f"{URL}: a redirect to an invalid URL; configure the final URL"
    assert (caught.value.cure, caught.value.error_code) == (NEAR, "IDS-208")


async def test_other_status_with_a_target_is_no_redirect() -> None:
    """A 3xx status that is not a redirect has no cure, because there is no final URL."""
    with pytest.raises(Unreachable) as caught:
        await redirecting(304, "https://portal.test/a").get(URL)

    assert caught.value.cause == f"{URL}: HTTP 304, which is no answer of an API"
    assert (caught.value.cure, caught.value.cloud_message) == ("", "Location: https://portal.test/a")


async def test_redirect_to_a_secret_is_not_shown() -> None:
    """A server that redirects to a path with a secret of the request is not quoted."""
    server = redirecting(302, "https://other.example.com/s/secret-of-the-client/x")
    with pytest.raises(Unreachable, match="HTTP 302") as caught:
        await server.post(URL, {"client_secret": "secret-of-the-client"})

    assert "secret-of" not in str(caught.value)
    assert caught.value.cloud_message == ""


HEAD = b"HTTP/1.1 200 OK\r\n"
CUT = "look for a firewall, proxy or load balancer in between that cuts connections"


@pytest.mark.parametrize(
    ("answer", "ends", "cause", "cure", "error_code"),
    [
        (
            HEAD + b"content-length: 9\r\n\r\n{}",
            True,
            "the server closed the connection in the middle of the answer",
            CUT,
            "IDS-207",
        ),
        (
            HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
            False,
            "the server's answer is not valid HTTP",
            "",
            "IDS-207",
        ),
        (b"HTTP/1.1 103 x\r\n\r\n" * 17, False, "more than 16 interim answers (1xx) and no final one", "", "IDS-208"),
    ],
    ids=["closed in the body", "no chunk", "interim answers"],
)
async def test_answer_without_its_end(answer: bytes, ends: bool, cause: str, cure: str, error_code: str) -> None:
    """The error about an incomplete answer says whether the server has closed the connection."""
    async with serving(answer=answer, ends=ends) as server:
        url = f"http://{server.authority}/token"
        found = client(RoutingTransport(proxy=None, environ={}, trust=Trust(None, "tls.caFile", {})))
        with pytest.raises(Unreachable) as caught:
            await found.get(url)
        await found.aclose()

    assert (caught.value.cause, caught.value.cure) == (f"{url}: {cause}", cure)
    assert caught.value.error_code == error_code


async def test_body_of_a_success_stays_as_it_is() -> None:
    """The header's encoding applies only to the words of an error. A successful answer is JSON in UTF-8."""
    body = "\u5ba2\u6237".encode("gbk")
    answer = httpx.Response(200, headers={"content-type": "text/plain; charset=gbk"}, stream=httpx.ByteStream(body))

    assert (await client(httpx.MockTransport(lambda _request: answer)).get(URL)).body == body


@pytest.mark.parametrize("name", ["charset*=a\x00''x", f"charset*{'9' * 5_000}*=x", "charset*=idna''%80", "charset="])
async def test_encoding_whose_name_is_hostile(name: str) -> None:
    """The words of an error are read as UTF-8 if their encoding is not known."""
    answer = httpx.Response(
        400, headers={"content-type": f"text/plain; {name}"}, stream=httpx.ByteStream("\u5ba2".encode())
    )

    assert (await client(httpx.MockTransport(lambda _request: answer)).get(URL)).body == "\u5ba2".encode()


async def test_no_cookie_is_kept() -> None:
    """A server's cookies are not stored. No later request sends them, to this server or to others of its domain."""
    sent: list[httpx.Headers] = []

    def respond(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers)
        cookies = [("set-cookie", f"name{number}=x; Domain=example.com; Path=/") for number in range(50)]
        return httpx.Response(200, headers=cookies, stream=httpx.ByteStream(b"{}"))

    found = client(httpx.MockTransport(respond))
    for url in (URL, URL, "https://other.example.com/"):
        await found.get(url)

    assert [headers.get("cookie") for headers in sent] == [None, None, None]
