"""The access rules that hold for every path: Host, forwarded requests, browsers."""

from __future__ import annotations

import json

import pytest

from app.serve.access import Denial, Guard
from app.serve.request import Request

HOST = (b"host", b"LocalHost:7117")

FORWARDED = (
    "Forwarded",
    403,
    "AccessDenied.Forwarded",
    "forwarded requests are refused: connect directly, without a proxy (IDS-519)",
)
BROWSER = ("Browser", 403, "AccessDenied.Browser", "requests of web pages are refused (IDS-520)")
WRONG_HOST = (
    "Host",
    403,
    "AccessDenied.Host",
    "the Host header names no address of this service (access.allowedHosts) (IDS-508)",
)
BAD_HOST = ("Host", 400, "BadRequest", "not a request that this server understands (IDS-526)")


def judge(
    *headers: tuple[bytes, bytes], target: bytes = b"/", refuse_forwarded: bool = True, refuse_browsers: bool = True
) -> tuple[str, int, str, str] | None:
    """Return reason, status, code and message of a refusal, or None."""
    guard = Guard(
        allowed_hosts=("localhost", "[::1]", "Sidecar.Example", "192.0.2.1", "[fd00:0:0::a]", "[::ffff:192.0.2.2]"),
        refuse_forwarded=refuse_forwarded,
        refuse_browsers=refuse_browsers,
    )
    denial: Denial | None = guard.judge(Request(b"GET", target, list(headers)))
    if denial is None:
        return None
    body = json.loads(denial.response.body)
    return denial.reason, denial.response.status, body["Code"], body["Message"]


@pytest.mark.parametrize(
    "host",
    [
        *(
            b"localhost",
            b"LOCALHOST",
            b"localhost:1",
            b"localhost:65535",
            b"[::1]",
            b"[::1]:7117",
            b"sidecar.EXAMPLE:80",
        ),
        *(b"[0:0:0:0:0:0:0:1]", b"[0000::0001]:80", b"[::ffff:192.0.2.1]", b"[::FFFF:c000:201]:80", b"192.0.2.1"),
        *(b"[fd00::A]", b"[FD00:0::A]", b"192.0.2.2", b"[::ffff:192.0.2.2]"),
    ],
)
def test_allowed_host(host: bytes) -> None:
    """A configured host is accepted in any case, with any port or none; an address in every spelling of IPv6."""
    assert judge((b"host", host)) is None


@pytest.mark.parametrize(
    "host",
    [
        *(b"example", b"localhost:", b"localhost:123456", b"localhost:1:2", b"::1", b"[::2]", b"[::1]x", b" localhost"),
        *(b"[::ffff:127.0.0.1]", b"[::ffff:192.0.2.3]", b"[::192.0.2.1]", b"[]", b"[:]", b"[1.2.3.4]", b"[192.0.2.1]"),
        *(b"192.0.2.01", b"192.0.513", b"3221225985", b"[::1%25lo]"),
    ],
)
def test_foreign_host(host: bytes) -> None:
    """Any other host is refused."""
    assert judge((b"host", host)) == WRONG_HOST


@pytest.mark.parametrize("headers", [[], [HOST, HOST], [HOST, (b"accept", b"*/*"), (b"host", b"")]])
def test_missing_or_repeated_host(headers: list[tuple[bytes, bytes]]) -> None:
    """A request without exactly one Host header is no valid request."""
    assert judge(*headers) == BAD_HOST


@pytest.mark.parametrize(
    ("target", "expected"),
    [(b"http://localhost/credentials", FORWARDED), (b"localhost:443", BAD_HOST), (b"*", BAD_HOST), (b"", BAD_HOST)],
)
def test_target_that_is_no_path(target: bytes, expected: tuple[str, int, str, str]) -> None:
    """A target in absolute form is a forwarded request; any other one that is not a path is no valid request."""
    assert judge(HOST, target=target) == expected


@pytest.mark.parametrize("name", [b"forwarded", b"via", b"x-real-ip", b"x-forwarded-for", b"x-forwarded-"])
def test_forwarded_request(name: bytes) -> None:
    """A proxy's header is refused before the host is judged, unless the configuration allows it."""
    assert judge((name, b""), (b"host", b"foreign")) == FORWARDED
    assert judge((b"host", b"foreign"), (name, b"")) == FORWARDED
    assert judge(HOST, (name, b""), refuse_forwarded=False) is None


@pytest.mark.parametrize("name", [b"origin", b"sec-fetch-site", b"sec-fetch-"])
def test_request_of_a_web_page(name: bytes) -> None:
    """A browser's header is refused, unless the configuration allows it."""
    assert judge(HOST, (name, b"")) == BROWSER
    assert judge(HOST, (name, b"cors")) == BROWSER
    assert judge(HOST, (name, b""), refuse_browsers=False) is None


def test_request_of_nodes_fetch() -> None:
    """The one such header that Node's fetch sends is accepted; with another value, or beside another one, it is not."""
    for mode in (b"cors", b"no-cors", b"same-origin"):
        assert judge(HOST, (b"sec-fetch-mode", mode)) is None
        assert judge(HOST, (b"sec-fetch-mode", mode), (b"sec-fetch-site", b"none")) == BROWSER
        assert judge(HOST, (b"sec-fetch-dest", b"empty"), (b"sec-fetch-mode", mode)) == BROWSER
    for mode in (b"navigate", b"nested-navigate", b"websocket", b"webbundle", b"CORS", b""):
        assert judge(HOST, (b"sec-fetch-mode", mode)) == BROWSER


@pytest.mark.parametrize(
    "name", [b"user-agent", b"accept", b"connection", b"x-forwarded", b"x-real-ip2", b"origins", b"sec-fetch", b"x"]
)
def test_other_headers(name: bytes) -> None:
    """Any other header is accepted."""
    assert judge(HOST, (name, b"x")) is None
