"""Whatever a server says: the models and the rules end with a verdict, and never with an error of ours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies

from app.conformance.report import document, text
from app.conformance.survey import NobodyAnswers, Surveyor
from app.conformance.wire.address import Address, address
from app.conformance.wire.answer import Answer, NotHttp, Reply, Silence, take_apart
from app.conformance.wire.exchange import Budget
from app.core.formats import uri_document
from app.core.values import Credentials

pytestmark = pytest.mark.fuzz

NOW = 1_767_323_045.0
OURS = json.loads(uri_document(Credentials("STS.key", "secret", "token", issued_at=NOW, expires_at=NOW + 3600)))
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
BODIES = strategies.one_of(
    strategies.binary(max_size=300),
    strategies.dictionaries(strategies.sampled_from(list(OURS)) | strategies.text(max_size=20), VALUES, max_size=4).map(
        lambda changes: json.dumps(OURS | changes).encode()
    ),
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
REPLIES = strategies.one_of(
    strategies.builds(
        Answer,
        status=strategies.sampled_from([200, 200, 200, 204, 302, 401, 403, 404, 405, 500, 503]),
        headers=HEADERS,
        body=BODIES,
        framing=strategies.sampled_from(["length", "chunked", "close"]),
        first_byte=strategies.floats(0, 7),
        seconds=strategies.floats(0, 7),
    ),
    strategies.just(Silence("no whole answer within 6 s")),
)


class Moody:
    """Says one of a few things to each question, always the same thing to the same question."""

    def __init__(self, replies: list[Any], budget: Budget) -> None:
        self._replies = replies
        self._budget = budget

    def ask(self, raw: bytes, *, bodyless: bool = False) -> Reply:
        self._budget.take()
        assert raw.count(b"\r\n\r\n") == 1
        assert raw.endswith(b"\r\n\r\n")
        reply: Reply = self._replies[sum(raw) % len(self._replies)]
        return reply

    def idle_seconds(self, _raw: bytes, _limit: float) -> float | None:
        return None


@given(HEADS, strategies.binary(max_size=200), strategies.booleans(), strategies.booleans())
def test_any_bytes(head: bytes, rest: bytes, ended: bool, bodyless: bool) -> None:
    """Bytes are an answer, half an answer or none, and what has ended is never half of one."""
    try:
        answer = take_apart(head + rest, ended=ended, bodyless=bodyless)
    except NotHttp:
        return

    assert not ended or answer is not None


@given(strategies.lists(REPLIES, min_size=1, max_size=4))
def test_any_server(replies: list[Any]) -> None:
    """A look at a server that answers anything ends with a report in printable text, or with nobody there."""
    budget = Budget(now=lambda: NOW)
    surveyor = Surveyor(
        budget,
        now=lambda: NOW,
        sleep=lambda _: None,
        slow=True,
        connect=lambda _address, _budget: Moody(replies, budget),
    )
    try:
        survey = surveyor.look(address("http://127.0.0.1:7117/credentials"), Address("127.0.0.1", 7117, "/"))
    except NobodyAnswers:
        return

    assert budget.spent <= 150
    assert json.loads(document(survey))["conforms"] is survey.conforms
    assert text(survey).replace("\n", "").isprintable()
