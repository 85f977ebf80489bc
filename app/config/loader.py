"""Files and environment to Settings: found, read, checked, and each value's origin kept. No network.

Search order: `--config`, `$IDAAS_SIDECAR_CONFIG`, `/etc/idaas-sidecar/config.json`; with none of them, the variables of
app/config/environment.py make one profile, `default`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ..core.arns import default_session_name
from ..core.model import ConfigError, Now
from ..exchange.settings import PROVIDER_MANAGED, DeveloperApiExchange, Exchange, Link
from ..identity.settings import IdaasIdentity, Identity
from ..system import files
from ..system.json_file import read_object
from . import environment, sdk_file, validate
from . import warnings as advice
from .convert import convert, join, one_line
from .decode import Members
from .settings import PROFILE_NAME, Profile, Settings

Sts = TypeVar("Sts", Exchange, Link)

DEFAULT_PATH = Path("/etc/idaas-sidecar/config.json")
MAJOR, MINOR = 1, 0
"""The configVersion this program was written for."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """Checked settings. `sources`: dotted keys to their origin (absent: the default); `warnings`: for the log."""

    settings: Settings
    origin: str
    at: float
    sources: Mapping[str, str]
    warnings: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    """The files that were read: ours, and the SDK's."""


@dataclass(slots=True)
class _Draft:
    """A configuration on its way to Settings."""

    origin: str
    trace: bool = True
    raw: dict[str, Any] = field(default_factory=dict, repr=False)
    sources: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    """Beginnings of complaints, and what to say instead: the variable or the file where the value really stands."""


def load(
    path: str | None,
    environ: Mapping[str, str],
    *,
    hostname: str,
    now: Now,
    default_path: Path = DEFAULT_PATH,
    look: bool = True,
    trace: bool = True,
) -> Loaded:
    """
    The effective configuration. Raises ConfigError: one line with the thing, the place and the cure.

    `look`: whether the secrets and files that it names must be there; a command that uses none of them need not ask.
    `trace`: whether each value's origin is kept, which is the largest thing that a profile costs.
    """
    file = _find(path, environ, str(default_path))
    draft = _Draft(file or "environment", trace=trace)
    try:
        if file is None:
            _read_environment(draft, environ, str(default_path))
        else:
            _read_file(draft, environ)
        _read_sdk_files(draft, environ)
        settings = _completed(_converted(draft.raw), draft, environ, hostname)
        validate.settings(settings)
        if look:
            validate.named(settings, environ)
    except ConfigError as error:
        raise ConfigError(one_line(_located(str(error), draft, file))) from None
    draft.warnings.extend(advice.warnings(settings))
    warnings = tuple(map(one_line, draft.warnings))
    return Loaded(settings, draft.origin, now(), draft.sources, warnings, tuple(draft.files))


def _find(path: str | None, environ: Mapping[str, str], default_path: str) -> str | None:
    named = path or environ.get("IDAAS_SIDECAR_CONFIG")
    if named:
        return named
    return default_path if files.exists(default_path) else None


def _located(complaint: str, draft: _Draft, file: str | None) -> str:
    """`complaint` with the file or the variable in which the cure lies."""
    for opening, name in draft.names.items():
        if complaint.startswith(opening):
            return name + complaint.removeprefix(opening)
    return complaint if file is None or complaint.startswith(f"{file}:") else f"{file}: {complaint}"


# --- from where it stands to one JSON object --------------------------------------------------------------------------


def _read_environment(draft: _Draft, environ: Mapping[str, str], looked_at: str) -> None:
    draft.raw, variables = environment.read(environ, looked_at)
    for key, variable in variables.items():
        draft.sources[key] = f"environment {variable}" if variable else "the IDaaS SDK's own place"
        draft.names[f"{key}: "] = f"{variable}: " if variable else ""
    if draft.raw["profiles"]["default"]["exchange"]["type"] == "developerApi":
        draft.names[f"{environment.PLACE}.exchange.regionId: "] = (
            "ALIBABA_CLOUD_OIDC_PROVIDER_ARN: not set, which stands for a role that IDaaS manages: "
        )


def _read_file(draft: _Draft, environ: Mapping[str, str]) -> None:
    draft.files.append(draft.origin)
    raw = read_object(draft.origin)
    members = Members(draft.origin, environ, lenient=_minor(raw) > MINOR, trace=draft.trace)
    _check_names(raw.get("profiles"))
    draft.raw = members.read(raw, Settings)
    draft.sources |= members.sources
    draft.warnings += members.warnings


