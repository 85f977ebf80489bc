"""
Check a configuration for another machine, such as a pod, in CI.

Variables, secrets and files that the configuration names exist only on the target machine. The check loads a copy of
the file with a stand-in for each variable that is not set here. Mistakes in these values are not reported.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config.decode import join
from ..config.loader import Loaded, load
from ..config.locate import DEFAULT_PATH, read
from ..core.display import shown_path
from ..core.errors import ConfigError
from ..system import files

_VARIABLE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}")

SDK_FILE = {
    "idaasInstanceId": "idaas_offline",
    "clientId": "app_offline",
    "issuer": "https://offline.example/oauth2",
    "tokenEndpoint": "https://offline.example/oauth2/token",
    "scope": "offline.example|.all",
    "authnConfiguration": {"authnMethod": "CLIENT_SECRET_POST", "clientSecretEnvVarName": "OFFLINE"},
}
"""The stand-in for a file of the IDaaS SDK that does not exist on this machine."""


STAND_INS = {
    "roleArn": "acs:ram::0:role/0",
    "oidcProviderArn": "acs:ram::0:oidc-provider/0",
    "issuer": "https://offline.example/0",
    "tokenEndpoint": "https://offline.example/0",
    "endpoint": "https://offline.example",
    "endpoints": "https://offline.example",
    "scope": "0|0",
    "bind": "127.0.0.1:1",
    "ops": "127.0.0.1:2",
    "metadata": "127.0.0.1:3",
    "proxy": "http://offline.example:1",
}
"""The stand-in, by key, for a value that is only a variable: a wrong value would hide the mistakes after it."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A configuration without mistakes that this machine can find, and the values that only the target can check."""

    origin: str
    profiles: tuple[str, ...]
    warnings: tuple[str, ...]
    unchecked: tuple[str, ...]


def check(path: str | None, environ: Mapping[str, str], hostname: str) -> Checked:
    """
    Return the result for the file at `path`, else for the file that `serve` would read. Raises ConfigError.

    Raises it also without a file: the configuration is then the target machine's environment, which is unknown here.
    """
    origin = path or environ.get("IDAAS_SIDECAR_CONFIG") or str(DEFAULT_PATH)
    raw = read(origin)
    unset = {key: names for key, text in _strings(raw) if (names := _unset(text, environ))}
    raw = _with_stand_ins(raw, environ)
    with tempfile.TemporaryDirectory(prefix="idaas-sidecar-") as directory:
        missing = _replace_sdk_files(raw, environ, Path(directory))
        copy = Path(directory, "config.json")
        copy.write_text(json.dumps(raw))
        loaded = _load(str(copy), environ, hostname, origin, unset)
    unchecked = [f"{key}: depends on {', '.join(names)}" for key, names in unset.items()]
    unchecked += [f"profiles.{name}: {shown_path(file)} is not on this machine" for name, file in missing.items()]
    warnings = loaded.warnings if loaded else ()
    # A file that a value names, such as a token, exists only on the target machine.
    shown = tuple(each for each in warnings if not _concerns(each, unset) and ": no such file" not in each)
    return Checked(origin, tuple(raw.get("profiles") or ()), shown, tuple(unchecked))


def _load(copy: str, environ: Mapping[str, str], hostname: str, origin: str, unset: Mapping[str, Any]) -> Loaded | None:
    """Return the loaded copy; None if all its mistakes are in values that depend on unset variables."""
    try:
        return load(copy, environ, hostname=hostname, now=lambda: 0.0, look=False)
    except ConfigError as error:
        lines = [line.mapped(lambda text: text.replace(copy, origin)) for line in error.mistakes]
        mistakes = [line for line in lines if not _concerns(line, unset)]
        if mistakes:
            raise ConfigError.of(mistakes) from None
        return None


def _concerns(line: str, keys: Mapping[str, Any]) -> bool:
    return any(re.search(rf"(^|: ){re.escape(key)}[:.\[ ]", line) for key in keys)


def _strings(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the dotted key and the text of each string."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _strings(item, join(path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _strings(item, f"{path}[{index}]")
    elif isinstance(value, str):
        yield path, value


def _unset(text: str, environ: Mapping[str, str]) -> list[str]:
    return [found[1] for found in _VARIABLE.finditer(text) if found[1] and not environ.get(found[1])]


def _with_stand_ins(value: Any, environ: Mapping[str, str], key: str = "") -> Any:
    """Return `value` with stand-ins for the variables that are not set. `key` is the value's key."""
    if isinstance(value, dict):
        return {name: _with_stand_ins(item, environ, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_with_stand_ins(item, environ, key) for item in value]
    if not isinstance(value, str) or not (names := _unset(value, environ)):
        return value
    if value == f"${{{names[0]}}}" and key in STAND_INS:
        return STAND_INS[key]
    text = value

    def stand_in(found: re.Match[str]) -> str:
        if found[1] not in names:
            return found[0]
        # A variable at the beginning of a value usually is an absolute path.
        return "/0" if found.start() == 0 and text[found.end() : found.end() + 1] in ("", "/") else "0"

    return _VARIABLE.sub(stand_in, text)


def _replace_sdk_files(raw: Mapping[str, Any], environ: Mapping[str, str], directory: Path) -> dict[str, str]:
    """Give each profile whose SDK file is missing a stand-in. Return the missing files by profile."""
    profiles = raw.get("profiles")
    missing: dict[str, str] = {}
    for name, profile in (profiles if isinstance(profiles, dict) else {}).items():
        identity = profile.get("identity") if isinstance(profile, dict) else None
        path = identity.get("clientConfigPath") if isinstance(identity, dict) else None
        if not isinstance(identity, dict) or not isinstance(path, str):
            continue
        expanded = _VARIABLE.sub(lambda found: environ.get(found[1] or "", "${"), path)
        if not files.exists(files.expanded(expanded, environ.get("HOME"))):
            missing[name] = path
            stand_in = directory / "client-config.json"
            stand_in.write_text(json.dumps(SDK_FILE))
            identity["clientConfigPath"] = str(stand_in)
    return missing
