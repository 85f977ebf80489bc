"""JSON in and out: a bound of its levels, readable letters, and nothing that a terminal obeys."""

from __future__ import annotations

import json

import pytest

from app.core.json_text import MOST_LEVELS, TooDeep, json_text, json_value

from ..wrong_types import ESCAPES, prints


@pytest.mark.parametrize("text", [ESCAPES, "\ud800", "\U000e0041", "a\nb\\b\f"])
def test_text_prints_and_is_the_same(text: str) -> None:
    """What does not print is escaped, also half of a surrogate pair, and a reader finds the same text."""
    shown = json_text({"a": [text]}, indent=2)

    assert prints(shown)
    shown.encode()
    assert json.loads(shown) == {"a": [text]}


def test_letters_of_every_language_are_kept() -> None:
    """A name is as readable as in the file."""
    assert json_text({"ü": "凭证"}, compact=True) == '{"ü":"凭证"}'


def nested(levels: int) -> tuple[str, str, str]:
    """Return JSON texts with so many levels: of objects, of lists, and of both."""
    pairs = levels // 2
    both = '{"a":[' * pairs + "[" * (levels % 2) + "]" * (levels % 2) + "]}" * pairs
    return '{"a":' * levels + "1" + "}" * levels, "[" * levels + "]" * levels, both


@pytest.mark.parametrize("text", nested(MOST_LEVELS))
def test_levels_that_are_read(text: str) -> None:
    """A value with the most levels is returned as it is."""
    assert json_value(text) == json.loads(text)
    assert json_value(text.encode()) == json.loads(text)


@pytest.mark.parametrize("levels", [MOST_LEVELS + 1, 500, 990, 100_000])
def test_too_many_levels(levels: int) -> None:
    """A value with more levels is refused with one message, however many there are."""
    for text in nested(levels):
        with pytest.raises(TooDeep, match=r"\Anested too deeply\Z"):
            json_value(text)


@pytest.mark.parametrize("text", ["{", "1" * 5_000, b"\xff", '"a\nb"'])
def test_no_json(text: str | bytes) -> None:
    """Everything else that is no JSON is a ValueError, and not one about levels."""
    with pytest.raises(ValueError, match=r"\S") as caught:
        json_value(text)

    assert not isinstance(caught.value, TooDeep)