def _minor(raw: dict[str, Any]) -> int:
    """The minor version of the file. Raises ConfigError where its major version is not ours."""
    version = raw.get("configVersion")
    if version is None:
        raise ConfigError(f'configVersion: required; write "configVersion": "{MAJOR}.{MINOR}"')
    if not isinstance(version, str) or not re.fullmatch(r"[0-9]{1,4}\.[0-9]{1,4}", version):
        raise ConfigError(f'configVersion: must be a string of two numbers, such as "{MAJOR}.{MINOR}"')
    major, minor = map(int, version.split("."))
    if major != MAJOR:
        raise ConfigError(f"configVersion: {version} is not understood; this program reads {MAJOR}.x")
    return minor


def _check_names(profiles: Any) -> None:
    for name in profiles if isinstance(profiles, dict) else ():
        if not re.fullmatch(PROFILE_NAME, name):
            raise ConfigError(
                f"{join('profiles', name)}: a profile's name is 1 to 63 of a-z 0-9 . _ -, beginning with one of a-z 0-9"
            )


def _read_sdk_files(draft: _Draft, environ: Mapping[str, str]) -> None:
    """Puts the IDaaS SDK's file in the place of each `clientConfigPath`."""
    profiles = draft.raw.get("profiles")
    for name, profile in (profiles if isinstance(profiles, dict) else {}).items():
        identity = profile.get("identity") if isinstance(profile, dict) else None
        if isinstance(identity, dict) and isinstance(identity.get("clientConfigPath"), str):
            profile["identity"] = _sdk_identity(identity, f"profiles.{name}.identity", draft, environ)


_BESIDE_THE_SDKS = ("type", "clientConfigPath", "connection", "tokenExchange")
"""Keys that are ours alone, so they may stand beside the path of the SDK's file."""


def _sdk_identity(identity: dict[str, Any], place: str, draft: _Draft, environ: Mapping[str, str]) -> dict[str, Any]:
    path = identity["clientConfigPath"]
    beside = [key for key, value in identity.items() if key not in _BESIDE_THE_SDKS and value is not None]
    if beside:
        raise ConfigError(f"{place}: clientConfigPath stands beside {', '.join(beside)}; keep the path or the keys")
    try:
        found = sdk_file.read(path)
    except ConfigError as error:
        raise ConfigError(f"{place}.clientConfigPath: {error}") from None
    draft.names[f"{place}."] = f"{path}: "
    draft.files.append(path)
    members = Members(path, environ, trace=draft.trace)
    found = members.read(found, IdaasIdentity, place)
    draft.sources |= members.sources
    return identity | found


# --- from one JSON object to Settings ---------------------------------------------------------------------------------


def _converted(raw: dict[str, Any]) -> Settings:
    profiles = raw.get("profiles")
    for name, profile in (profiles if isinstance(profiles, dict) else {}).items():
        if isinstance(profile, dict):
            convert(profile, Profile, f"profiles.{name}")  # by itself, because in a map msgspec does not say which
        else:
            raise ConfigError(f"profiles.{name}: must be an object")
    return convert(raw, Settings)


def _completed(settings: Settings, draft: _Draft, environ: Mapping[str, str], hostname: str) -> Settings:
    """`settings` with what the file leaves to be found around us."""
    session, source = default_session_name(environ, hostname)
    profiles = {}
    for name, profile in settings.profiles.items():
        place = f"profiles.{name}"
        profiles[name] = msgspec.structs.replace(
            profile,
            identity=_scoped(profile, draft, f"{place}.identity"),
            exchange=_named(profile.exchange, session, draft, f"{place}.exchange", source),
            chain=tuple(
                _named(link, session, draft, f"{place}.chain[{index}]", source)
                for index, link in enumerate(profile.chain)
            ),
        )
    tls = settings.tls
    if tls.ca_file is None and environ.get("SSL_CERT_FILE"):
        tls = msgspec.structs.replace(tls, ca_file=environ["SSL_CERT_FILE"])
        draft.sources["tls.caFile"] = "environment SSL_CERT_FILE"
        draft.names["tls.caFile: "] = "SSL_CERT_FILE: "
    return msgspec.structs.replace(settings, profiles=profiles, tls=tls)


def _named(part: Sts, session: str, draft: _Draft, place: str, source: str) -> Sts:
    """`part` with the workload's name for its session, where it names none."""
    if isinstance(part, DeveloperApiExchange) or part.role_session_name is not None:
        return part
    draft.sources[f"{place}.roleSessionName"] = source
    return msgspec.structs.replace(part, role_session_name=session)


def _scoped(profile: Profile, draft: _Draft, place: str) -> Identity:
    """The profile's identity; the DeveloperAPI has a scope of its own, which need not be said."""
    identity = profile.identity
    managed = isinstance(profile.exchange, DeveloperApiExchange)
    if not managed or not isinstance(identity, IdaasIdentity) or identity.scope:
        return identity
    draft.sources[f"{place}.scope"] = "the DeveloperAPI's own"
    return msgspec.structs.replace(identity, scope=PROVIDER_MANAGED)
