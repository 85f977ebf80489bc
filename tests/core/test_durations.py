"""Durations in words."""

from __future__ import annotations

import pytest

from app.core.durations import in_seconds, in_words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0 s"),
        (0.9, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3599, "59 min 59 s"),
        (3600, "1 h"),
        (3605, "1 h"),
        (7500, "2 h 5 min"),
        (90_061, "1 d 1 h"),
        (86_400 * 400 + 60, "400 d"),
    ],
)
def test_in_words(seconds: float, words: str) -> None:
    """A duration has its two largest units; a unit of zero is left out."""
    assert in_words(seconds) == words


def test_in_seconds() -> None:
    """The duration of an attempt has two decimals."""
    assert in_seconds(0.256) == "0.26 s"
