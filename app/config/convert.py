"""JSON values as the types of app/config/settings.py; what does not fit is told in words of JSON, not of Python."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from ..core.model import ConfigError

T = TypeVar("T", bound=msgspec.Struct)

_WORDS = {
    "str": "a string",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "object": "an object",
    "array": "an array",
}
_LIMITS = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}


def convert(raw: dict[str, Any], kind: type[T], place: str = "") -> T:
    """`raw` as a `kind`. Raises ConfigError: `place` and the path below it, then what is wrong there."""
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$")
        path = (place + where.rstrip("`")).lstrip(".")
        missing = re.fullmatch(r"Object missing required field `(.*)`", what)
        if missing:
            raise ConfigError(f"{join(path, missing[1])}: required") from None
        raise ConfigError(f"{path or 'the file'}: {_in_words(what)}") from None


def join(path: str, key: str) -> str:
    """The dotted path of `key` below `path`; a key that is no plain word is quoted, and cut where it is long."""
    shown = key if re.fullmatch(r"[A-Za-z0-9_$.-]{1,80}", key) else f'"{one_line(key[:80])}"'
    return f"{path}.{shown}" if path else shown


def one_line(text: str) -> str:
    """`text` with what does not print escaped: a value may hold a line break, or what turns a terminal around."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _in_words(what: str) -> str:
    """A verdict of msgspec's, such as "Expected `int` >= 900", in our words."""
    if what.startswith(("Expected `null`", "Expected `array` of length <= 0")):
        return "not in this version; leave it out"
    if what.startswith("Expected `object` of length >= 1"):
        return "empty; at least one is needed"
    found = re.fullmatch(r"Expected `([a-z| ]+)`(?:, got `([a-z]+)`| (>=|<=|>|<) (\S+)| matching regex (.*))", what)
    if found is None:
        return what[:1].lower() + what[1:].replace("`", "")
    kinds, got, limit, bound, pattern = found.groups()
    if got:
        fraction = got == "float" and kinds == "int"
        return f"must be {_any_of(kinds)}, not {'a fraction' if fraction else _any_of(got)}"
    return f"must be {_LIMITS[limit]} {bound}" if limit else f"must match {pattern}"


def _any_of(kinds: str) -> str:
    return " or ".join(_WORDS.get(kind, kind) for kind in kinds.split(" | "))
