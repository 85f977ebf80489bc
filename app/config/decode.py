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
from ..system import files
from ..system.json_file import NO_NUMBER
from . import kinds, mistake_words, unfilled

T = TypeVar("T", bound=Strict)

_VARIABLE = re.compile(r"\$\$\{|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?:\}|(?=(:[-=?+]))))?")
"""A variable, or `$${`, which stands for `${`. A single `${` matches too, and is a mistake; so is a name before an
operator of the shell, such as `:-`."""
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
    which something was not replaced, by its path. `quotes`: the cure for a string without its quotes.
    """

    def __init__(
        self,
        origin: str,
        environ: Mapping[str, str],
        *,
        variables: bool = False,
        lenient: bool = False,
        trace: bool = True,
        quotes: str = "",
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
        self._quotes = quotes

    def members(self, raw: dict[str, Any], kind: type[msgspec.Struct], place: str = "") -> dict[str, Any]:
        """Return the members of a `kind`, checked and expanded. Members in `unusable` are missing or have stand-ins."""
        info = inspect.type_info(kind)
        assert isinstance(info, inspect.StructType)  # noqa: S101 - the info of a Struct; said for the type checker
        return self._object(raw, info, place)

    def _mistake(
        self, path: str, cause: str, error_code: str = BAD_VALUE, cure: str = "", *, variable: str = ""
    ) -> None:
        self.mistakes.append(Mistake(f"{path or 'the file'}: {cause}", error_code, cure, variable=variable))

    def _trace_value(self, path: str, origin: str) -> None:
        if self._trace:
            self.sources[path] = origin

    # --- one value ----------------------------------------------------------------------------------------------------

    def _value(self, value: Any, info: inspect.Type, path: str) -> Any:
        """Return the value checked and expanded, or UNSET where it cannot be read. `info` carries the marks."""
        if value is NO_NUMBER:
            return UNSET
        members = kinds.members(info)
        kind = next((item for item in members if kinds.fits(value, item)), None)
        if isinstance(value, dict) and isinstance(kind, inspect.StructType):
            return self._tagged(value, info, [item for item in members if isinstance(item, inspect.StructType)], path)
        if isinstance(value, dict) and isinstance(kind, inspect.DictType):
            return self._map(value, kind, path)
        if isinstance(value, list) and isinstance(kind, inspect.ListType | inspect.VarTupleType):
            return self._list(value, kind, path)
        if kind is None:
            cure = self._quotes if mistake_words.lacks_quotes(value, members) else ""
            self._mistake(path, mistake_words.wrong_kind(value, members), cure=cure)
            return UNSET
        return self._scalar(value, info, kind, path)

    def _scalar(self, value: Any, info: inspect.Type, kind: inspect.Type, path: str) -> Any:
        """
        Return a value without members, checked and expanded, or UNSET where it cannot be read.

        `kind` is its type without the marks of `info`.
        """
        self._trace_value(path, self._origin)
        # A policy is a document for RAM and has RAM's own variables, which must stay.
        before = len(self.mistakes)
        found = self.expand(value, path) if not isinstance(kind, inspect.AnyType) else value
        if self._variables and isinstance(value, str) and (why := unfilled.complaint(path, value)) is not None:
            self.unfilled[path] = why
        if len(self.mistakes) > before:  # without its variable, the value is incomplete: no further check
            return UNSET
        if isinstance(found, str) and "\0" in found:
            # A path, URL, argument or header cannot contain it: the system's functions raise ValueError.
            self._mistake(path, "has a NUL character", cure="remove the character, \\u0000 in JSON")
            return UNSET
        if isinstance(found, str) and mark_of(info, EXPANDED):
            found = files.expanded(found, self._environ.get("HOME"))
        if isinstance(found, str) and (shown := in_message(path, found)) != found:
            self.hidden[found] = shown
        if isinstance(kind, inspect.LiteralType):
            if found not in kind.values:
                shown = "" if mark_of(info, HIDDEN) else found
                cause, cure = mistake_words.unknown_word(shown, [str(item) for item in kind.values])
                self._mistake(path, cause, cure=cure)
                return UNSET
            return found
        complaint = mistake_words.beyond_limits(found, kind)
        if complaint:
            self._mistake(path, complaint)
            return UNSET
        # Profiles repeat issuers, endpoints and scopes. One shared copy of each saves 1 KiB per profile.
        return sys.intern(found) if isinstance(found, str) else found

    def _list(self, value: list[Any], kind: inspect.ListType | inspect.VarTupleType, path: str) -> Any:
        self._trace_value(path, self._origin)
        complaint = mistake_words.beyond_length(len(value), kind.min_length, kind.max_length)
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
        complaint = mistake_words.beyond_length(len(value), kind.min_length, kind.max_length)
        if complaint:
            self._mistake(path, complaint)
            return UNSET
        if not any(isinstance(item, inspect.StructType) for item in kinds.members(kind.value_type)):
            self._trace_value(path, self._origin)
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
        return kinds.stand_in(kind)

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
        if tag is NO_NUMBER or len(self.mistakes) > before:
            return UNSET
        if tag is None:
            self._mistake(f"{path}.{field}", "required", MISSING_KEY)
        elif not isinstance(tag, str):
            self._mistake(f"{path}.{field}", "must be a string")
        elif tag not in tags:
            cause, cure = mistake_words.unknown_word(tag, list(tags))
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
                self._trace_value(path, self._origin)
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
                meant = self._unknown_key(key, place, sorted(known.keys() | shared))
                self.unusable |= {join(place, name) for name in meant if name not in raw}
        for name, item in known.items():
            if item.required and name not in found:
                found[name] = kinds.stand_in(item.type)
                if name not in raw and join(place, name) not in self.unusable:
                    self._mistake(join(place, name), "required", MISSING_KEY)
                    self.unusable.add(join(place, name))
        return found

    def _unknown_key(self, key: str, place: str, known: Sequence[str]) -> Sequence[str]:
        """Report an unknown key. Return the known keys that it probably stands for: they are not missing."""
        path = join(place, mistake_words.shown_key(key, known))
        meant, reason, cure = mistake_words.unknown_key(key, known)
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
                cause = f"the environment variable {name} is not set or empty"
                self._mistake(path, cause, UNSET_VARIABLE, variable=name)
            return self._environ.get(name, "")

        found = _VARIABLE.sub(put, value)
        if names:
            self._trace_value(path, f"{self._origin} with {', '.join(names)}")
        return found
