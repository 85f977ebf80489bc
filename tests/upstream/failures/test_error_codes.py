"""The entry of the errors index of a failure, from `failures.error_codes` and from `answers.errors`."""

from __future__ import annotations

import errno
import json
import socket
import ssl

import httpx
import pytest

from app.core.error_index.index import INDEX
from app.upstream.answers.errors import error_of
from app.upstream.answers.server_codes import CODES, MEANINGS_BY_WORDS
from app.upstream.connections.connect import Attempt, NotConnected, NotSecured
from app.upstream.connections.resolver import NameNotResolved
from app.upstream.connections.transport import ProxyInBetween
from app.upstream.failures.error_codes import error_code
from app.upstream.response import UpstreamResponse

URL = "https://sts.example"


def behind(cause: BaseException, error: Exception | None = None) -> Exception:
    """Return an error of the HTTP client with this cause."""
    found = error or httpx.ConnectError("words")
    found.__cause__ = cause
    return found


def rejected(verify_code: int) -> ssl.SSLCertVerificationError:
    """Return the error of a certificate that was rejected."""
    error = ssl.SSLCertVerificationError(1, "words")
    error.verify_code = verify_code
    return error


def unconnected(*numbers: int | None) -> Exception:
    """Return the error of addresses that all failed."""
    return behind(NotConnected([Attempt("192.0.2.1:443", number) for number in numbers], 5.0))


FAILURES = [
    (behind(NameNotResolved("sts.example", socket.EAI_NONAME, 5.0)), "IDS-201"),
    (behind(NameNotResolved("sts.example", socket.EAI_AGAIN, 5.0)), "IDS-202"),
    (behind(NameNotResolved("sts.example", None, 5.0)), "IDS-202"),
    (unconnected(errno.ECONNREFUSED), "IDS-203"),
    (unconnected(None, errno.ECONNREFUSED), "IDS-203"),
    (unconnected(errno.EHOSTUNREACH), "IDS-204"),
    (unconnected(None), "IDS-204"),
    (httpx.ConnectTimeout("words"), "IDS-204"),
    (httpx.ConnectError("words"), "IDS-204"),
    (httpx.ProxyError("407"), "IDS-205"),
    (httpx.ReadTimeout("words"), "IDS-206"),
    (behind(ssl.SSLWantReadError(2, "words"), httpx.ReadTimeout("words")), "IDS-206"),
    (httpx.RemoteProtocolError("words"), "IDS-207"),
    (behind(OSError(errno.ECONNREFUSED, "words"), httpx.ReadError("words")), "IDS-203"),
    *[(behind(rejected(number)), "IDS-210") for number in (9, 10)],
    *[(behind(rejected(number)), "IDS-211") for number in (62, 64)],
    *[(behind(rejected(number)), "IDS-212") for number in (2, 18, 19, 20, 21)],
    (behind(rejected(28)), "IDS-213"),
    (behind(ssl.SSLError(1, "words")), "IDS-213"),
    (behind(NotSecured("sts.example", timed_out=True)), "IDS-213"),
]


@pytest.mark.parametrize(("error", "code"), FAILURES, ids=lambda value: str(value)[:40])
def test_a_failed_request_has_a_code(error: Exception, code: str) -> None:
    """Each cause has its code."""
    assert error_code(error) == code
    assert code in INDEX


@pytest.mark.parametrize(("passed", "code"), [(False, "IDS-205"), (True, "IDS-203")])
def test_a_failure_belongs_to_the_proxy_until_it_has_connected(passed: bool, code: str) -> None:
    """Before the proxy has connected to the server, every failure is the proxy's."""
    assert error_code(unconnected(errno.ECONNREFUSED), ProxyInBetween("proxy:3128", passed)) == code


def answer(status: int, **members: str) -> UpstreamResponse:
    """Return an answer with a JSON body."""
    return UpstreamResponse(status, json.dumps(members).encode())


@pytest.mark.parametrize("code", CODES)
def test_each_code_of_a_server_has_an_entry(code: str) -> None:
    """An error carries the entry whose `seen` holds the server's code; throttling comes first."""
    expected = next(entry.code for entry in INDEX.values() if code in entry.seen)

    assert error_of(answer(400, Code=code.replace("*", "X")), URL, asked="STS").error_code == expected


@pytest.mark.parametrize(("words", "meaning"), MEANINGS_BY_WORDS)
def test_words_of_a_message_come_before_its_code(words: str, meaning: object) -> None:
    """A known part of a message names the cause more exactly than the code."""
    error = error_of(answer(400, error="invalid_client", error_description=f"x {words} y"), URL, asked="Entra")

    expected = next(entry for entry in INDEX.values() if words in entry.words)
    assert error.error_code == expected.code
    assert expected.cure in str(error)


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (answer(400, Code="SomethingNew"), "IDS-300"),
        (answer(500, Code="SomethingNew"), "IDS-215"),
        (answer(500, Code="InternalError"), "IDS-215"),
        (answer(429, Code="SomethingNew"), "IDS-216"),
        (answer(400, Code="Throttling.User"), "IDS-216"),
        (UpstreamResponse(404, b"<html>"), "IDS-209"),
    ],
)
def test_a_status_has_a_code(response: UpstreamResponse, code: str) -> None:
    """Where the server's code is unknown, the status decides."""
    assert error_of(response, URL, asked="STS").error_code == code
