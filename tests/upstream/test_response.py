"""The body of an answer as JSON or as text; an error says what it is instead, and not what it holds."""

from __future__ import annotations

import re

import pytest

from app.core.errors import Unreachable
from app.upstream.response import UpstreamResponse

WHERE = "https://sts.example.com"


def test_members_of_a_json_object() -> None:
    """The body of an answer is a JSON object, whatever its status."""
    assert UpstreamResponse(503, b' {"Code": "x", "n": [1]} ').members(WHERE) == {"Code": "x", "n": [1]}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "an empty body instead of JSON"),
        (b"<html>", "6 bytes of HTML or XML instead of JSON"),
        (b" \n<?xml?>", "9 bytes of HTML or XML instead of JSON"),
        (b"s3cr3t", "6 bytes of another kind instead of JSON"),
        (b"\xff", "1 byte of another kind instead of JSON"),
        (b"[" * 100_000, "JSON that is nested too deeply"),
        (b'{"a":' * 200 + b"1" + b"}" * 200, "JSON that is nested too deeply"),
        (b"[]", "a JSON list instead of an object"),
        (b'"s3cr3t"', "a JSON string instead of an object"),
        (b"null", "a JSON null instead of an object"),
        (b"true", "a JSON boolean instead of an object"),
        (b"1", "a JSON number instead of an object"),
        (b"1.5", "a JSON number instead of an object"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_body_that_is_no_json_object_is_an_error(body: bytes, message: str) -> None:
    """The error has the place, the status, and the kind and size of the body."""
    with pytest.raises(Unreachable) as caught:
        UpstreamResponse(502, body).members(WHERE)

    assert str(caught.value) == f"{WHERE}: HTTP 502 with {message}"


WORDS = re.compile("[a-z ]+")


def test_text_is_trimmed() -> None:
    """Text has no white space around it."""
    assert UpstreamResponse(200, b" \ttoken value\r\n").text(WHERE, WORDS, "words") == "token value"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "an empty body"),
        (b" \n", "an empty body"),
        (b"schl\xc3\xbcssel", "10 bytes of another kind instead of words"),
        (b"<\xff", "2 bytes of HTML or XML instead of words"),
        (b"token, value", "12 bytes of another kind instead of words"),
    ],
)
def test_body_that_is_no_text_is_an_error(body: bytes, message: str) -> None:
    """Text is ASCII, not empty, and wholly of the form that is expected."""
    with pytest.raises(Unreachable) as caught:
        UpstreamResponse(200, body).text(WHERE, WORDS, "words")

    assert str(caught.value) == f"{WHERE}: HTTP 200 with {message}"


def test_repr_hides_the_body() -> None:
    """The repr has no body: it may hold a credential."""
    assert (
        repr(UpstreamResponse(200, b"s3cr3t", 7.0))
        == "UpstreamResponse(status=200, retry_after=7.0, request_id='', compressed='')"
    )
