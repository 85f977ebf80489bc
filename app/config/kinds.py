"""The types that a key may have: which one a JSON value fits, and a stand-in for a value that cannot be read."""

from __future__ import annotations

from typing import Any

from msgspec import inspect


def members(info: inspect.Type) -> list[inspect.Type]:
    """Return the types of a union, or the one type, without their annotations."""
    if isinstance(info, inspect.Metadata):
        return members(info.type)
    if isinstance(info, inspect.UnionType):
        return [member for item in info.types for member in members(item)]
    return [info]


def stand_in(info: inspect.Type) -> Any:
    """Return a value of the type, for a required value that could not be read. No check reports a mistake in it."""
    choices = members(info)
    kind = next((item for item in choices if isinstance(item, inspect.NoneType)), choices[0])
    match kind:
        case inspect.StrType():
            return "unusable"
        case inspect.LiteralType():
            return kind.values[0]
        case inspect.BoolType():
            return False
        case inspect.IntType() | inspect.FloatType():
            return kind.ge if kind.ge is not None else kind.le
        case inspect.ListType() | inspect.VarTupleType():
            return [stand_in(kind.item_type)] * (kind.min_length or 0)
        case inspect.DictType():
            return {"default": stand_in(kind.value_type)} if kind.min_length else {}
        case inspect.StructType():
            tag = {kind.tag_field: kind.tag} if kind.tag_field else {}
            return tag | {item.encode_name: stand_in(item.type) for item in kind.fields if item.required}
    return None


def fits(value: Any, kind: inspect.Type) -> bool:
    """Return whether a JSON value is of a type. Limits of the type, such as a length, are not checked."""
    match kind:
        case inspect.AnyType():
            return True
        case inspect.StrType() | inspect.LiteralType():
            return isinstance(value, str)
        case inspect.BoolType():
            return isinstance(value, bool)
        case inspect.IntType():
            return isinstance(value, int) and not isinstance(value, bool)
        case inspect.FloatType():
            return isinstance(value, int | float) and not isinstance(value, bool)
        case inspect.NoneType():
            return value is None
        case inspect.StructType() | inspect.DictType():
            return isinstance(value, dict)
        case inspect.ListType() | inspect.VarTupleType():
            return isinstance(value, list)
    return False
