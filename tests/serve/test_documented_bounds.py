"""The bounds that SECURITY.md promises under "Floods" are those of the code."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import pytest

from app.serve import connection_table, listener, turns

TEXT = " ".join((Path(__file__).parents[2] / "SECURITY.md").read_text().split())
WORDS = {"quarter": Fraction(1, 4), "half": Fraction(1, 2)}
MEBIBYTE = 1_048_576


@pytest.mark.parametrize(
    ("promise", "bound"),
    [
        (r"further requests: up to (\d+) requests in all", turns.MOST_PER_TURN),
        (r"up to a (\w+) of the permitted connections", Fraction(1, listener.ACCEPTED_SHARE)),
        (r"unread responses of a listener use at most (\d+) MiB", Fraction(connection_table.UNREAD_BYTES, MEBIBYTE)),
        (r"all waiting requests use at most (\d+) MiB", Fraction(connection_table.KEPT_BYTES, MEBIBYTE)),
        (r"the limit minus (\d+) MiB", Fraction(connection_table.PROCESS_BYTES, MEBIBYTE)),
        (r"divided by (\d+) KiB", Fraction(connection_table.CONNECTION_BYTES, 1024)),
        (r"turn that took longer than (\d+) ms", round(1000 * turns.LONG_TURN)),
        (r"but at least (\d+) further requests", turns.LEAST_FURTHER),
        (
            r"queue is half as long as the number of permitted connections, and has at least (\d+) places",
            listener.FEWEST_QUEUED,
        ),
    ],
)
def test_bound(promise: str, bound: Fraction | int) -> None:
    """The figure in the sentence is the one in the code."""
    found = re.search(promise, TEXT)
    assert found is not None
    assert (WORDS.get(found[1]) or Fraction(found[1])) == bound
