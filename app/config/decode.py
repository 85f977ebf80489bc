"""Checks a JSON object against the types of its keys. Finds every mistake, and reports it in the terms of JSON.

For an unknown key, the message suggests a known one. A word is compared with the allowed words. `${VAR}` is replaced in
every string, and `~` is expanded in paths. The origin of every value is stored for `config --show`.
A key whose value cannot be read is left out, or has a stand-in of the right type if it is required. All other values
are checked in the same run.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, inspect

from ..core.base import DEFAULT, EXPANDED, HIDDEN, SHARED_KEYS, Strict, mark_of
from ..core.checks import join
from ..core.display import in_message
from ..core.errors import ConfigError, Mistake
from ..core.text import similar
from ..system import files
from . import unfilled

T = TypeVar("T", bound=Strict)

_VARIABLE = re.compile(r"\$\$\{|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?:\}|(?=(:[-=?+]))))?")
"""A variable, or `$${`, which stands for `${`. A single `${` matches too, and is a mistake; so is a name before an
operator of the shell, such as `:-`."""
_SECRET = re.compile(r"(secret|password|passphrase|(private|access)_?key(_?id)?)$", re.IGNORECASE)
"""The end of a key whose value would be a secret itself."""

_WORDS: tuple[tuple[type[inspect.Type], str], ...] = (
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


UNKNOWN_KEY, BAD_VALUE, MISSING_KEY, UNSET_VARIABLE = "IDS-104", "IDS-105", "IDS-106", "IDS-107"
DRAWBACK = "IDS-122"
"""Stable codes of the errors index."""


def convert(raw: dict[str, Any], kind: type[T], place: str = "") -> T:
    """Return `raw` as a `kind`, without expansion. Raises ConfigError with the first mistake."""
    decoder = Decoder(place, {}, trace=False)
    checked = decoder.members(raw, kind, place)
    if decoder.mistakes:
        raise ConfigError.of(decoder.mistakes[:1])
    return msgspec.convert(checked, kind)


class Decoder:
    """
    Checks objects of one origin (a file, the environment).

    `variables`: `${VAR}` in a string is replaced by the variable of `environ`. `lenient`: an unknown key is dropped
    with a warning instead of an error. `members` adds to `sources` (if `trace`), `warnings`, `mistakes` and `unusable`.
    Each mistake begins with the key's path. `unusable`: the paths whose values could not be read. `hidden`: the values
    that must not be shown, each with its replacement. `unfilled`: with `variables`, the complaint about each value in
    which something was not replaced, by its path.
    """

    def __init__(
        self,
        origin: str,
        environ: Mapping[str, str],
        *,
        variables: bool = False,
        lenient: bool = False,
        trace: bool = True,
    ) -> None:
        self.sources: dict[str, str] = {}
        self.warnings: list[Mistake] = []
        self.mistakes: list[Mistake] = []
        self.unusable: set[str] = set()
        self.hidden: dict[str, str] = {}
        self.unfilled: dict[str, Mistake] = {}
        self._origin = origin
        self._environ = environ
        self._variables = variables
        self._lenient = lenient
        self._trace = trace

    def members(self, raw: dict[str, Any], kind: type[msgspec.Struct], place: str = "") -> dict[str, Any]:
        """Return the members of a `kind`, checked and expanded. Those of `unusable` are left out or stand-ins."""
        info = inspect.type_info(kind)
        assert isinstance(info, inspect.StructType)  # noqa: S101 - the info of a Struct; said for the type checker
        return self._object(raw, info, place)

    def _mistake(self, path: str, cause: str, error_code: str = BAD_VALUE, cure: str = "") -> None:
        self.mistakes.append(Mistake(f"{path or 'the file'}: {cause}", error_code, cure))

    def _note(self, path: str, origin: str) -> None:
        if self._trace:
            self.sources[path] = origin

    # --- one value ----------------------------------------------------------------------------------------------------

    def _value(self, value: Any, info: inspect.Type, path: str) -> Any:
        """Return the value checked and expanded, or UNSET where it cannot be read. `info` carries the marks."""
        members = _members(info)
        kind = next((item for item in members if _fits(value, item)), None)
        if isinstance(value, dict) and isinstance(kind, inspect.StructType):
            return self._tagged(value, info, [item for item in members if isinstance(item, inspect.StructType)], path)
        if isinstance(value, dict) and isinstance(kind, inspect.DictType):
            return self._map(value, kind, path)
        if isinstance(value, list) and isinstance(kind, inspect.ListType | inspect.VarTupleType):
            return self._list(value, kind, path)
        if kind is None:
            self._mistake(path, _wrong_kind(value, members))
            return UNSET
        return self._scalar(value, info, kind, path)

    def _scalar(self, value: Any, info: inspect.Type, kind: inspect.Type, path: str) -> Any:
        """
        Return a value without members, checked and expanded, or UNSET where it cannot be read.

        `kind` is its type without the marks of `info`.
        """
        self._note(path, self._origin)
        # A policy is a document for RAM and has RAM's own variables, which must stay.
        before = len(self.mistakes)
        found = self.expand(value, path) if not isinstance(kind, inspect.AnyType) else value
        if self._variables and isinstance(value, str) and (why := unfilled.complaint(path, value)) is not None:
            self.unfilled[path] = why
        if len(self.mistakes) > before:  # without its variable, the value is incomplete: no further check
            return UNSET
        if isinstance(found, str) and mark_of(info, EXPANDED):
            found = files.expanded(found, self._environ.get("HOME"))
        if isinstance(found, str) and (shown := in_message(path, found)) != found:
            self.hidden[found] = shown
        if isinstance(kind, inspect.LiteralType):
            if found not in kind.values:
                shown = "" if mark_of(info, HIDDEN) else found
                cause, cure = _unknown_word(shown, [str(item) for item in kind.values])
                self._mistake(path, cause, cure=cure)
                return UNSET
            return found
        complaint = _beyond_limits(found, kind)
        if complaint:
            self._mistake(path, complaint)
            return UNSET
        # Profiles repeat issuers, endpoints and scopes. One shared copy of each saves 1 KiB per profile.
        return sys.intern(found) if isinstance(found, str) else found

    def _list(self, value: list[Any], kind: inspect.ListType | inspect.VarTupleType, path: str) -> Any:
        self._note(path, self._origin)
        complaint = _beyond_length(len(value), kind.min_length, kind.max_length)
        if complaint:
            self._mistake(path, complaint)
        if complaint and not value:
            return UNSET
        places = ((item, f"{path}[{index}]") for index, item in enumerate(value))
        items = [
            self._usable(self._value(item, kind.item_type, place), kind.item_type, place) for item, place in places
        ]
        return items[: kind.max_length]

    def _map(self, value: dict[str, Any], kind: inspect.DictType, path: str) -> Any:
        complaint = _beyond_length(len(value), kind.min_length, kind.max_length)
        if complaint:
            self._mistake(path, complaint)
            return UNSET
        if not any(isinstance(item, inspect.StructType) for item in _members(kind.value_type)):
            self._note(path, self._origin)
        places = ((key, item, join(path, key)) for key, item in value.items())
        return {
            key: self._usable(self._value(item, kind.value_type, place), kind.value_type, place)
            for key, item, place in places
        }

    def _usable(self, value: Any, kind: inspect.Type, path: str) -> Any:
        """Return a value, or a stand-in for one that could not be read."""
        if value is not UNSET:
            return value
        self.unusable.add(path)
        return _stand_in(kind)

    # --- one object ---------------------------------------------------------------------------------------------------

    def _tagged(
        self, value: dict[str, Any], info: inspect.Type, structs: Sequence[inspect.StructType], path: str
    ) -> Any:
        """Return an object checked against the member of a union that its tag selects; UNSET where there is none."""
        field = structs[0].tag_field
        if field is None:
            return self._object(value, structs[0], path)
        tags = {str(item.tag): item for item in structs}
        default = mark_of(info, DEFAULT) or (structs[0].tag if len(structs) == 1 else None)
        before = len(self.mistakes)
        tag = self.expand(value.get(field, default), f"{path}.{field}")
        if len(self.mistakes) > before:
            return UNSET
        if tag is None:
            self._mistake(f"{path}.{field}", "required", MISSING_KEY)
        elif not isinstance(tag, str):
            self._mistake(f"{path}.{field}", "must be a string")
        elif tag not in tags:
            cause, cure = _unknown_word(tag, list(tags))
            self._mistake(f"{path}.{field}", cause, cure=cure)
        else:
            others = structs if mark_of(info, SHARED_KEYS) else ()
            return self._object(value, tags[tag], path, others)
        return UNSET

    def _object(
        self,
        raw: dict[str, Any],
        info: inspect.StructType,
        place: str,
        others: Sequence[inspect.StructType] = (),
    ) -> dict[str, Any]:
        known = {item.encode_name: item for item in info.fields}
        found = {info.tag_field: info.tag} if info.tag_field else {}
        for key, value in raw.items():
            path = join(place, key)
            if key == info.tag_field:
                self._note(path, self._origin)
            elif key in known:
                read = self._value(value, known[key].type, path)
                if read is not UNSET:
                    found[key] = read
                else:
                    self.unusable.add(path)
            elif any(key == item.encode_name for other in others for item in other.fields):
                self.warnings.append(
                    Mistake(f"{path}: has no effect with {info.tag_field} {info.tag}", DRAWBACK, "leave the key out")
                )
            else:
                shared = {item.encode_name for other in others for item in other.fields}
                meant = self._unknown_key(key, path, sorted(known.keys() | shared))
                self.unusable |= {join(place, name) for name in meant if name not in raw}
        for name, item in known.items():
            if item.required and name not in found:
                found[name] = _stand_in(item.type)
                if name not in raw and join(place, name) not in self.unusable:
                    self._mistake(join(place, name), "required", MISSING_KEY)
                    self.unusable.add(join(place, name))
        return found

    def _unknown_key(self, key: str, path: str, known: Sequence[str]) -> Sequence[str]:
        """Note an unknown key. Return the known ones that it probably stands for: they are not missing."""
        meant, reason, cure = _hint(key, known)
        cause = f"unknown key; {reason}" if reason else "unknown key"
        if not self._lenient:
            self._mistake(path, cause, UNKNOWN_KEY, cure)
            return meant
        ignored = f"{cause}, which is ignored, because the file's configVersion is newer than this program's"
        self.warnings.append(Mistake(f"{path}: {ignored}", DRAWBACK, cure))
        return ()

    def expand(self, value: Any, path: str) -> Any:
        """Return a string with its variables replaced, and every other value unchanged."""
        if not self._variables or not isinstance(value, str) or "${" not in value:
            return value
        names: dict[str, None] = {}

        def put(match: re.Match[str]) -> str:
            name = match[1]
            if match[0] == "$${":
                return "${"
            if name is None:
                cause, cure = "`${` begins a variable, such as `${NAME}`", "write `$${` for these two characters"
                self._mistake(path, cause, cure=cure)
                return ""
            if match[2]:
                cause = f"`${{{name}{match[2]}…}}`: default values and other operators of the shell are not supported"
                self._mistake(path, cause, cure=f"write ${{{name}}}, and set the variable")
                return ""
            names[f"${{{name}}}"] = None
            if not self._environ.get(name):
                self._mistake(path, f"the environment variable {name} is not set or empty", UNSET_VARIABLE)
            return self._environ.get(name, "")

        found = _VARIABLE.sub(put, value)
        if names:
            self._note(path, f"{self._origin} with {', '.join(names)}")
        return found


# --- types in words ---------------------------------------------------------------------------------------------------


def _members(info: inspect.Type) -> list[inspect.Type]:
    """Return the types of a union, or the one type, without their annotations."""
    if isinstance(info, inspect.Metadata):
        return _members(info.type)
    if isinstance(info, inspect.UnionType):
        return [member for item in info.types for member in _members(item)]
    return [info]


def _stand_in(info: inspect.Type) -> Any:
    """Return a value of a type for a required one that could not be read. No check says anything about it."""
    members = _members(info)
    kind = next((item for item in members if isinstance(item, inspect.NoneType)), members[0])
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
            return [_stand_in(kind.item_type)] * (kind.min_length or 0)
        case inspect.DictType():
            return {"default": _stand_in(kind.value_type)} if kind.min_length else {}
        case inspect.StructType():
            tag = {kind.tag_field: kind.tag} if kind.tag_field else {}
            return tag | {item.encode_name: _stand_in(item.type) for item in kind.fields if item.required}
    return None


def _fits(value: Any, kind: inspect.Type) -> bool:
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


def _wrong_kind(value: Any, members: Sequence[inspect.Type]) -> str:
    wanted = dict.fromkeys(_word(kind) for kind in members)
    if isinstance(value, float) and "a number" not in wanted and "a whole number" in wanted:
        given = "a fraction"
    else:
        given = next((word for kind, word in _JSON if isinstance(value, kind)), "null")
    return f"must be {' or '.join(wanted)}, not {given}"


_JSON: tuple[tuple[type, str], ...] = (
    (str, "a string"),
    (bool, "true or false"),
    (int, "a whole number"),
    (float, "a number"),
    (dict, "an object"),
    (list, "an array"),
)


def _word(kind: inspect.Type) -> str:
    return next(word for known, word in _WORDS if isinstance(kind, known))


def _beyond_limits(value: Any, kind: inspect.Type) -> str | None:
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


def _beyond_length(length: int, least: int | None, most: int | None) -> str | None:
    if least is not None and length < least:
        return "empty; at least one is needed"
    if most is not None and length > most:
        return f"must have at most {most} items"
    return None


def _hint(key: str, known: Sequence[str]) -> tuple[Sequence[str], str, str]:
    """Return the known keys that an unknown key probably stands for, the reason in words, and the cure."""
    if _SECRET.search(key):
        instead = [name for name in (f"{key}EnvVarName", f"{key}File") if name in known]
        cure = f"use {' or '.join(instead)}" if instead else "name an environment variable or a file instead"
        return instead, "secrets are never in this file", cure
    close = similar(key, known)
    if close:
        return (close,), "", f"did you mean {close}?"
    return (), f"known are {', '.join(known)}" if known else "nothing can be set here in this version", ""


def _unknown_word(word: str, known: Sequence[str]) -> tuple[str, str]:
    """Return cause and cure for a word that is not one of the known ones."""
    close = similar(word, known)
    shown = repr(word) if 0 < len(word) <= 40 else "this word"
    cause = f"{shown} is not known in this version, which accepts {', '.join(known)}"
    return cause, f"did you mean {close}?" if close else ""
