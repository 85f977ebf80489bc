"""One JSON object from a file, with errors a person can act on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .model import ConfigError

LARGEST = 1_048_576
"""Bytes; a configuration of a thousand profiles is a third of it."""


def read_object(path: Path) -> dict[str, Any]:
    """The file's JSON object. Raises ConfigError with the file's name, the line and the cure."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    if len(raw) > LARGEST:
        raise ConfigError(f"{path}: larger than {LARGEST} bytes; that is not a configuration file")
    return parse_object(raw, str(path))


def parse_object(raw: bytes, name: str) -> dict[str, Any]:
    """`raw` as a JSON object; `name` is what errors call it. A duplicate key is an error: one would be lost."""
    try:
        value = json.loads(raw, object_pairs_hook=_unique)
    except _Duplicate as error:
        raise ConfigError(f"{name}: the key {error} appears twice in one object; remove one") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{name}: not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise ConfigError(f"{name}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from None
    except RecursionError:
        raise ConfigError(f"{name}: nested too deeply") from None
    if not isinstance(value, dict):
        raise ConfigError(f"{name}: must hold one JSON object, {{…}}")
    return value


class _Duplicate(Exception):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        raise _Duplicate(next(repr(key) for key, _ in pairs if key in seen or seen.add(key)))  # type: ignore[func-returns-value]
    return members
