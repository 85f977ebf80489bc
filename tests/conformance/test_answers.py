"""Bytes to answers, URLs to addresses: what is taken, and what is refused with which words."""

from __future__ import annotations

import pytest

from app.conformance.wire.address import Ask, address
from app.conformance.wire.answer import LARGEST_BODY, Answer, NotHttp, take_apart

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


@pytest.mark.parametrize(
    ("raw", "body", "framing", "surplus"),
    [
        (HEAD + b"Content-Length: 2\r\n\r\nok", b"ok", "length", 0),
        (HEAD + b"Content-Length: 2\r\n\r\nok...", b"ok", "length", 3),
        (HEAD + b"content-LENGTH:2\r\n\r\nok", b"ok", "length", 0),
        (HEAD + b"\r\nok", b"ok", "close", 0),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\no\r\n1;x=y\r\nk\r\n0\r\n\r\n", b"ok", "chunked", 0),
        (b"HTTP/1.0 204 No Content\r\n\r\n", b"", "close", 0),
    ],
)
def test_answers(raw: bytes, body: bytes, framing: str, surplus: int) -> None:
    """The body ends where length, chunks or the connection's end say so; what follows is counted."""
    answer = take_apart(raw, ended=True)

    assert answer is not None
    assert (answer.body, answer.framing, answer.surplus) == (body, framing, surplus)


@pytest.mark.parametrize("size", range(1, 80))
def test_half_an_answer_is_none_yet(size: int) -> None:
    """Whatever arrived so far: an answer that is not whole is waited for."""
    whole = HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"

    assert take_apart(whole[: min(size, len(whole) - 1)], ended=False) is None


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "ended without an answer"),
        (b"HTTP/1.1 200 OK\r\n", "ended within the head"),
        (b"SSH-2.0-x\r\n\r\n", "no HTTP/1 status line"),
        (HEAD + b"Content-Length: 9\r\n\r\nok", "a body of 2 bytes where Content-Length says 9"),
        (HEAD + b"Content-Length: -1\r\n\r\nok", "no number"),
        (HEAD + b"Content-Length: 999999999\r\n\r\nok", f"more than {LARGEST_BODY} bytes"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffff\r\n", f"more than {LARGEST_BODY} bytes"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\no", "within a chunk"),
        (b"x" * 70_000, "a head of more than"),
    ],
)
def test_what_is_no_answer(raw: bytes, words: str) -> None:
    """What a client's library would stumble over is told in words of our own."""
    with pytest.raises(NotHttp, match=words):
        take_apart(raw, ended=True)


def test_an_answer_is_quiet() -> None:
    """Neither headers nor body are in an answer's repr."""
    assert "hush" not in repr(Answer(200, (("x", "hush"),), b"hush"))


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
def test_addresses(url: str, host: str, authority: str, target: str) -> None:
    """Path and query stay as they are written."""
    where = address(url)

    assert (where.host, where.authority, where.target) == (host, authority, target)


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
def test_what_is_no_address(url: str) -> None:
    """What no client could be given is refused, and not repeated: a path may hold a token."""
    with pytest.raises(ValueError, match=r"^.+$") as why:
        address(url)

    assert "hush" not in str(why.value)


def test_a_request_is_quiet() -> None:
    """A request's target and headers may hold tokens: its repr does not."""
    assert "hush" not in repr(Ask("/hush", "127.0.0.1", ("X: hush",))) + repr(address("http://127.0.0.1/hush?hush"))
