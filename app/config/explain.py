"""Settings as dotted keys, for `config --show` and for the changes of a reload."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ..core.display import displayed
from .decode import join

Difference = tuple[str, Any, Any]
"""A dotted key, its old and its new value. A value that does not exist is None."""


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each dotted key of `value` (a Settings or a part of one) with its value."""
    if isinstance(value, msgspec.Struct):
        tag = value.__struct_config__.tag_field
        if tag:
            yield join(path, tag), value.__struct_config__.tag
        for name, encoded in zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True):
            yield from leaves(getattr(value, name), join(path, encoded))
    elif isinstance(value, dict) and value and all(isinstance(item, msgspec.Struct) for item in value.values()):
        for name, item in value.items():
            yield from leaves(item, join(path, name))
    elif isinstance(value, tuple) and value and isinstance(value[0], msgspec.Struct):
        for index, item in enumerate(value):
            yield from leaves(item, f"{path}[{index}]")
    else:
        yield path, value


def shown(key: str, value: Any) -> Any:
    """
    Return a leaf's value without parts that may be secret: a command without its arguments, a URL without its login.

    `value` is None if a change adds or removes the key.
    """
    if key.rpartition(".")[2] == "command" and value is not None and len(value) > 1:
        return [value[0], f"(and {len(value) - 1} arguments)"]
    return displayed(key, value)


def differences(before: msgspec.Struct, after: msgspec.Struct) -> Iterator[Difference]:
    """Yield the differences between two settings, without secrets."""
    old, new = dict(leaves(before)), dict(leaves(after))
    for key in sorted(old.keys() | new.keys()):
        was, now = old.get(key), new.get(key)
        if was != now:
            yield key, shown(key, was), shown(key, now)
