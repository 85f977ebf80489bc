"""Documents of which one value, at any place, has another type or is text that a terminal obeys."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

ESCAPES = "\x1b[31m\x07\x9b2J\x7f\u202e"
"""ESC, BEL, the one-byte CSI, DEL, and the override of the direction."""

VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 10**30, 1e308, "", "abc", ESCAPES, "a\nb", "\ud800", "9999-12-31T23:59:59-23:59"),
    *([], {}, [None], [1], ["a"], [[]], [{}], {"a": 1}, [{"name": 1}], [{"name": ["x"]}], {"name": ESCAPES}),
)


def variants(document: Any) -> Iterator[Any]:
    """Yield copies of `document`: each value replaced by each of VALUES, and each member removed."""
    for path in _paths(document):
        for value in VALUES:
            yield _with(document, path, value)
        if path:
            without = copy.deepcopy(document)
            del _within(without, path[:-1])[path[-1]]
            yield without


def _paths(value: Any) -> Iterator[tuple[Any, ...]]:
    yield ()
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        yield from ((key, *rest) for rest in _paths(member))


def _with(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return copy.deepcopy(value)
    changed = copy.deepcopy(document)
    _within(changed, path[:-1])[path[-1]] = copy.deepcopy(value)
    return changed


def _within(document: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        document = document[key]
    return document


def prints(text: str) -> bool:
    """Return whether a terminal shows the text as it stands."""
    return text.replace("\n", "").isprintable()
