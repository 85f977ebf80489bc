"""The IDaaS SDK's own `client-config.json`, read as the SDK reads it.

camelCase and snake_case keys are one, unknown keys are nobody's business, endpoints without a scheme get https. What
the SDK silently degrades (an authnMethod it does not know, a missing required key) is an error here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from .jsonfile import read_object
from .model import ConfigError
from .places import sdk_endpoint
from .settings import AuthnConfiguration, HttpConfiguration, IdaasIdentity

_ALIASES = {"unsafeignoresslcert": "unsafeIgnoreSslCert"}


def default_path(environ: Mapping[str, str]) -> Path:
    """Where the SDK looks: `$CLOUD_IDAAS_CONFIG_PATH`, else the home directory's."""
    named = environ.get("CLOUD_IDAAS_CONFIG_PATH", "").strip()
    if named:
        return Path(named).expanduser()
    return Path(environ.get("HOME") or "~").expanduser() / ".cloud_idaas" / "client-config.json"


def load(path: Path) -> IdaasIdentity:
    """The file's identity. Raises ConfigError with the file's name and the key's path."""
    known = _known(read_object(path), IdaasIdentity)
    known["authnConfiguration"] = _known(_object(known, "authnConfiguration", path), AuthnConfiguration)
    known["httpConfiguration"] = _known(_object(known, "httpConfiguration", path), HttpConfiguration)
    known.pop("clientConfigPath", None)
    if isinstance(known.get("tokenEndpoint"), str):
        known["tokenEndpoint"] = sdk_endpoint(known["tokenEndpoint"], f"{path}: tokenEndpoint")
    try:
        return msgspec.convert(known, IdaasIdentity)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {readable(error)}") from None


def readable(error: msgspec.ValidationError, prefix: str = "") -> str:
    """msgspec's complaint as `place: what`, with `prefix` before the place."""
    what, _, where = str(error).partition(" - at `$")
    place = (prefix + where.rstrip("`")).lstrip(".")
    for opening, verdict in (
        ("Object missing required field ", "required"),
        ("Object contains unknown field ", "unknown key"),
    ):
        if what.startswith(opening):
            return f"{place}.{what.removeprefix(opening).strip('`')}: {verdict}".lstrip(".")
    return f"{place or 'the file'}: {what[:1].lower()}{what[1:].replace('`', '')}"


def _object(known: dict[str, Any], key: str, path: Path) -> dict[str, Any]:
    value = known.get(key) or {}
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: {key}: must be an object")
    return value


def _known(raw: dict[str, Any], kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The members of `raw` that `kind` knows, under its spelling; null means absent, as for the SDK."""
    names = {name.lower(): name for name in kind.__struct_encode_fields__} | _ALIASES
    found = ((names.get(key.replace("_", "").lower()), value) for key, value in raw.items())
    return {name: value for name, value in found if name is not None and value is not None}
