"""YAML of other tools: every mistake is a ConfigError, and aliases cannot take the memory."""

from __future__ import annotations

import pytest

from app.core.errors import ConfigError
from app.system.yaml_file import parse_documents

pytest.importorskip("yaml", reason="needs PyYAML: pip install pyyaml")

ALIASES = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{each}: &a{each} [{', '.join([f'*a{each - 1}'] * 9)}]\n" for each in range(1, 9)
)
MERGES = "m0: &m0 {a: b, c: d}\n" + "".join(
    f"m{each}: &m{each} {{<<: [{', '.join([f'*m{each - 1}'] * 9)}]}}\n" for each in range(1, 9)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *[(f"a: !!{kind} x", "does not have the form of its type") for kind in ("int", "float", "bool", "timestamp")],
        ("a: " + "9" * 6000, "does not have the form of its type"),
        ("a: !!timestamp 2001-99-99", "does not have the form of its type"),
        ("? {a: b}\n: c", "not YAML: found unhashable key"),
        ("a: !!python/name:os.system", "not YAML: could not determine a constructor"),
        ("&a [*a]", "its aliases stand for too much"),
        (ALIASES, "its aliases stand for too much"),
        (f"a: &a {'x' * 10_000}\nb: [{', '.join(['*a'] * 1_000)}]", "its aliases stand for too much"),
        (MERGES, "the key << merges too much"),
        ("a: &a {<<: *a}", "nested too deeply"),
        ("[" * 2_000, "nested too deeply"),
        ('a: "\\ud800"', "JSON does not have"),
        ('"\\udfff": a', "JSON does not have"),
        ("a: !!binary aGVsbG8=", "JSON does not have"),
        ("? !!binary aGVsbG8=\n: a", "JSON does not have"),
        ("a: !!set {b, c}", "JSON does not have"),
        ("1: a\n'1': b", "JSON does not have"),
        (f"? 0x{'f' * 4000}\n: a", "JSON does not have"),
    ],
)
def test_hostile_files(text: str, message: str) -> None:
    """A value without the form of its type, and aliases without end, are mistakes of the file."""
    with pytest.raises(ConfigError, match=message):
        parse_documents(text.encode(), "a.yaml")


def test_aliases_and_dates() -> None:
    """Usual aliases and merges are followed; a date is text, because kubectl reads it as text."""
    text = "a: &a {x: 1}\nb: {<<: *a, y: 2001-01-01}\nc: [*a, *a]\n"

    assert parse_documents(text.encode(), "a.yaml") == [
        {"a": {"x": 1}, "b": {"x": 1, "y": "2001-01-01"}, "c": [{"x": 1}, {"x": 1}]}
    ]


def test_keys_are_texts() -> None:
    """A YAML key that is a number, a truth value or empty becomes a string, as all other code expects."""
    text = "a: &a {1: x, 1.5: x}\nb: {yes: *a, null: [{? : y}]}\n"

    assert parse_documents(text.encode(), "a.yaml") == [
        {"a": {"1": "x", "1.5": "x"}, "b": {"true": {"1": "x", "1.5": "x"}, "null": [{"null": "y"}]}}
    ]
