"""A JSON object beside the types of its keys, gone through before it is converted: what conversion cannot tell.

An unknown key gets a did-you-mean, a word is compared with those allowed, `${VAR}` and `~` are put in where a key
allows it, and every value's origin is noted for `config --show`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import inspect

from ..core.base import EXPANDED, HIDDEN
from ..core.model import ConfigError
from ..system import files
from .convert import join

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SECRET = re.compile(r"(secret|password|passphrase|(private|access)_?key(_?id)?)$", re.IGNORECASE)
"""The end of a key that would hold a secret itself."""


class Members:
    """
    Reads objects of one origin.

    `lenient`: an unknown key is a warning and gone, instead of an error. `sources` (where `trace`) and `warnings` grow
    with `read`.
    """

    def __init__(self, origin: str, environ: Mapping[str, str], *, lenient: bool = False, trace: bool = True) -> None:
        self.sources: dict[str, str] = {}
        self.warnings: list[str] = []
        self._origin = origin
        self._environ = environ
        self._lenient = lenient
        self._trace = trace

    def read(self, raw: dict[str, Any], kind: type[msgspec.Struct], place: str = "") -> dict[str, Any]:
        """`raw` ready to become a `kind`. Raises ConfigError."""
        info = inspect.type_info(kind)
        assert isinstance(info, inspect.StructType)  # noqa: S101 - what a Struct's info is; said for the type checker
        return self._object(raw, info, place)

    def _note(self, path: str, origin: str) -> None:
        if self._trace:
            self.sources[path] = origin

    def _object(self, raw: dict[str, Any], info: inspect.StructType, place: str) -> dict[str, Any]:
        known = {item.encode_name: item.type for item in info.fields}
        found = {info.tag_field: info.tag} if info.tag_field else {}
        for key, value in raw.items():
            path = join(place, key)
            if key == info.tag_field:
                self._note(path, self._origin)
            elif key in known:
                found[key] = self._value(value, known[key], path)
            else:
                self._unknown(key, path, sorted(known))
        return found

    def _value(self, value: Any, info: inspect.Type, path: str) -> Any:
        kind = _kind_of(value, info, path)
        if isinstance(kind, inspect.StructType) and isinstance(value, dict):
            return self._object(value, kind, path)
        if isinstance(kind, inspect.DictType) and isinstance(value, dict):
            return self._map(value, kind.value_type, path)
        if isinstance(value, list) and isinstance(kind, inspect.ListType | inspect.VarTupleType):
            self._note(path, self._origin)
            return [self._value(item, kind.item_type, f"{path}[{index}]") for index, item in enumerate(value)]
        if isinstance(kind, inspect.LiteralType) and isinstance(value, str) and value not in kind.values:
            shown = "" if _is_marked(info, HIDDEN) else value
            raise ConfigError(f"{path}: {_no_such_word(shown, [str(item) for item in kind.values])}")
        self._note(path, self._origin)
        return self._expand(value, path) if isinstance(value, str) and _is_marked(info, EXPANDED) else value

    def _map(self, value: dict[str, Any], info: inspect.Type, path: str) -> dict[str, Any]:
        if isinstance(info, inspect.StructType):
            return {key: self._value(item, info, join(path, key)) for key, item in value.items()}
        self._note(path, self._origin)
        if _is_marked(info, EXPANDED):
            return {key: self._expand(item, path) if isinstance(item, str) else item for key, item in value.items()}
        return value

    def _unknown(self, key: str, path: str, known: Sequence[str]) -> None:
        complaint = f"{path}: unknown key; {_cure(key, known)}"
        if not self._lenient:
            raise ConfigError(complaint)
        self.warnings.append(f"{complaint}; ignored, because the file's configVersion is newer than this program's")

    def _expand(self, value: str, path: str) -> str:
        def put(match: re.Match[str]) -> str:
            if not self._environ.get(match[1]):
                raise ConfigError(f"{path}: the environment variable {match[1]} is not set or empty")
            return self._environ[match[1]]

        names = dict.fromkeys(f"${{{name}}}" for name in _VARIABLE.findall(value))
        if names:
            self._note(path, f"{self._origin} with {', '.join(names)}")
        return files.expanded(_VARIABLE.sub(put, value), self._environ.get("HOME"))


def _is_marked(info: inspect.Type, mark: str) -> bool:
    if isinstance(info, inspect.UnionType):
        return any(_is_marked(item, mark) for item in info.types)
    return isinstance(info, inspect.Metadata) and (bool((info.extra or {}).get(mark)) or _is_marked(info.type, mark))


def _kind_of(value: Any, info: inspect.Type, path: str) -> inspect.Type:
    """What `value` is to become: `info` without its notes, and of a union the member that fits."""
    if isinstance(info, inspect.Metadata):
        return _kind_of(value, info.type, path)
    if isinstance(info, inspect.UnionType):
        return _member(value, info.types, path)
    if isinstance(info, inspect.StructType) and info.tag_field and isinstance(value, dict):
        return _tagged(value, [info], path)
    return info


def _member(value: Any, types: Sequence[inspect.Type], path: str) -> inspect.Type:
    structs = [item for item in types if isinstance(item, inspect.StructType)]
    if isinstance(value, dict) and structs:
        return _tagged(value, structs, path) if structs[0].tag_field else structs[0]
    lists = [item for item in types if isinstance(item, inspect.ListType | inspect.VarTupleType)]
    if isinstance(value, list) and lists:
        return lists[0]
    literals = [item for item in types if isinstance(item, inspect.LiteralType)]
    return literals[0] if literals else inspect.AnyType()


def _tagged(value: dict[str, Any], structs: Sequence[inspect.StructType], path: str) -> inspect.StructType:
    """The struct whose tag `value` carries; without one, the first."""
    tags = {item.tag: item for item in structs}
    tag = value.get(str(structs[0].tag_field), structs[0].tag)
    if not isinstance(tag, str):
        raise ConfigError(f"{path}.{structs[0].tag_field}: must be a string")
    if tag not in tags:
        raise ConfigError(f"{path}.{structs[0].tag_field}: {_no_such_word(tag, [str(item) for item in tags])}")
    return tags[tag]


def _cure(key: str, known: Sequence[str]) -> str:
    if _SECRET.search(key):
        instead = [name for name in (f"{key}EnvVarName", f"{key}File") if name in known]
        use = f"use {' or '.join(instead)}" if instead else "name an environment variable or a file instead"
        return f"secrets are never in this file: {use}"
    close = _close(key, known)
    if close:
        return f"did you mean {close}?"
    return f"known are {', '.join(known)}" if known else "nothing can be set here in this version"


def _no_such_word(word: str, known: Sequence[str]) -> str:
    close = _close(word, known)
    shown = repr(word) if 0 < len(word) <= 40 else "this word"
    hint = f"; did you mean {close}?" if close else ""
    return f"{shown} is not understood by this version, which takes {', '.join(known)}{hint}"


def _close(word: str, known: Sequence[str]) -> str | None:
    import difflib  # only for an error message

    return next(iter(difflib.get_close_matches(word, known, 1, 0.6)), None)
