"""Broken JSON: a string without an end, and what else people write in place of JSON."""

from __future__ import annotations

import re

import pytest

from app.core.errors import ConfigError
from app.system.json_file import LARGEST, parse_object


@pytest.mark.parametrize("tolerant", [False, True])
@pytest.mark.parametrize("end", ["", "\\", ' // x, } /* "'], ids=["quotes", "backslash", "comment"])
def test_string_without_an_end(end: str, tolerant: bool) -> None:
    """
    The string takes the rest of the text, and it is the one mistake.

    As many escaped quotes as a file may have would take hours if each were tried as the beginning of a string.
    """
    raw = b'{"a": "' + b'\\"' * (LARGEST // 2 - 20) + end.replace('"', '\\"').encode()

    with pytest.raises(ConfigError) as caught:
        parse_object(raw, "f", tolerant=tolerant)

    (mistake,) = caught.value.mistakes
    assert mistake.cause.startswith("f:1:7: not JSON: ")


SYNTAX = [
    ("", "f:1:1: not JSON: Expecting value: an empty file; write the object"),
    ("<html>", "f:1:1: not JSON: Expecting value: HTML or XML; write the file again"),
    ("a: 1\n", "f:1:1: not JSON: Expecting value: YAML; write the file as JSON"),
    ("a = 1", "f:1:1: not JSON: Expecting value: the format of a properties or TOML file"),
    ("# c\n{}", "f:1:1: not JSON: Expecting value: a comment with #"),
    ("{\n<<<<<<< HEAD\n}", "f:2:1: .*: a mark of a merge conflict"),
    ('{"a": "b', "f:1:7: .*: a string without its closing quote; add the quote"),
    ('{"a": "b" "c": 1}', 'f:1:11: .*: a missing comma, or a quote within a string; .* or the quote as \\\\"'),
    ('{"a" 1}', "f:1:6: .*: a missing colon"),
    ('{"a": 1', "f:1:8: .*: the file ends within an object or list; add what is missing"),
    ('{"a": 1]', "f:1:8: .*: a bracket of the wrong kind, or a missing value before the bracket$"),
    ('{"a": 010}', "f:1:8: .*: a number in a form that JSON does not have"),
    ('{"a": True}', "f:1:7: .*: a word of Python; write true"),
    ("{a: 1}", "f:1:2: .*: a key without quotes"),
    ('{"a": "C:\\dir"}', "f:1:10: .*: a backslash that escapes nothing"),
    ('{"a": 1}}', "f:1:9: .*: text after the end of the object"),
    ("{\n \u201ca\u201d: 1}", "f:2:2: .*: '.u201c' in place of \"; write \""),
    ('{"a"\uff1a 1}', "f:1:5: .*: '.uff1a' in place of :; write :"),
    ('{\n\u00a0"a": 1}', "f:2:1: .*: an invisible character, '.xa0'; remove it"),
    ('{"a":\u200b1}', "f:1:6: .*: an invisible character, '.u200b'"),
    ('{"a": \ufeff1}', "f:1:7: .*: an invisible character, '.ufeff'"),
    ('{"a": -}', "f:1:7: not JSON: Expecting value$"),
]


@pytest.mark.parametrize("tolerant", [False, True])
@pytest.mark.parametrize(("text", "message"), SYNTAX, ids=[message.rpartition(".*: ")[2] for _, message in SYNTAX])
def test_cause_of_a_syntax_error(text: str, message: str, tolerant: bool) -> None:
    """A syntax error has line and column, what the text there is, and the cure."""
    with pytest.raises(ConfigError) as caught:
        parse_object(text.encode(), "f", tolerant=tolerant)

    (mistake,) = caught.value.mistakes
    assert re.match(message, str(mistake)), str(mistake)


def test_line_break_within_a_text() -> None:
    """A quote that is missing at the end of a line is named where the line ends."""
    with pytest.raises(
        ConfigError, match=r"f:1:9: .*a line break or tab within a string, whose closing quote may be mis"
    ):
        parse_object(b'{"a": "b\n}', "f")


def test_bytes_of_another_encoding_are_located() -> None:
    """Bytes that are not UTF-8, such as the quotes of Windows-1252, have line and column."""
    with pytest.raises(ConfigError, match=r"^f:2:7: not UTF-8 text; save the file as UTF-8$"):
        parse_object(b'{\n "a": \x93b\x94}', "f")
