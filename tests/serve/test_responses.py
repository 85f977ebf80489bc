"""The bytes of a response, and the responses that need no request."""

from __future__ import annotations

import pytest

from app.serve import responses
from app.serve.responses import Response, document, method_not_allowed, response, unavailable

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 4\r\nCache-Control: no-store\r\n"
    b"X-Extra: 1\r\n"
)
KEPT = b"Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\n"


@pytest.mark.parametrize(
    ("method", "keep_alive", "expected"),
    [
        (b"GET", True, HEAD + KEPT + b"body"),
        (b"GET", False, HEAD + b"Connection: close\r\n\r\nbody"),
        (b"HEAD", True, HEAD + KEPT),
        (b"HEAD", False, HEAD + b"Connection: close\r\n\r\n"),
    ],
)
def test_bytes_of_a_response(method: bytes, keep_alive: bool, expected: bytes) -> None:
    """HEAD gets no body; the end of a connection is announced, or how long it stays open."""
    plain = response(200, b"body", responses.TEXT, ((b"X-Extra", b"1"),))

    assert plain.bytes_for(method, keep_alive=keep_alive) == expected


def test_bytes_are_sent_without_a_copy() -> None:
    """The usual request, a GET on a connection that stays, gets the bytes that were built once."""
    plain = response(200, b"body")

    assert plain.bytes_for(b"GET", keep_alive=True) is plain.wire


def test_body_is_the_end_of_the_bytes() -> None:
    """`body` is the body alone, also if it is empty."""
    assert response(200, b"body").body == b"body"
    assert response(200, b"").body == b""


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.1, b"1"), (1.0, b"1"), (1.001, b"2"), (224.5, b"225"), (225.0, b"225"), (0.0, b"0")]
)
def test_retry_after_is_rounded_up(seconds: float, shown: bytes) -> None:
    """Retry-After is the next whole second: a client that comes earlier gets 503 again."""
    answer = unavailable("no credentials", seconds, "IDS-501")

    assert (answer.status, dict(answer.headers)[b"Retry-After"]) == (503, shown)
    assert answer.body == b'{"Code":"CredentialsUnavailable","Message":"no credentials (IDS-501)"}'


def test_document_is_compact_json() -> None:
    """A document is JSON without spaces."""
    answer = document(503, {"status": "dead", "loops": ["a"]})

    assert (answer.status, answer.body) == (503, b'{"status":"dead","loops":["a"]}')
    assert answer.headers[0] == (b"Content-Type", b"application/json; charset=utf-8")


def test_method_not_allowed_names_the_method() -> None:
    """A 405 names the allowed method in the header Allow and in the message."""
    answer = method_not_allowed(b"PUT")

    assert (answer.status, answer.headers[-1]) == (405, (b"Allow", b"PUT"))
    assert answer.body == b'{"Code":"MethodNotAllowed","Message":"use PUT (IDS-526)"}'


@pytest.mark.parametrize(
    ("answer", "status", "code", "message", "retry_after"),
    [
        (responses.NOT_FOUND, b"404 Not Found", "NotFound", "nothing is served at this path (IDS-509)", None),
        (
            responses.BAD_REQUEST,
            b"400 Bad Request",
            "BadRequest",
            "not a request that this server understands (IDS-526)",
            None,
        ),
        (
            responses.INTERNAL_ERROR,
            b"500 Internal Server Error",
            "InternalError",
            "this server failed to answer; its log says more (IDS-901)",
            None,
        ),
        (
            responses.REQUEST_TIMEOUT,
            b"408 Request Timeout",
            "RequestTimeout",
            "the request did not arrive in time (IDS-526)",
            None,
        ),
        (responses.BODY_TOO_LARGE, b"413 ", "TooLarge", "the body is larger than 1024 bytes (IDS-526)", None),
        (responses.TARGET_TOO_LONG, b"414 ", "TooLarge", "the path is longer than 8192 bytes (IDS-526)", None),
        (
            responses.HEAD_TOO_LARGE,
            b"431 Request Header Fields Too Large",
            "TooLarge",
            "the head is larger than 16384 bytes or 100 lines (IDS-526)",
            None,
        ),
        (
            responses.THROTTLED,
            b"429 Too Many Requests",
            "Throttled",
            "too many requests (access.requestsPerSecond) (IDS-522)",
            b"1",
        ),
        (
            responses.TOO_MANY_WAITING,
            b"429 Too Many Requests",
            "Throttled",
            "too many requests wait for an answer (access.maxConnections) (IDS-527)",
            b"1",
        ),
        (
            responses.STOPPING,
            b"503 Service Unavailable",
            "CredentialsUnavailable",
            "this server is stopping (IDS-528)",
            b"1",
        ),
    ],
)
def test_fixed_responses(answer: Response, status: bytes, code: str, message: str, retry_after: bytes | None) -> None:
    """Each refusal has its status, code and message; those that pass with time say when to come again."""
    assert answer.wire.startswith(b"HTTP/1.1 " + status)
    assert answer.status == int(status[:3])
    assert answer.body.decode() == f'{{"Code":"{code}","Message":"{message}"}}'
    assert dict(answer.headers).get(b"Retry-After") == retry_after


def test_repr_shows_no_body() -> None:
    """A response in a traceback or a log shows neither its body nor its bytes."""
    assert "secret" not in repr(response(200, b"secret"))
