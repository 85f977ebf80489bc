"""Foreign text in messages: one line, a limited length, and nothing that could be a secret."""

from __future__ import annotations

import pytest

from app.core.text import one_line, printable_id, quoted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain, ünïcode", "plain, ünïcode"),
        ("a\nb\tc", r"a\nb\tc"),
        ("\x1b[1m", r"\x1b[1m"),
        ("\u202eabc", r"\u202eabc"),
    ],
)
def test_unprintable_characters_are_escaped(text: str, expected: str) -> None:
    """Line breaks, control characters and changes of direction are escaped; other text is unchanged."""
    assert one_line(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", "a"),
        (" a \n\t b ", "a b"),
        ("x" * 200, "x" * 200),
        ("x" * 201, "x" * 199 + "…"),
        ("\x00" * 50 + "x", r"\x00" * 49 + r"\x0" + "…"),
    ],
)
def test_quoted_text_is_one_line_of_at_most_200_characters(text: str, expected: str) -> None:
    """White space is collapsed, and text of more than 200 characters ends in an ellipsis."""
    assert quoted(text) == expected


def test_length_of_quoted_text_can_be_chosen() -> None:
    """A caller can allow fewer characters."""
    assert (quoted("abcd", 4), quoted("abcde", 4)) == ("abcd", "abc…")


@pytest.mark.parametrize("text", ["", "AuthenticationFail.NoPermission", "req-1_2:3", "a" * 64, "xeyJ"])
def test_code_and_request_id_are_repeated(text: str) -> None:
    """Up to 64 characters of an error code's alphabet are repeated in messages."""
    assert printable_id(text) == text


@pytest.mark.parametrize("text", ["a" * 65, "a b", "<b>", "a\n", "ä", "eyJhbGciOiJub25lIn0", "a~"])
def test_other_text_is_unreadable(text: str) -> None:
    """Anything else, and what begins as a token does, is not repeated."""
    assert printable_id(text) == "(unreadable)"
