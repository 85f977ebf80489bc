"""The access rules of the credential handler: hosts, forwarded requests, browsers, and the form of the target."""

from __future__ import annotations

import pytest

from ..conftest import Offline
from .credential_requests import HOST, code, request

ALLOWED_HOSTS = (
    b"127.0.0.1",
    b"127.0.0.1:7117",
    b"localhost",
    b"LocalHost:1",
    b"[::1]",
    b"[::1]:7117",
    b"100.100.100.200",
)
FOREIGN_HOSTS = (
    b"evil.example",
    b"evil.example:7117",
    b"127.0.0.1.nip.io",
    b"127.0.0.1@evil.example",
    b"evil.example@127.0.0.1",
    b"",
    b"localhost.",
    b"127.0.0.1:port",
    b"[::1",
    b"127.0.0.1 evil.example",
)


@pytest.mark.parametrize("host", ALLOWED_HOSTS)
async def test_allowed_hosts(ready: Offline, host: bytes) -> None:
    """A loopback or metadata host is accepted, with any port or none."""
    assert request(ready.handler, b"/credentials", (b"host", host), host=False).response.status == 200


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
async def test_foreign_hosts(ready: Offline, host: bytes) -> None:
    """Any other host is refused: a request after DNS rebinding looks like this."""
    answer = request(ready.handler, b"/credentials", (b"host", host), host=False)

    assert (answer.response.status, code(answer), answer.denied) == (403, "AccessDenied.Host", "Host")


@pytest.mark.parametrize("headers", [[], [HOST, HOST]], ids=["missing", "twice"])
async def test_missing_or_repeated_host(ready: Offline, headers: list[tuple[bytes, bytes]]) -> None:
    """A missing or repeated Host header gets 400."""
    answer = request(ready.handler, b"/credentials", *headers, host=False)

    assert (answer.response.status, code(answer)) == (400, "BadRequest")


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b"x-forwarded-for", "Forwarded"),
        (b"x-forwarded-host", "Forwarded"),
        (b"x-forwarded-proto", "Forwarded"),
        (b"x-forwarded-anything", "Forwarded"),
        (b"forwarded", "Forwarded"),
        (b"via", "Forwarded"),
        (b"x-real-ip", "Forwarded"),
        (b"origin", "Browser"),
        (b"sec-fetch-site", "Browser"),
        (b"sec-fetch-mode", "Browser"),
        (b"sec-fetch-dest", "Browser"),
        (b"sec-fetch-user", "Browser"),
    ],
)
@pytest.mark.parametrize("value", [b"", b"203.0.113.7"], ids=["empty", "value"])
async def test_forwarding_and_browser_headers(ready: Offline, header: bytes, reason: str, value: bytes) -> None:
    """Headers of proxies and browsers are refused with any value, on GET and PUT."""
    get = request(ready.handler, b"/credentials", (header, value))
    put = request(ready.handler, b"/latest/api/token", (header, value), method=b"PUT")

    assert [get.denied, put.denied] == [reason, reason]
    assert [get.response.status, put.response.status] == [403, 403]
    assert code(get) == f"AccessDenied.{reason}"


@pytest.mark.parametrize("mode", [b"cors", b"navigate", b"no-cors", b"same-origin", b"websocket", b"CORS"])
async def test_fetch_of_node_is_no_browser(ready: Offline, mode: bytes) -> None:
    """Node's built-in `fetch` sends its `mode` as Sec-Fetch-Mode alone and is served; a browser adds Sec-Fetch-Site."""
    alone = request(ready.handler, b"/credentials", (b"sec-fetch-mode", mode))
    page = request(ready.handler, b"/credentials", (b"sec-fetch-mode", mode), (b"sec-fetch-site", b"same-origin"))

    assert alone.response.status == (200 if mode in (b"cors", b"no-cors", b"same-origin") else 403)
    assert page.response.status == 403


async def test_absolute_form(ready: Offline) -> None:
    """A target in absolute form is refused as forwarded."""
    answer = request(ready.handler, b"http://127.0.0.1:7117/credentials")

    assert (answer.response.status, answer.denied) == (403, "Forwarded")
