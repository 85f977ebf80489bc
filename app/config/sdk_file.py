"""Reads the IDaaS SDK's own `client-config.json` in the same way as the SDK.

camelCase and snake_case keys are equal, unknown keys are ignored, null means absent, and endpoints without a scheme get
https. This program's own keys for secrets (`clientSecretFile`, `algorithm`, …) work in this file, too; the SDK ignores
them. Mistakes that the SDK accepts silently (an unknown authnMethod, a missing required key) are errors here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from ..core.connection import HttpConfiguration
from ..core.display import may_be_path
from ..core.errors import ConfigError, Mistake, NotThereYet
from ..core.urls import sdk_endpoint
from ..identity.idaas import IdaasIdentity
from ..identity.methods import IDAAS_METHODS
from ..system import files
from ..system.json_file import LARGEST, parse_object
from . import unfilled
from .locate import snake_case


def default_path(environ: Mapping[str, str]) -> str:
    """Return the path that the SDK reads: `$CLOUD_IDAAS_CONFIG_PATH`, else the path in the home directory."""
    named = environ.get("CLOUD_IDAAS_CONFIG_PATH", "").strip()
    return named or f"{environ.get('HOME') or '~'}/.cloud_idaas/client-config.json"


class Read(NamedTuple):
    """The members of an `identity`, their mistakes, and the keys that are unusable because of a mistake."""

    members: dict[str, Any]
    mistakes: tuple[Mistake, ...]
    unusable: tuple[str, ...]


def read(path: str) -> Read:
    """
    Return the file's identity. Its mistakes begin with their keys.

    Raises NotThereYet if the file is missing or empty, and ConfigError if it cannot be read.

    Comments, and line breaks within strings, are accepted: the examples of IDaaS's documentation have both.
    """
    raw = parse_object(_content(path), path, tolerant=True)
    wrong = dict(_twice(raw, IdaasIdentity))
    known = _known(raw, IdaasIdentity)
    for key in ("clientConfigPath", "tokenExchange", "connection"):
        known.pop(key, None)  # these keys stand beside clientConfigPath, not in the SDK's file
    wrong |= dict(_unfilled(known))
    known = _without(known, wrong)
    if isinstance(known.get("authnConfiguration"), dict):
        wrong |= _twice_in_authn(known["authnConfiguration"])
        known["authnConfiguration"] = _authn(known["authnConfiguration"])
        wrong |= _person(known["authnConfiguration"])
    if isinstance(known.get("httpConfiguration"), dict):
        wrong |= _twice(known["httpConfiguration"], HttpConfiguration, "httpConfiguration.")
        known["httpConfiguration"] = _known(known["httpConfiguration"], HttpConfiguration)
    known |= {key: _unwrapped(value) for key, value in known.items() if isinstance(value, str)}
    for key in ("issuer", "tokenEndpoint", "openApiEndpoint", "developerApiEndpoint"):
        if isinstance(known.get(key), str) and known[key]:
            known[key] = sdk_endpoint(known[key])
    known |= _machine(known.get("authnConfiguration"))
    return Read(known, tuple(wrong.values()), tuple(map(_camel_case, wrong)))


def _content(path: str) -> bytes:
    try:
        raw = files.read(path, LARGEST)
    except files.Absent as why:
        if may_be_path(path):  # a text that is not a path will never become a file
            raise NotThereYet(why.at(path)) from None
        raise ConfigError(why.at(path), error_code="IDS-102") from None
    except files.Unreadable as why:
        raise ConfigError(why.at(path), error_code="IDS-102") from None
    if not raw.strip():
        raise NotThereYet(f"{path}: empty")
    return raw


def _camel_case(key: str) -> str:
    return re.sub(r"_([a-z])", lambda found: found[1].upper(), key)


def _without(members: Mapping[str, Any], wrong: Collection[str], place: str = "") -> dict[str, Any]:
    """Return the members without those at the dotted keys `wrong`."""
    return {
        key: _without(value, wrong, f"{place}{key}.") if isinstance(value, dict) else value
        for key, value in members.items()
        if f"{place}{key}" not in wrong
    }


def _unwrapped(value: str) -> str:
    """Return a value without the line breaks of a wrapped line. Scopes on separate lines stay separate."""
    if all(re.fullmatch(r"[^|]+\|[^|]+", word) for word in value.split()):
        return value
    return re.sub(r"\s*\n\s*", "", value)


def _unfilled(members: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Mistake]]:
    """Yield the key and the mistake of each value in which a placeholder or a variable was not replaced."""
    for key, value in members.items():
        path = f"{place}{key}"
        if isinstance(value, dict):
            yield from _unfilled(value, f"{path}.")
        elif isinstance(value, str) and (example := unfilled.example_in(value)) is not None:
            yield (
                path,
                Mistake(f"{path}: still has {example} of an example", "IDS-109", "write your own value"),
            )
        elif isinstance(value, str) and (found := unfilled.variable_in(value)) is not None:
            cause = f"{path}: a variable in the form {found[0]}; the IDaaS SDK's file has no variables"
            yield path, Mistake(cause, "IDS-109", "write the value")


def _twice(raw: Mapping[str, Any], kind: type[msgspec.Struct], place: str = "") -> Iterator[tuple[str, Mistake]]:
    """Yield the mistakes of keys with several spellings and different values: one value would be lost."""
    known = {*kind.__struct_fields__, "authn_method"}
    spellings: dict[str, list[str]] = {}
    for key, value in raw.items():
        if value is not None and snake_case(key) in known:
            spellings.setdefault(snake_case(key), []).append(key)
    for name, keys in spellings.items():
        if any(raw[key] != raw[keys[0]] for key in keys[1:]):
            path = f"{place}{_camel_case(name)}"
            yield (
                path,
                Mistake(f"{path}: {' and '.join(keys)} are one key, with different values", "IDS-113", "keep one"),
            )


def _authn(raw: dict[str, Any]) -> dict[str, Any]:
    """Return the members that the method knows. For an unknown method, return the members of the first method."""
    tag = next((value for key, value in raw.items() if snake_case(key) == "authn_method" and value is not None), None)
    method = next((item for item in IDAAS_METHODS if item.__struct_config__.tag == tag), None)
    members = _known(raw, method or IDAAS_METHODS[0])
    return members | ({"authnMethod": tag} if tag is not None else {})


def _twice_in_authn(raw: Mapping[str, Any]) -> Iterator[tuple[str, Mistake]]:
    """Yield the mistakes of `_twice` for every method's keys."""
    for method in IDAAS_METHODS:
        yield from _twice(raw, method, "authnConfiguration.")


def _person(authn: Mapping[str, Any]) -> dict[str, Mistake]:
    """Return the mistake of an identity that is no machine, by its key."""
    if authn.get("identityType") != "HUMAN":
        return {}
    key = "authnConfiguration.identityType"
    return {key: Mistake(f"{key}: HUMAN logs a person in", "IDS-105", "use a CLIENT (M2M) one")}


def _machine(authn: Any) -> dict[str, Any]:
    """Return the authnConfiguration of a machine: the SDK reads an identityType that it does not know as CLIENT."""
    has_type = isinstance(authn, dict) and "identityType" in authn
    return {"authnConfiguration": authn | {"identityType": "CLIENT"}} if has_type else {}


def _known(raw: dict[str, Any], kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the members of `raw` that `kind` knows, with the names of `kind`."""
    names = dict(zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True))
    found = ((names.get(snake_case(key)), value) for key, value in raw.items())
    return {name: value for name, value in found if name is not None and value is not None}
