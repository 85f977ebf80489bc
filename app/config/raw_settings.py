"""Reads the configuration file or the variables, and the IDaaS SDK's files, as one object, and checks each key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..core.checks import place_of, profile_place
from ..core.errors import ConfigError, Mistake, NotThereYet
from ..identity.idaas import IdaasIdentity
from ..system.json_file import NO_NUMBER
from . import environment, locate, sdk_file
from .decode import Decoder
from .draft import Draft
from .settings import PROFILE_NAME, Settings

MAJOR, MINOR = 1, 0
"""The configVersion of this program."""


def read(draft: Draft, environ: Mapping[str, str], default_path: str) -> None:
    """
    Set `draft.raw`, and add origins, warnings and mistakes to the draft.

    Raises ConfigError if nothing can be read.
    """
    if draft.file is None:
        _read_environment(draft, environ, default_path)
    else:
        _read_file(draft, environ)
    _read_sdk_files(draft, environ)


def _read_environment(draft: Draft, environ: Mapping[str, str], default_path: str) -> None:
    draft.raw, variables = environment.read(environ, default_path, draft.findings)
    draft.hidden |= environment.hidden(draft.raw)
    for key, variable in variables.items():
        draft.sources[key] = f"environment {variable}" if variable else "the IDaaS SDK's own path"
        draft.replacements[f"{key}: "] = f"{variable}: " if variable else ""
    if draft.raw["profiles"]["default"]["exchange"]["type"] == "developerApi":
        draft.replacements[f"{environment.PLACE}.exchange.regionId: "] = (
            "ALIBABA_CLOUD_OIDC_PROVIDER_ARN: not set, which stands for a role that IDaaS manages: "
        )


def _read_file(draft: Draft, environ: Mapping[str, str]) -> None:
    draft.files.append(draft.origin)
    raw, mistakes = locate.examine(draft.origin)
    draft.findings.add(mistakes)
    decoder = Decoder(
        draft.origin, environ, variables=True, lenient=_minor(raw, draft, environ) > MINOR, trace=draft.trace
    )
    draft.findings.add(_name_mistakes(raw.get("profiles")))
    draft.raw = decoder.members(raw, Settings)
    draft.sources |= decoder.sources
    draft.hidden |= decoder.hidden
    draft.unfilled |= decoder.unfilled
    draft.warnings += decoder.warnings
    others = (item for item in decoder.mistakes if place_of(item) != "configVersion")  # already reported
    draft.findings.add(others, decoder.unusable)
    if "configVersion" in decoder.unusable or draft.findings.mistakes:
        draft.raw["configVersion"] = f"{MAJOR}.{MINOR}"


def _minor(raw: dict[str, Any], draft: Draft, environ: Mapping[str, str]) -> int:
    """Return the minor version of the file. Raises ConfigError for another major version."""
    decoder = Decoder(draft.origin, environ, variables=True, trace=False)
    version = decoder.expand(raw.get("configVersion"), "configVersion")
    if decoder.mistakes:
        draft.findings.add(decoder.mistakes)
        return MINOR
    if version is NO_NUMBER:
        return MINOR
    if version is None:
        cure = f'write "configVersion": "{MAJOR}.{MINOR}"'
        draft.findings.add([Mistake("configVersion: required", "IDS-106", cure)])
        return MINOR
    if not isinstance(version, str) or not re.fullmatch(r"[0-9]{1,4}\.[0-9]{1,4}", version):
        sentence = f'configVersion: must be a string of two numbers, such as "{MAJOR}.{MINOR}"'
        draft.findings.add([Mistake(sentence, "IDS-117")])
        return MINOR
    major, minor = map(int, version.split("."))
    if major != MAJOR:
        raise ConfigError(
            f"configVersion: {version} is not supported; this program reads {MAJOR}.x", error_code="IDS-117"
        )
    return minor


def _name_mistakes(profiles: Any) -> list[Mistake]:
    return [
        Mistake(
            f"{profile_place(name)}: a profile's name has 1 to 63 characters of a-z 0-9 . _ -, and begins with one of "
            "a-z 0-9",
            "IDS-105",
        )
        for name in (profiles if isinstance(profiles, dict) else ())
        if not re.fullmatch(PROFILE_NAME, name)
    ]


def _read_sdk_files(draft: Draft, environ: Mapping[str, str]) -> None:
    """Replace each `clientConfigPath` with the content of the IDaaS SDK's file."""
    profiles = draft.raw.get("profiles")
    for name, profile in (profiles if isinstance(profiles, dict) else {}).items():
        identity = profile.get("identity") if isinstance(profile, dict) else None
        place = f"{profile_place(name)}.identity"
        if isinstance(identity, dict) and isinstance(identity.get("clientConfigPath"), str):
            profile["identity"] = _sdk_identity(identity, place, draft, environ)
        elif f"{place}.clientConfigPath" in draft.findings.unusable:
            draft.findings.add((), (f"{place}.{key}" for key in _SDK_KEYS))


_NOT_IN_THE_SDK_FILE = ("type", "clientConfigPath", "connection", "tokenExchange")
"""Keys that may stand beside `clientConfigPath`, because the SDK's file does not have them."""

_SDK_KEYS = tuple(set(IdaasIdentity.__struct_encode_fields__) - set(_NOT_IN_THE_SDK_FILE))
"""Keys that are in the SDK's file."""


def _sdk_identity(identity: dict[str, Any], place: str, draft: Draft, environ: Mapping[str, str]) -> dict[str, Any]:
    path = identity["clientConfigPath"]
    others = [key for key, value in identity.items() if key not in _NOT_IN_THE_SDK_FILE and value is not None]
    if others:
        cause = f"{place}: clientConfigPath stands beside {', '.join(others)}"
        missing = {f"{place}.{key}" for key in _SDK_KEYS if identity.get(key) is None}
        draft.findings.add([Mistake(cause, "IDS-113", "keep the path or the keys")], missing)
        return identity
    draft.files.append(path)
    try:
        found = sdk_file.read(path)
    except NotThereYet as error:
        draft.lack(Mistake(error.cause, error.error_code, error.cure).at(f"{place}.clientConfigPath"))
        draft.findings.add((), (f"{place}.{key}" for key in _SDK_KEYS))
        return identity
    except ConfigError as error:
        mistakes = [item.at(f"{place}.clientConfigPath") for item in error.mistakes]
        draft.findings.add(mistakes, (f"{place}.{key}" for key in _SDK_KEYS))
        return identity
    wrong = (item.reworded(f"{place}.{item.cause}", item.cure) for item in found.mistakes)
    draft.findings.add(wrong, (f"{place}.{key}" for key in found.unusable))
    draft.replacements[f"{place}."] = f"{path}: "
    decoder = Decoder(path, environ, trace=draft.trace)
    members = decoder.members(found.members, IdaasIdentity, place)
    draft.sources |= decoder.sources
    draft.hidden |= decoder.hidden
    draft.findings.add(filter(draft.findings.is_reportable, decoder.mistakes), decoder.unusable)
    return identity | members
