"""Reads the IDaaS SDK's own `client-config.json` in the same way as the SDK.

camelCase and snake_case keys are equal, unknown keys are ignored, null means absent, and endpoints without a scheme get
https. This program's own keys for secrets (`clientSecretFile`, `algorithm`, …) work in this file, too; the SDK ignores
them. Mistakes that the SDK accepts silently (an unknown authnMethod, a missing required key) are errors here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from ..core.connection import HttpConfiguration
from ..core.errors import ConfigError, Mistake
from ..core.text import quoted
from ..core.urls import sdk_endpoint
from ..identity.idaas import IdaasIdentity
from ..identity.methods import IDAAS_METHODS
from ..system.json_file import read_object
from .locate import snake_case


def default_path(environ: Mapping[str, str]) -> str:
    """Return the path that the SDK reads: `$CLOUD_IDAAS_CONFIG_PATH`, else the path in the home directory."""
    named = environ.get("CLOUD_IDAAS_CONFIG_PATH", "").strip()
    return named or f"{environ.get('HOME') or '~'}/.cloud_idaas/client-config.json"


def read(path: str) -> dict[str, Any]:
    """
    Return the file's identity as the members of an `identity`. Raises ConfigError with the file's name.

    The examples of IDaaS's documentation have comments, and line breaks within strings: both are accepted.
    """
    known = _known(read_object(path, tolerant=True), IdaasIdentity)
    left = [
        Mistake(f"{path}: {key}: still has {found} of an example", "IDS-109", "write your own value")
        for key, found in _examples(known)
    ]
    if left:
        raise ConfigError.of(left)
    known |= {key: _unwrapped(value) for key, value in known.items() if isinstance(value, str)}
    for key in ("clientConfigPath", "tokenExchange", "connection"):
        known.pop(key, None)  # these keys stand beside clientConfigPath, not in the SDK's file
    if isinstance(known.get("authnConfiguration"), dict):
        known["authnConfiguration"] = _authn(known["authnConfiguration"])
    if isinstance(known.get("httpConfiguration"), dict):
        known["httpConfiguration"] = _known(known["httpConfiguration"], HttpConfiguration)
    for key in ("issuer", "tokenEndpoint", "openApiEndpoint", "developerApiEndpoint"):
        if isinstance(known.get(key), str) and known[key]:
            known[key] = sdk_endpoint(known[key])
    return known | _machine(known.get("authnConfiguration"), path)


def _unwrapped(value: str) -> str:
    """Return a value without the line breaks of a wrapped line. Scopes on separate lines stay separate."""
    if all(re.fullmatch(r"[^|]+\|[^|]+", word) for word in value.split()):
        return value
    return re.sub(r"\s*\n\s*", "", value)


_EXAMPLE = re.compile(
    r"\[(?:[^\W\d]|[ -])+\]|<[^<>]+>|\{(?:[^\W\d]|[ -])+\}|(?<![a-z0-9])x{3,}(?![a-z0-9])|\*{3,}|\.{3,}|…"
    r"|(?<![a-z0-9])your[-_ ][\w-]+|[您你]的\w*",
    re.IGNORECASE,
)
"""Placeholders in examples: `[region_id]`, `<client id>`, `{instance}`, `xxx`, `***`, `...`, `your_id`."""


def _examples(members: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, str]]:
    """Yield the key and the text of each placeholder that was not replaced with a value."""
    for key, value in members.items():
        if isinstance(value, dict):
            yield from _examples(value, f"{place}{key}.")
        found = _EXAMPLE.search(value) if isinstance(value, str) else None
        if found:
            yield f"{place}{key}", quoted(found[0])


def _authn(raw: dict[str, Any]) -> dict[str, Any]:
    """Return the members that the method knows. For an unknown method, return the members of the first method."""
    tag = next((value for key, value in raw.items() if snake_case(key) == "authn_method" and value is not None), None)
    method = next((item for item in IDAAS_METHODS if item.__struct_config__.tag == tag), None)
    members = _known(raw, method or IDAAS_METHODS[0])
    return members | ({"authnMethod": tag} if tag is not None else {})


def _machine(authn: Any, path: str) -> dict[str, Any]:
    """Return the authnConfiguration of a machine. Like the SDK, treat an unknown identityType as CLIENT."""
    if not isinstance(authn, dict):
        return {}
    if authn.get("identityType") == "HUMAN":
        raise ConfigError(
            f"{path}: authnConfiguration.identityType: HUMAN logs a person in",
            cure="use a CLIENT (M2M) one",
            error_code="IDS-105",
        )
    return {"authnConfiguration": authn | {"identityType": "CLIENT"}} if "identityType" in authn else {}


def _known(raw: dict[str, Any], kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the members of `raw` that `kind` knows, with the names of `kind`."""
    names = dict(zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True))
    found = ((names.get(snake_case(key)), value) for key, value in raw.items())
    return {name: value for name, value in found if name is not None and value is not None}
