"""The decision memo: bounded, exact, and emptied."""

from __future__ import annotations

from typing import cast

import pytest

from app.serve.handlers.outcome import Grant
from app.serve.memo import LONGEST_HEAD, MOST_DECISIONS, Decision, DecisionMemo
from app.serve.request import Request


def decision() -> Decision:
    """Return a decision; the memo does not look into it."""
    request = Request(method=b"GET", target=b"/credentials", headers=())
    return Decision(cast(Grant, None), keep_alive=True, request=request)


@pytest.fixture
def memo() -> DecisionMemo:
    return DecisionMemo()


def head(number: int) -> bytes:
    return b"GET /credentials HTTP/1.1\r\nX: %d\r\n\r\n" % number


def test_a_decision_is_recalled_for_exactly_the_same_bytes(memo: DecisionMemo) -> None:
    """One byte more, one less or another one is another request."""
    found = decision()
    memo.remember(head(1), found)

    assert memo.recall(head(1)) is found
    assert memo.recall(head(1) + b"\n") is None
    assert memo.recall(head(1)[:-1]) is None
    assert memo.recall(head(2)) is None


def test_the_one_unused_for_longest_is_dropped(memo: DecisionMemo) -> None:
    """The memo holds 256 decisions; a recalled one counts as used."""
    for number in range(MOST_DECISIONS):
        memo.remember(head(number), decision())
    memo.recall(head(0))
    memo.remember(head(MOST_DECISIONS), decision())

    assert MOST_DECISIONS == 256
    assert len(memo) == MOST_DECISIONS
    assert memo.recall(head(0)) is not None
    assert memo.recall(head(1)) is None
    assert memo.recall(head(2)) is not None
    assert memo.recall(head(MOST_DECISIONS)) is not None


def test_long_heads_are_not_remembered(memo: DecisionMemo) -> None:
    """Memory is bounded by 256 heads of at most 2 KiB."""
    memo.remember(b"a" * LONGEST_HEAD, decision())
    memo.remember(b"b" * (LONGEST_HEAD + 1), decision())

    assert LONGEST_HEAD == 2048
    assert memo.recall(b"a" * LONGEST_HEAD) is not None
    assert memo.recall(b"b" * (LONGEST_HEAD + 1)) is None


def test_one_decision_is_forgotten(memo: DecisionMemo) -> None:
    """The other ones stay; an unknown head is no error."""
    memo.remember(head(1), decision())
    memo.remember(head(2), decision())
    memo.forget(head(1))
    memo.forget(head(3))

    assert memo.recall(head(1)) is None
    assert memo.recall(head(2)) is not None


def test_all_decisions_are_forgotten(memo: DecisionMemo) -> None:
    """Nothing is left after a reload."""
    memo.remember(head(1), decision())
    memo.clear()

    assert len(memo) == 0
    assert memo.recall(head(1)) is None


def test_nothing_of_a_head_is_printed(memo: DecisionMemo) -> None:
    """A head holds the path token."""
    memo.remember(b"GET /the-path-token/credentials HTTP/1.1\r\n\r\n", decision())

    assert "the-path-token" not in repr(memo)
    assert repr(memo) == "DecisionMemo(1 decisions)"
    assert repr(decision()) == "Decision(…)"
