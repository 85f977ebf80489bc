"""The words of mistakes: what is wrong with a value or a key, and the cure. Values and types are named as in JSON."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from msgspec import inspect

from ..core.display import looks_random, may_be_shown
from ..core.text import similar

_SECRET = re.compile(r"(secret|password|passphrase|(private|access)_?key(_?id)?)$", re.IGNORECASE)
"""The end of a key whose value would be a secret itself."""

_SECRET_LENGTH = 24
"""The least characters of a generated secret; an AccessKeyId has 24."""

_TYPES: tuple[tuple[type[inspect.Type], str], ...] = (
    (inspect.StrType, "a string"),
    (inspect.LiteralType, "a string"),
    (inspect.IntType, "a whole number"),
    (inspect.FloatType, "a number"),
    (inspect.BoolType, "true or false"),
    (inspect.StructType, "an object"),
    (inspect.DictType, "an object"),
    (inspect.ListType, "an array"),
    (inspect.VarTupleType, "an array"),
    (inspect.NoneType, "null"),
)
"""The words for the types of keys."""

_VALUES: tuple[tuple[type, str], ...] = (
    (str, "a string"),
    (bool, "true or false"),
    (int, "a whole number"),
    (float, "a number"),
    (dict, "an object"),
    (list, "an array"),
)
"""The words for values. A bool is an int, too, so it comes first."""


def wrong_kind(value: Any, members: Sequence[inspect.Type]) -> str:
    """Return a sentence with the types that a value must have, and the type that it has."""
    wanted = dict.fromkeys(_word(kind) for kind in members)
    if isinstance(value, float) and "a number" not in wanted and "a whole number" in wanted:
        given = "a fraction"
    else:
        given = next((word for kind, word in _VALUES if isinstance(value, kind)), "null")
    return f"must be {' or '.join(wanted)}, not {given}"


def lacks_quotes(value: Any, members: Sequence[inspect.Type]) -> bool:
    """Return whether a value is a number, true or false where a string is possible."""
    return isinstance(value, int | float) and any(isinstance(kind, inspect.StrType) for kind in members)


def _word(kind: inspect.Type) -> str:
    return next(word for known, word in _TYPES if isinstance(kind, known))


def beyond_limits(value: Any, kind: inspect.Type) -> str | None:
    """Return how a value exceeds the limits of its type, or None."""
    match kind:
        case inspect.StrType():
            if kind.pattern is not None and not re.search(kind.pattern, value):
                return f"must match {kind.pattern}"
            if kind.min_length is not None and len(value) < kind.min_length:
                return (
                    "must not be empty" if kind.min_length == 1 else f"must have at least {kind.min_length} characters"
                )
            return None
        case inspect.IntType() | inspect.FloatType():
            if kind.ge is not None and value < kind.ge:
                return f"must be at least {_number(kind.ge)}"
            if kind.gt is not None and value <= kind.gt:
                return f"must be more than {_number(kind.gt)}"
            if kind.le is not None and value > kind.le:
                return f"must be at most {_number(kind.le)}"
    return None


def _number(limit: float) -> str:
    """Return a limit with all its digits, and without a fraction if it is whole."""
    return str(int(limit)) if limit == int(limit) else repr(limit)


def beyond_length(length: int, least: int | None, most: int | None) -> str | None:
    """Return how the length of a list or map exceeds its limits, or None."""
    if least is not None and length < least:
        return "empty; at least one is needed"
    if most is not None and length > most:
        return f"must have at most {most} items"
    return None


def unknown_key(key: str, known: Sequence[str]) -> tuple[Sequence[str], str, str]:
    """Return the known keys that an unknown key probably stands for, the reason in words, and the cure."""
    if _SECRET.search(key):
        instead = [name for name in (f"{key}EnvVarName", f"{key}File") if name in known]
        cure = f"use {' or '.join(instead)}" if instead else "name an environment variable or a file instead"
        return instead, "secrets are never in this file", cure
    close = similar(key, known)
    if close:
        return (close,), "", f"did you mean {close}?"
    return (), f"known are {', '.join(known)}" if known else "nothing can be set here in this version", ""


def shown_key(key: str, known: Sequence[str]) -> str:
    """Return an unknown key, or `***` if it may be a secret: long and random, and similar to no known key."""
    return "***" if len(key) >= _SECRET_LENGTH and looks_random(key) and not similar(key, known) else key


def unknown_word(word: str, known: Sequence[str]) -> tuple[str, str]:
    """Return cause and cure for a word that is not one of the known ones."""
    close = similar(word, known)
    shown = repr(word) if 0 < len(word) <= 40 and (close or may_be_shown(word)) else "this word"
    cause = f"{shown} is not known in this version, which accepts {', '.join(known)}"
    return cause, f"did you mean {close}?" if close else ""
