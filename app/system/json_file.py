"""One JSON object from a file. Error messages name line and column, and quote keys, never values."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from ..core.errors import ConfigError
from . import files

LARGEST = 1_048_576
"""Bytes; a configuration of a thousand profiles has a third of it."""


def read_object(path: str, *, secret: bool = False) -> dict[str, Any]:
    """Return the file's JSON object. `secret`: the file must be private. Raises ConfigError with file and line."""
    try:
        raw = files.read_secret(path, LARGEST) if secret else files.read(path, LARGEST)
    except files.Unreadable as why:
        raise ConfigError(f"{path}: {why}") from None
    return parse_object(raw, path)


def parse_object(raw: bytes, name: str) -> dict[str, Any]:
    """Return `raw` as a JSON object; errors name it `name`. A duplicate key is an error: one value would be lost."""
    try:
        value = json.loads(raw, object_pairs_hook=_unique, parse_constant=_no_constant)
        # An escaped half of a surrogate pair is not a character: text with one cannot be printed or sent.
        json.dumps(value, ensure_ascii=False).encode()
    except _Duplicate as error:
        raise ConfigError(f"{name}: the key {error} appears twice in one object; remove one") from None
    except json.JSONDecodeError as error:
        raise ConfigError(f"{name}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from None
    except UnicodeError:
        raise ConfigError(f"{name}: not UTF-8 text") from None
    except ValueError:
        raise ConfigError(f"{name}: not JSON: a number is invalid or too long") from None
    except RecursionError:
        raise ConfigError(f"{name}: nested too deeply") from None
    if not isinstance(value, dict):
        raise ConfigError(f"{name}: must hold one JSON object, {{…}}")
    return value


class _Duplicate(Exception):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for key, value in pairs:
        if key in members:
            raise _Duplicate(json.dumps(key))
        members[key] = value
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
