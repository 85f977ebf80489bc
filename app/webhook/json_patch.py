"""JSON Patch (RFC 6902), as far as the injection needs it: the operation `add`."""

from __future__ import annotations

from typing import Any

from .pod import Object


def add(path: tuple[str | int, ...], value: Any) -> Object:
    """Return the operation that sets a member of an object, or inserts before an index of a list (`-`: its end)."""
    pointer = "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)
    return {"op": "add", "path": pointer, "value": value}


def patched(document: Object, operations: list[Object]) -> Object:
    """Return a changed copy of the document. The copy shares all parts that the operations do not change."""
    result: Any = document
    for operation in operations:
        path = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        result = _added(result, path, operation["value"])
    made: Object = result
    return made


def _added(place: Any, path: list[str], value: Any) -> Any:
    """Return a copy of an object or list with the value at `path`."""
    copied = place.copy()
    name, *rest = path
    if rest:
        key = int(name) if isinstance(copied, list) else name
        copied[key] = _added(copied[key], rest, value)
    elif isinstance(copied, list):
        copied.insert(len(copied) if name == "-" else int(name), value)
    else:
        copied[name] = value
    return copied
