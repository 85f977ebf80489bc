"""Values as expressions of Terraform's language (HCL)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

_ESCAPES = {'"': r"\"", "\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t"}


class Reference(str):
    """An expression that is written without quotes, such as an attribute of another resource."""


def expression(value: Any, indent: int = 0) -> str:
    """Return a string, number, list or object as an expression. Nested lines are indented."""
    inner, outer = " " * (indent + 2), " " * indent
    if isinstance(value, Reference):
        return str(value)
    if isinstance(value, str):
        return string(value)
    if isinstance(value, Mapping):
        return "\n".join(("{", *attributes(value, indent + 2), f"{outer}}}"))
    if isinstance(value, list | tuple):
        if any(isinstance(item, Mapping) for item in value):
            items = ",\n".join(f"{inner}{expression(item, indent + 2)}" for item in value)
            return f"[\n{items}\n{outer}]"
        return f"[{', '.join(expression(item, indent) for item in value)}]"
    return str(value)


def attributes(members: Mapping[str, Any], indent: int) -> Iterator[str]:
    """Yield `name = value` lines, aligned as by `terraform fmt`: adjacent one-line attributes share a column."""
    rows = [(_name(name), expression(value, indent)) for name, value in members.items()]
    for is_long, group in groupby(rows, key=lambda row: "\n" in row[1]):
        listed = list(group)
        width = 0 if is_long else max(len(name) for name, _ in listed)
        yield from (f"{' ' * indent}{name:<{width}} = {value}" for name, value in listed)


def string(text: str) -> str:
    """Return a quoted string without templates. In HCL, `${` and `%{` begin a template, so they are escaped."""
    quoted = re.sub(r'["\\]|[^ -~]', _escaped, text)
    return f'"{quoted}"'.replace("${", "$${").replace("%{", "%%{")


def _escaped(found: re.Match[str]) -> str:
    """Return a character in HCL's form. HCL has no escapes for backspace and form feed, and no surrogate pairs."""
    char = found[0]
    if char in _ESCAPES:
        return _ESCAPES[char]
    return char if char.isprintable() else f"\\U{ord(char):08x}"


def _name(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", key) else string(key)
