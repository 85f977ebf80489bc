"""The base of the sidecar's value objects."""

from __future__ import annotations

from typing import ClassVar

from msgspec import Struct


class Record(Struct, frozen=True):
    """
    An immutable value object. Objects with equal members are equal, and hashable if their members are.

    `HIDDEN` names the members that `repr` leaves out because they may hold a secret or are long. Why a Struct: as a
    dataclass, each class takes 13 KiB instead of 3 KiB, and at least ten times as long to make (`bench/imports.py`).
    `serve` makes some seventy such classes when it starts.
    """

    HIDDEN: ClassVar[frozenset[str]] = frozenset()

    def __repr__(self) -> str:
        shown = (f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__ if name not in self.HIDDEN)
        return f"{type(self).__name__}({', '.join(shown)})"
