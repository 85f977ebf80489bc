"""JSON for a terminal: readable letters, and nothing that a terminal obeys."""

from __future__ import annotations

import json

import pytest

from app.core.json_text import json_text

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
