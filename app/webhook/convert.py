"""Converts an object to a type, and names every part of it that has another type by its path."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from ..config.decode import Decoder
from ..core.errors import ConfigError, Mistake
from ..core.text import one_line

T = TypeVar("T", bound=msgspec.Struct)

_QUOTES = "write the value with quotes: without them, YAML reads true, yes and 1 as other types"

_TEXTS = (".labels.", ".annotations.", ".nodeSelector.")
"""The maps of texts in which people forget the quotes."""


def convert(value: object, form: type[T], place: str, path: str = "", *, error_code: str) -> T:
    """
    Return `value` as a `form`. Raises ConfigError with a line per mistake, which begins with `place` and the path.

    Members that `form` does not know are mistakes only if it forbids them. `path`: that of the value itself.
    """
    try:
        return msgspec.convert(value, form)
    except msgspec.ValidationError as error:
        raise ConfigError.of(_mistakes(value, form, f"{place}: ", path, error_code, str(error))) from None


def _mistakes(
    value: object, form: type[msgspec.Struct], place: str, path: str, error_code: str, first: str
) -> list[Mistake]:
    """Return the mistakes of a value. `first`: msgspec's own words for the first one."""
    if not isinstance(value, dict):
        return [Mistake(f"{place}{path}: must be an object" if path else f"{place}must be an object", error_code)]
    # Only after a mistake: the decoder compares each unknown key with the known ones, which takes milliseconds.
    decoder = Decoder("", {}, lenient=not form.__struct_config__.forbid_unknown_fields, trace=False)
    decoder.members(value, form, path)
    found = [Mistake(f"{place}{each.cause}", error_code, each.cure or _cure(each.cause)) for each in decoder.mistakes]
    return found or [Mistake(f"{place}{one_line(first)}", error_code)]


def _cure(cause: str) -> str:
    return _QUOTES if "must be a string" in cause and any(part in f".{cause}" for part in _TEXTS) else ""
