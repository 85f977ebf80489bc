"""JSON documents that are almost valid: somewhere a value is changed, missing, or under another name."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from hypothesis import strategies

CANARY = "canary-text-of-another-party"
"""A text that must not be repeated. It looks like an identifier, so that only its place can tell it from one."""

TEXTS = (
    *("", " ", CANARY + " with spaces", "\0", "\ud800", "\u202e\n\r", "a" * 5_000, "-1", "1e999", "NaN", "${HOME}"),
    *("2026-01-02T03:04:05Z", "9999-12-31T23:59:59Z", "2026-01-02T03:04:05.000Z", "0000-00-00T00:00:00Z"),
    *("http://127.0.0.1:1", "https://evil.example/?" + CANARY, "file:///etc/passwd", "/dev/zero", "/", "../x"),
    *("eyJ.eyJ.x", "a.b.c", "Success", "true", "null", "sts", "idaas", "eyJhbGciOiJub25lIn0.e30."),
)
texts = strategies.one_of(strategies.sampled_from(TEXTS), strategies.text(max_size=20))
numbers = strategies.one_of(
    strategies.sampled_from([0, 1, -1, 899, 900, 3600, 43200, 43201, 2**31, 2**63, 10**30, 0.5, -0.0, 1e308]),
    strategies.integers(-10, 100_000),
)
scalars = strategies.one_of(strategies.none(), strategies.booleans(), numbers, texts)
values = strategies.recursive(
    scalars,
    lambda inner: strategies.one_of(
        strategies.lists(inner, max_size=3), strategies.dictionaries(texts, inner, max_size=3)
    ),
    max_leaves=6,
)


@dataclass(frozen=True)
class Change:
    """One change in a document, drawn without the document, so that it can be applied to any."""

    path: tuple[int, ...]
    """The member at each level, modulo the number of members. Applies earlier if the document ends."""
    action: Literal["replace", "delete", "rename", "append"]
    value: Any
    name: str


changes = strategies.builds(
    Change,
    path=strategies.lists(strategies.integers(0, 60), max_size=6).map(tuple),
    action=strategies.sampled_from(["replace", "replace", "replace", "delete", "rename", "append"]),
    value=values,
    name=texts,
)


def almost(document: Any, most: int = 2) -> strategies.SearchStrategy[Any]:
    """Return copies of `document` with one to `most` changes."""
    return strategies.lists(changes, min_size=1, max_size=most).map(lambda found: changed(document, found))


def changed(document: Any, found: Iterable[Change]) -> Any:
    """Return a copy of `document` with these changes, applied in their order."""
    copy = json.loads(json.dumps(document))
    for change in found:
        copy = _with(copy, change, change.path)
    return copy


def _with(value: Any, change: Change, path: tuple[int, ...]) -> Any:
    if not path or not isinstance(value, dict | list) or not value:
        return change.value
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = keys[path[0] % len(keys)]
    if len(path) > 1 or change.action == "replace":
        value[key] = _with(value[key], change, path[1:])
    elif change.action == "delete":
        del value[key]
    elif isinstance(value, dict):
        value[change.name] = value.pop(key) if change.action == "rename" else change.value
    else:
        value.append(change.value)
    return value


Cut = tuple[int, int, bytes]
"""Position (modulo the length), number of removed bytes, inserted bytes."""

cuts: strategies.SearchStrategy[list[Cut]] = strategies.lists(
    strategies.tuples(strategies.integers(0, 4_000), strategies.integers(0, 5), strategies.binary(max_size=5)),
    min_size=1,
    max_size=3,
)


def cut(raw: bytes, found: Iterable[Cut]) -> bytes:
    """Return `raw` with these pieces replaced."""
    data = bytearray(raw)
    for at, removed, inserted in found:
        start = at % (len(data) + 1)
        data[start : start + removed] = inserted
    return bytes(data)


def to_json(value: Any) -> bytes:
    """Return `value` as JSON bytes. Strings that UTF-8 cannot encode are encoded as Python does (surrogatepass)."""
    return json.dumps(value).encode(errors="surrogatepass")
