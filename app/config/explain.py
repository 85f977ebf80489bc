"""Settings as dotted keys, for `config --show` and `doctor` and for the changes of a reload."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import msgspec

from ..core.checks import above, join
from ..core.display import displayed
from ..core.errors import Mistake
from ..core.record import Record
from .examined import Examined

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
    if key.rpartition(".")[2] == "command" and value:
        return [displayed(f"{key}[0]", value[0]), *([f"(and {len(value) - 1} arguments)"] if value[1:] else [])]
    return displayed(key, value)


class Row(Record, frozen=True):
    """A key with its effective value, which has no secret, its source, and what is wrong with it."""

    HIDDEN = frozenset({"value"})

    key: str
    value: Any
    source: str
    mistakes: tuple[Mistake, ...] = ()


def rows(examined: Examined) -> Iterator[Row]:
    """
    Yield a row for each key of a configuration, as far as it can be read, and for each further place with a mistake.

    Where nothing can be read, there is none. A wrong value is not shown: its mistake says what is wrong, without
    what may be a secret.
    """
    if examined.settings is None:
        return
    wrong = {place for place, _ in examined.found[: examined.wrong_values]} | examined.unusable
    mistakes: dict[str, list[Mistake]] = {}
    for place, mistake in examined.found:
        mistakes.setdefault(place, []).append(mistake)
    for key, value in leaves(examined.settings):
        if above(key).isdisjoint(examined.unusable):
            known = None if key in wrong else _readable(key, shown(key, value), wrong)
            yield Row(key, known, examined.sources.get(key, "default"), tuple(mistakes.pop(key, ())))
    for place, found in mistakes.items():
        yield Row(place, None, examined.sources.get(place, examined.origin), tuple(found))


def as_members(row: Row) -> dict[str, Any]:
    """Return a row as JSON members; `mistakes` only where there is one."""
    found = [{"code": each.error_code, "message": each.cause, "cure": each.cure} for each in row.mistakes]
    members = {"key": row.key, "value": row.value, "source": row.source}
    return members | ({"mistakes": found} if found else {})


def _readable(key: str, value: Any, wrong: Collection[str]) -> Any:
    """Return a value with None in place of each item that is wrong."""
    if isinstance(value, dict):
        return {name: None if join(key, name) in wrong else item for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [None if f"{key}[{index}]" in wrong else item for index, item in enumerate(value)]
    return value


def differences(before: msgspec.Struct, after: msgspec.Struct) -> Iterator[Difference]:
    """Yield the differences between two settings, without secrets."""
    old, new = dict(leaves(before)), dict(leaves(after))
    for key in sorted(old.keys() | new.keys()):
        was, now = old.get(key), new.get(key)
        if was != now:
            yield key, shown(key, was), shown(key, now)
