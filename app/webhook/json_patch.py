"""JSON Patch (RFC 6902), as far as the injection needs it: the operation `add`."""

from __future__ import annotations

import copy
from typing import Any

from .pod import Object


def add(path: tuple[str | int, ...], value: Any) -> Object:
    """Return the operation that sets a member of an object, or inserts before an index of a list; `-` is its end."""
    pointer = "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)
    return {"op": "add", "path": pointer, "value": value}


def patched(document: Object, operations: list[Object]) -> Object:
    """Return the document after the operations. The document itself does not change."""
    result = copy.deepcopy(document)
    for operation in operations:
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        place: Any = result
        for part in parents:
            place = place[int(part)] if isinstance(place, list) else place[part]
        value = copy.deepcopy(operation["value"])
        if isinstance(place, list):
            place.insert(len(place) if last == "-" else int(last), value)
        else:
            place[last] = value
    return result
