"""Arbitrary responses: the models and the rules always end with a verdict and never raise an unexpected error."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies

from app.conformance.checker import Checker, ServerUnreachable
from app.conformance.report import to_json, to_text
from app.conformance.wire.budget import Budget
from app.conformance.wire.response import InvalidResponse, NoResponse, Outcome, Response, parse_response
from app.conformance.wire.url import HttpUrl, parse_url
from app.core.formats import uri_document
from app.core.values import Credentials

pytestmark = pytest.mark.fuzz

NOW = 1_767_323_045.0
MEMBERS = json.loads(uri_document(Credentials("STS.key", "secret", "token", issued_at=NOW, expires_at=NOW + 3600)))
HEADS = strategies.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.0 404\r\n\r\n",
        b"",
    ]
)
VALUES = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.integers()
    | strategies.floats(allow_nan=False)
    | strategies.text(max_size=30),
    lambda inner: (
        strategies.lists(inner, max_size=3) | strategies.dictionaries(strategies.text(max_size=10), inner, max_size=3)
    ),
    max_leaves=6,
)
NAMES = strategies.sampled_from(list(MEMBERS)) | strategies.text(max_size=20)
BODIES = strategies.one_of(
    strategies.binary(max_size=300),
    strategies.dictionaries(
        strategies.sampled_from(list(MEMBERS)) | strategies.text(max_size=20), VALUES, max_size=4
    ).map(lambda changes: json.dumps(MEMBERS | changes).encode()),
    strategies.text(max_size=40).map(str.encode),
)
HEADERS = strategies.lists(
    strategies.tuples(
        strategies.sampled_from(["content-type", "content-encoding", "location", "cache-control"]),
        strategies.sampled_from(["gzip", "application/json", "/x", "http://100.100.100.200/y", "//[", "\x1b[0m"])
        | strategies.text(alphabet=strategies.characters(min_codepoint=32, max_codepoint=255), max_size=20),
    ),
    max_size=3,
).map(tuple)
OUTCOMES = strategies.one_of(
    strategies.builds(
        Response,
        status=strategies.sampled_from([200, 200, 200, 204, 302, 401, 403, 404, 405, 500, 503]),
        headers=HEADERS,
        body=BODIES,
        framing=strategies.sampled_from(["length", "chunked", "close"]),
        first_byte_seconds=strategies.floats(0, 7),
        total_seconds=strategies.floats(0, 7),
    ),
    strategies.just(NoResponse("no complete response within 6 s")),
)


class ArbitrarySender:
    """Return one of a few outcomes for each request, and the same outcome for the same request."""

    def __init__(self, outcomes: list[Any], budget: Budget) -> None:
        self._outcomes = outcomes
        self._budget = budget

    def send(self, raw: bytes, *, bodyless: bool = False) -> Outcome:
        self._budget.take()
        assert raw.count(b"\r\n\r\n") == 1
        assert raw.endswith(b"\r\n\r\n")
        outcome: Outcome = self._outcomes[sum(raw) % len(self._outcomes)]
        return outcome

    def idle_seconds(self, _raw: bytes, _limit: float) -> float | None:
        return None


@given(HEADS, strategies.binary(max_size=200), strategies.booleans(), strategies.booleans())
def test_any_bytes(head: bytes, rest: bytes, closed: bool, bodyless: bool) -> None:
    """Bytes are a response, an incomplete one or invalid. After the connection closed they are never incomplete."""
    try:
        response = parse_response(head + rest, closed=closed, bodyless=bodyless)
    except InvalidResponse:
        return

    assert not closed or response is not None


@given(strategies.lists(OUTCOMES, min_size=1, max_size=4))
def test_any_server(outcomes: list[Any]) -> None:
    """A check of any server ends with a report in printable text, or with ServerUnreachable."""
    budget = Budget(now=lambda: NOW)
    checker = Checker(
        budget,
        now=lambda: NOW,
        sleep=lambda _: None,
        slow=True,
        connect=lambda _url, _budget: ArbitrarySender(outcomes, budget),
    )
    try:
        result = checker.check(parse_url("http://127.0.0.1:7117/credentials"), HttpUrl("127.0.0.1", 7117, "/"))
    except ServerUnreachable:
        return

    assert budget.requests <= 150
    assert json.loads(to_json(result))["conforms"] is result.conforms
    assert to_text(result).replace("\n", "").isprintable()
