"""
Strict conversion of frozen dataclasses to JSON and back.

A JSON key is the field's name in camelCase; snake_case is read as well. A value that does not fit raises a ValueError
of one line: the key path, what is wrong there, and what is expected.
"""

import dataclasses
import difflib
import types
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

_TYPE_NAMES = {str: "a string", int: "a whole number", float: "a number", bool: "true or false", bytes: "a string"}


def encode(value: Any) -> Any:
    """Return `value` as dicts, lists and scalars. Bytes become text; bytes that are not UTF-8 are replaced."""
    if dataclasses.is_dataclass(value):
        return {_camel_case(field.name): encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: encode(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def decode(target: Any, value: Any, path: str = "") -> Any:
    """
    Return parsed JSON as an instance of `target`, a dataclass or a type that its fields may have.

    `path` is the key path of `value`, for messages. Raises ValueError.
    """
    if dataclasses.is_dataclass(target):
        return _decode_object(target, value, path)
    origin, args = get_origin(target), get_args(target)
    if origin is types.UnionType:
        return None if value is None else decode(args[0], value, path)
    if origin is Literal:
        return _decode_literal(args, value, path)
    if origin is tuple:
        _require(isinstance(value, list), path, "must be an array")
        return tuple(decode(args[0], item, f"{path}.{index}") for index, item in enumerate(value))
    if origin is Mapping:
        _require(isinstance(value, dict), path, "must be an object")
        return {key: decode(args[1], item, f"{path}.{key}") for key, item in value.items()}
    return value if target is Any else _decode_scalar(target, value, path)


def _decode_object(target: Any, value: Any, path: str) -> Any:
    _require(isinstance(value, dict), path, "must be an object")
    fields = {_camel_case(field.name): field for field in dataclasses.fields(target)}
    given = {_camel_case(key): item for key, item in value.items()}
    for key in sorted(given.keys() - fields.keys()):
        raise ValueError(f"{_join(path, key)}: unknown key{_suggestion(key, fields)}")
    for key in sorted(fields.keys() - given.keys()):
        _require(_has_default(fields[key]), _join(path, key), "is required: add it")
    hints = get_type_hints(target)
    decoded = {fields[key].name: decode(hints[fields[key].name], item, _join(path, key)) for key, item in given.items()}
    try:
        return target(**decoded)
    except ValueError as error:
        raise ValueError(_join(path, str(error))) from error


def _decode_scalar(target: Any, value: Any, path: str) -> Any:
    accepted = {float: (int, float), bytes: (str,)}.get(target, (target,))
    # bool is a subclass of int, and must not pass for a number.
    fits = isinstance(value, accepted) and (target is bool or not isinstance(value, bool))
    _require(fits, path, f"must be {_TYPE_NAMES[target]}")
    return value.encode() if target is bytes else value


def _decode_literal(allowed: tuple[Any, ...], value: Any, path: str) -> Any:
    _require(value in allowed, path, f"must be one of {', '.join(map(repr, allowed))}")
    return value


def _require(condition: bool, path: str, message: str) -> None:
    if not condition:
        raise ValueError(f"{path or 'the document'}: {message}")


def _suggestion(key: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    return f", did you mean {close[0]}?" if close else f", remove it; known keys: {', '.join(known)}"


def _has_default(field: "dataclasses.Field[Any]") -> bool:
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _camel_case(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in tail)
