"""
Frozen dataclasses to JSON and back, strictly.

A key is the field's name in camelCase (snake_case is read too). What does not fit is a `ValueError` of one
line that names the place, what is wrong there and what would be right.
"""

import dataclasses
import difflib
import types
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

_NAMES = {str: "a string", int: "a whole number", float: "a number", bool: "true or false", bytes: "a string"}


def encode(value: Any) -> Any:
    """`value` as plain dicts, lists and scalars; bytes become text, what is not UTF-8 in them is replaced."""
    if dataclasses.is_dataclass(value):
        return {_camel(field.name): encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: encode(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def decode(kind: Any, value: Any, place: str = "") -> Any:
    """`value`, parsed JSON, as a `kind`: a dataclass, or what its fields may be."""
    if dataclasses.is_dataclass(kind):
        return _object(kind, value, place)
    origin, args = get_origin(kind), get_args(kind)
    if origin is types.UnionType:
        return None if value is None else decode(args[0], value, place)
    if origin is Literal:
        return _one_of(args, value, place)
    if origin is tuple:
        _require(isinstance(value, list), place, "must be an array")
        return tuple(decode(args[0], item, f"{place}.{index}") for index, item in enumerate(value))
    if origin is Mapping:
        _require(isinstance(value, dict), place, "must be an object")
        return {key: decode(args[1], item, f"{place}.{key}") for key, item in value.items()}
    return value if kind is Any else _scalar(kind, value, place)


def _object(kind: Any, value: Any, place: str) -> Any:
    _require(isinstance(value, dict), place, "must be an object")
    fields = {_camel(field.name): field for field in dataclasses.fields(kind)}
    given = {_camel(key): item for key, item in value.items()}
    for key in sorted(given.keys() - fields.keys()):
        raise ValueError(f"{_join(place, key)}: unknown key{_suggestion(key, fields)}")
    for key in sorted(fields.keys() - given.keys()):
        _require(_has_default(fields[key]), _join(place, key), "is required: add it")
    hints = get_type_hints(kind)
    decoded = {
        fields[key].name: decode(hints[fields[key].name], item, _join(place, key)) for key, item in given.items()
    }
    try:
        return kind(**decoded)
    except ValueError as error:
        raise ValueError(_join(place, str(error))) from error


def _scalar(kind: Any, value: Any, place: str) -> Any:
    expected = {float: (int, float), bytes: (str,)}.get(kind, (kind,))
    fits = isinstance(value, expected) and (kind is bool or not isinstance(value, bool))
    _require(fits, place, f"must be {_NAMES[kind]}")
    return value.encode() if kind is bytes else value


def _one_of(allowed: tuple[Any, ...], value: Any, place: str) -> Any:
    _require(value in allowed, place, f"must be one of {', '.join(map(repr, allowed))}")
    return value


def _require(condition: bool, place: str, complaint: str) -> None:
    if not condition:
        raise ValueError(f"{place or 'the document'}: {complaint}")


def _suggestion(key: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    return f", did you mean {close[0]}?" if close else f", remove it; known here: {', '.join(known)}"


def _has_default(field: "dataclasses.Field[Any]") -> bool:
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


def _join(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in tail)
