"""The base of the settings types: strict objects, and marks on the types of their keys."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Annotated, Any

from msgspec import Meta, Struct, inspect

from .display import displayed

EXPANDED = "expanded"
"""Marks text that may begin with `~`, the home directory."""

HIDDEN = "hidden"
"""Marks a key whose value may be a secret by mistake: messages do not repeat the value."""

FILE = "file"
"""Marks the path of a file that is watched for changes; its value is one of the two below."""

PROOF = "proof"
"""A file with which a profile proves its identity. A new file is tried at once, because the old one may expire soon."""

READ_LATER = "read later"
"""A file that is read at each use. A new file is tried at once only for a profile that failed with the old one."""

DEFAULT = "default"
"""Marks a union of objects: the tag of the member for an object without a tag."""

SHARED_KEYS = "shared keys"
"""Marks a union of objects: a key that another member knows has no effect, which is a warning and not an error."""

Expanded = Annotated[str, Meta(extra={EXPANDED: True})]
ProofFile = Annotated[str, Meta(extra={EXPANDED: True, FILE: PROOF})]
OtherFile = Annotated[str, Meta(extra={EXPANDED: True, FILE: READ_LATER})]

_UNPRINTED = frozenset({"proxy", "command"})
"""Members that `repr` leaves out, because they may hold a secret: a proxy's URL a password, a command its arguments."""


class Strict(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """camelCase keys, immutable; an unknown key is an error."""

    def __repr__(self) -> str:
        members = ((name, getattr(self, name)) for name in self.__struct_fields__)
        shown = (
            f"{name}={'…' if value and name in _UNPRINTED else repr(displayed(name, value))}" for name, value in members
        )
        return f"{type(self).__name__}({', '.join(shown)})"

    @classmethod
    def key(cls, field: str) -> str:
        """Return the configuration key of a field."""
        return cls.__struct_encode_fields__[cls.__struct_fields__.index(field)]

    def named_files(self) -> Iterator[tuple[str, str]]:
        """Yield the path and the FILE mark of each file that this object names; nested objects are not visited."""
        for field, mark in marked_fields(type(self), FILE):
            path = getattr(self, field)
            if path:
                yield path, mark


@functools.cache
def marked_fields(kind: type[Strict], mark: str) -> tuple[tuple[str, Any], ...]:
    """Return the fields whose type carries the mark, with its value."""
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)  # noqa: S101 - the info of a Struct; said for the type checker
    found = ((field.name, mark_of(field.type, mark)) for field in info.fields)
    return tuple((name, value) for name, value in found if value is not None)


def mark_of(info: inspect.Type, mark: str) -> Any:
    """Return the value of a mark on a type or on a member of a union; None without it."""
    if isinstance(info, inspect.UnionType):
        return next((value for item in info.types if (value := mark_of(item, mark)) is not None), None)
    if not isinstance(info, inspect.Metadata):
        return None
    found = (info.extra or {}).get(mark)
    return found if found is not None else mark_of(info.type, mark)
