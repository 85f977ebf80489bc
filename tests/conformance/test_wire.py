"""Parsing of responses and URLs, and the messages of those that are rejected."""

from __future__ import annotations

import pytest

from app.conformance.wire.request import Request
from app.conformance.wire.response import MAX_BODY, InvalidResponse, Response, parse_response
from app.conformance.wire.url import parse_url

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


@pytest.mark.parametrize(
    ("raw", "body", "framing", "trailing"),
    [
        (HEAD + b"Content-Length: 2\r\n\r\nok", b"ok", "length", 0),
        (HEAD + b"Content-Length: 2\r\n\r\nok...", b"ok", "length", 3),
        (HEAD + b"content-LENGTH:2\r\n\r\nok", b"ok", "length", 0),
        (HEAD + b"\r\nok", b"ok", "close", 0),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\no\r\n1;x=y\r\nk\r\n0\r\n\r\n", b"ok", "chunked", 0),
        (b"HTTP/1.0 204 No Content\r\n\r\n", b"", "close", 0),
    ],
)
def test_complete_responses(raw: bytes, body: bytes, framing: str, trailing: int) -> None:
    """The body ends at its length, after the last chunk or at the connection's end, and later bytes are counted."""
    response = parse_response(raw, closed=True)

    assert response is not None
    assert (response.body, response.framing, response.trailing_bytes) == (body, framing, trailing)


@pytest.mark.parametrize("size", range(1, 80))
def test_an_incomplete_response_is_not_parsed(size: int) -> None:
    """While the connection is open, every proper prefix of a response is incomplete."""
    whole = HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"

    assert parse_response(whole[: min(size, len(whole) - 1)], closed=False) is None


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "closed without a response"),
        (b"HTTP/1.1 200 OK\r\n", "closed within the head"),
        (b"SSH-2.0-x\r\n\r\n", "no HTTP/1 status line"),
        (HEAD + b"Content-Length: 9\r\n\r\nok", "a body of 2 bytes where Content-Length says 9"),
        (HEAD + b"Content-Length: -1\r\n\r\nok", "not a number"),
        (HEAD + b"Content-Length: 999999999\r\n\r\nok", f"more than {MAX_BODY} bytes"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffff\r\n", f"more than {MAX_BODY} bytes"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\no", "within a chunk"),
        (b"x" * 70_000, "a head of more than"),
    ],
)
def test_invalid_responses(raw: bytes, message: str) -> None:
    """Bytes that an HTTP library rejects raise InvalidResponse, whose message names the fault."""
    with pytest.raises(InvalidResponse, match=message):
        parse_response(raw, closed=True)


def test_the_repr_of_a_response_has_no_secret() -> None:
    """The repr of a response has neither headers nor body."""
    assert "hush" not in repr(Response(200, (("x", "hush"),), b"hush"))


@pytest.mark.parametrize(
    ("url", "host", "authority", "target"),
    [
        ("http://127.0.0.1:7117/credentials", "127.0.0.1", "127.0.0.1:7117", "/credentials"),
        (
            "http://127.0.0.1:7117/t/credentials/p2?x=%20&y=",
            "127.0.0.1",
            "127.0.0.1:7117",
            "/t/credentials/p2?x=%20&y=",
        ),
        ("http://127.0.0.1/credentials?", "127.0.0.1", "127.0.0.1", "/credentials?"),
        ("http://[::1]:7117", "::1", "[::1]:7117", "/"),
        ("http://LOCALHOST:80/x", "localhost", "localhost", "/x"),
    ],
)
def test_urls(url: str, host: str, authority: str, target: str) -> None:
    """Path and query stay as they are written."""
    parsed = parse_url(url)

    assert (parsed.host, parsed.authority, parsed.request_target) == (host, authority, target)


@pytest.mark.parametrize(
    "url",
    [
        "https://hush.example/",
        "127.0.0.1:7117/hush",
        "http:///hush",
        "http://user:hush@127.0.0.1/",
        "http://127.0.0.1/hush#x",
        "http://127.0.0.1:hush/",
        "http://127.0.0.1:99999/hush",
        "http://[hush/",
        "http://127.0.0.1/hush\r\nHost: x",
        "http://127.0.0.1/hush hush",
        "",
    ],
)
def test_invalid_urls(url: str) -> None:
    """A URL that no client can use is rejected. The message does not repeat it, because a path may contain a token."""
    with pytest.raises(ValueError, match=r"^.+$") as raised:
        parse_url(url)

    assert "hush" not in str(raised.value)


def test_the_repr_of_requests_and_urls_has_no_secret() -> None:
    """The target and the headers of a request may contain tokens, so they are not in a repr."""
    request, url = Request("/hush", "127.0.0.1", ("X: hush",)), parse_url("http://127.0.0.1/hush?hush")

    assert "hush" not in repr(request) + repr(url)
