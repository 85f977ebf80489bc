"""Finds, reads and checks the configuration, and keeps each value's origin. Uses no network.

Search order: `--config`, `$IDAAS_SIDECAR_CONFIG`, `/etc/idaas-sidecar/config.json`. Without any of these files, the
variables of environment.py make one profile, `default`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ..core.arns import default_session_name
from ..core.checks import Findings, place_of, profile_place
from ..core.errors import ConfigError, Mistake, NotThereYet
from ..core.record import Record
from ..core.text import one_line
from ..core.values import Now
from ..exchange.settings import PROVIDER_MANAGED, ChainedRole, DeveloperApiExchange, ExchangeSettings
from ..identity.idaas import IdaasIdentity
from ..identity.identities import Identity
from ..system.survey import Survey
from . import environment, sdk_file, validate, warnings
from .decode import DRAWBACK, Decoder
from .examined import Examined
from .locate import DEFAULT_PATH, find, read
from .settings import PROFILE_NAME, Profile, Settings
from .watched_files import needed_files, watched_files

Sts = TypeVar("Sts", ExchangeSettings, ChainedRole)

MAJOR, MINOR = 1, 0
"""The configVersion of this program."""


SHORTEST_HIDDEN = 4
"""The minimum length in characters of a value that messages hide. Shorter texts are no secrets, and occur in many
words."""


class Loaded(Record, frozen=True):
    """
    Checked settings.

    `sources`: the origin of each dotted key (a missing key has its default). `warnings`: lines for the log. `files`:
    the files that were read, including the SDK's.
    """

    settings: Settings
    origin: str
    at: float
    sources: Mapping[str, str]
    warnings: tuple[Mistake, ...] = ()
    files: tuple[str, ...] = ()


@dataclass(slots=True)
class _Draft:
    """A configuration that is being read. `file`: None if the configuration comes from the environment."""

    origin: str
    file: str | None
    trace: bool = True
    raw: dict[str, Any] = field(default_factory=dict, repr=False)
    sources: dict[str, str] = field(default_factory=dict)
    warnings: list[Mistake] = field(default_factory=list)
    findings: Findings = field(default_factory=Findings)
    files: list[str] = field(default_factory=list)
    settings: Settings | None = None
    hidden: dict[str, str] = field(default_factory=dict, repr=False)
    """Values that may be secrets, with their replacements for messages."""
    places: dict[str, str] = field(default_factory=dict)
    """Beginnings of messages with their replacements: the variable or the file that really contains the value."""

    unfilled: dict[str, Mistake] = field(default_factory=dict)
    """The complaint about each value in which something was not replaced, by its key."""

    wrong_values: int = 0
    """How many of the mistakes are in the values themselves; the others are in files and variables that these name."""

    def stop_at_mistakes(self) -> None:
        """Raise ConfigError if there are mistakes, with a line for each."""
        if self.findings.mistakes:
            raise ConfigError.of(dict.fromkeys(map(self.located, self.findings.mistakes)))

    def named(self, environ: Mapping[str, str]) -> frozenset[str]:
        """Return the files that the configuration names, as far as the configuration could be read."""
        if self.settings is None:
            return frozenset(map(os.path.abspath, self.files))
        return needed_files(self.settings, self.files, environ)

    def shown(self, sentence: str) -> str:
        """Return a sentence as one line, without the values that may be secrets."""
        for value, shown in self.hidden.items():
            if len(value) < SHORTEST_HIDDEN:
                continue
            sentence = sentence.replace(repr(value)[1:-1], shown).replace(value, shown)
        return one_line(sentence)

    def located(self, mistake: Mistake) -> Mistake:
        """Return the mistake for display, with the file or the variable in which it can be corrected."""
        cause, cure = mistake.cause, mistake.cure
        if (unfilled := self.unfilled.get(place_of(mistake))) is not None:
            cure = unfilled.cure
        opening = next(filter(cause.startswith, self.places), "")
        if opening:
            cause = self.places[opening] + cause.removeprefix(opening)
        elif self.file is not None and not cause.startswith(f"{self.file}:"):
            cause = f"{self.file}: {cause}"
        return mistake.reworded(cause, cure).mapped(self.shown)


def load(
    path: str | None,
    environ: Mapping[str, str],
    *,
    hostname: str,
    now: Now,
    default_path: Path = DEFAULT_PATH,
    look: bool = True,
    trace: bool = True,
    survey: Survey | None = None,
    patient: bool = False,
) -> Loaded:
    """
    Return the effective configuration. Raises ConfigError with a line per mistake: the thing, the place and the cure.
    If `patient`, raises NotThereYet for the file of a path token or cache key that does not exist yet.

    `look`: whether the secrets and files that the configuration names must exist; a command that uses none of them
    sets it to false. `patient`: whether to wait for a file that does not exist, because another program may write it. A
    missing token file is never a mistake. `trace`: whether each value's origin is kept, which is the largest part of a
    profile's memory. `survey`: finds the files that do not answer. Profiles that need such a file are not checked, and
    get a warning. The `files` of an error are those that the configuration names.
    """
    file = find(path, environ, str(default_path))
    draft = _Draft(file or "environment", file, trace=trace)
    try:
        return _load(draft, environ, hostname, now, str(default_path), look, survey, patient)
    except (ConfigError, NotThereYet) as error:
        error.files = draft.named(environ)
        raise


def _load(
    draft: _Draft,
    environ: Mapping[str, str],
    hostname: str,
    now: Now,
    default_path: str,
    look: bool,
    survey: Survey | None,
    patient: bool,
) -> Loaded:
    needed = _examine(draft, environ, hostname, default_path, look, survey, patient)
    draft.stop_at_mistakes()
    settings = draft.settings
    assert settings is not None  # noqa: S101 - there is a mistake otherwise; said for the type checker
    if needed:
        cures = dict.fromkeys(draft.shown(item.cure) for item in needed if item.cure)
        absence = NotThereYet("\n".join(draft.shown(item.cause) for item in needed), "; ".join(cures))
        absence.patience = settings.startup.timeout_seconds
        raise absence
    return Loaded(
        settings,
        draft.origin,
        now(),
        draft.sources if draft.trace else {},
        tuple(warning.mapped(draft.shown) for warning in draft.warnings),
        tuple(draft.files),
    )


def examine(
    path: str | None,
    environ: Mapping[str, str],
    *,
    hostname: str,
    default_path: Path = DEFAULT_PATH,
    look: bool = True,
) -> Examined:
    """
    Return what can be read of the configuration that `load` would return, and all its mistakes.

    `look`: whether the secrets and files that it names must exist.
    """
    file = find(path, environ, str(default_path))
    draft = _Draft(file or "environment", file)
    _examine(draft, environ, hostname, str(default_path), look=look, survey=None, patient=False)
    return Examined(
        draft.settings,
        draft.origin,
        draft.sources,
        tuple(dict.fromkeys((place_of(each), draft.located(each)) for each in draft.findings.mistakes)),
        draft.wrong_values,
        frozenset(draft.findings.unusable),
        tuple(warning.mapped(draft.shown) for warning in draft.warnings),
        tuple(draft.files),
    )


def _examine(
    draft: _Draft,
    environ: Mapping[str, str],
    hostname: str,
    default_path: str,
    look: bool,
    survey: Survey | None,
    patient: bool,
) -> list[Mistake]:
    """Read and check everything. Return a line for each file without which no listener can be opened."""
    try:
        if draft.file is None:
            _read_environment(draft, environ, default_path)
        else:
            _read_file(draft, environ)
    except ConfigError as error:  # nothing can be read
        draft.findings.add(error.mistakes)
        return []
    _read_sdk_files(draft, environ)
    settings = _build(draft)
    if settings is None:
        return []
    draft.settings = settings = _complete(settings, draft, environ, hostname)
    findings = draft.findings
    findings.run(validate.checks(settings))
    draft.wrong_values = len(findings.mistakes)
    unchecked = _unchecked(settings, draft, environ, survey) if survey is not None else frozenset()
    needed: list[Mistake] = []
    if look:
        absent = findings.run(validate.token_checks(settings, environ, unchecked))
        absent += findings.run(validate.existence_checks(settings, environ, unchecked), patient=patient)
        needed = findings.run(validate.start_checks(settings, environ), patient=patient)
        # Missing files are not mistakes: SPIRE, a Vault agent, cert-manager or kubelet may write them a moment later.
        draft.warnings += [
            Mistake(f"{item.cause}; waiting for the program that writes it", "IDS-124", item.cure)
            for item in dict.fromkeys(absent)
        ]
    draft.warnings += [
        item
        for item in filter(findings.is_news, warnings.warnings(settings, unchecked, environ))
        # No drawback is reported for a value that has a mistake.
        if not (item.error_code == DRAWBACK and findings.is_wrong(place_of(item)))
    ]
    # The message about a value that cannot work has the complaint's cure (`_Draft.located`).
    draft.warnings += [
        item for place, item in draft.unfilled.items() if findings.is_news(item) and not findings.is_wrong(place)
    ]
    return needed


def _unchecked(settings: Settings, draft: _Draft, environ: Mapping[str, str], survey: Survey) -> frozenset[str]:
    """Return the profiles that need files which do not answer now. Add a warning for each profile."""
    watched = watched_files(settings, draft.files, environ)
    survey.look(watched.all())
    found: dict[str, str] = {}
    for file in filter(survey.hangs, sorted(watched.all())):
        found |= dict.fromkeys(watched.proofs.get(file, set()) | watched.read_later.get(file, set()), file)
    draft.warnings += [
        Mistake(
            f"{profile_place(name)}: {file}: the file system does not answer; "
            "the files of this profile are not checked",
            "IDS-601",
        )
        for name, file in sorted(found.items())
    ]
    return frozenset(found)


# --- from files and variables to one JSON object ----------------------------------------------------------------------


def _read_environment(draft: _Draft, environ: Mapping[str, str], default_path: str) -> None:
    draft.raw, variables = environment.read(environ, default_path, draft.findings)
    for key, variable in variables.items():
        draft.sources[key] = f"environment {variable}" if variable else "the IDaaS SDK's own path"
        draft.places[f"{key}: "] = f"{variable}: " if variable else ""
    if draft.raw["profiles"]["default"]["exchange"]["type"] == "developerApi":
        draft.places[f"{environment.PLACE}.exchange.regionId: "] = (
            "ALIBABA_CLOUD_OIDC_PROVIDER_ARN: not set, which stands for a role that IDaaS manages: "
        )


def _read_file(draft: _Draft, environ: Mapping[str, str]) -> None:
    draft.files.append(draft.origin)
    raw = read(draft.origin)
    decoder = Decoder(
        draft.origin, environ, variables=True, lenient=_minor(raw, draft, environ) > MINOR, trace=draft.trace
    )
    draft.findings.add(_name_mistakes(raw.get("profiles")))
    draft.raw = decoder.members(raw, Settings)
    draft.sources |= decoder.sources
    draft.hidden |= decoder.hidden
    draft.unfilled |= decoder.unfilled
    draft.warnings += decoder.warnings
    others = (item for item in decoder.mistakes if not item.startswith("configVersion:"))  # judged before
    draft.findings.add(others, decoder.unusable)
    if "configVersion" in decoder.unusable or draft.findings.mistakes:
        draft.raw["configVersion"] = f"{MAJOR}.{MINOR}"


def _minor(raw: dict[str, Any], draft: _Draft, environ: Mapping[str, str]) -> int:
    """Return the minor version of the file. Raises ConfigError for another major version."""
    decoder = Decoder(draft.origin, environ, variables=True, trace=False)
    version = decoder.expand(raw.get("configVersion"), "configVersion")
    if decoder.mistakes:
        draft.findings.add(decoder.mistakes)
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


def _read_sdk_files(draft: _Draft, environ: Mapping[str, str]) -> None:
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
"""Keys that the SDK's file does not have, so they may stand beside the path of this file."""

_SDK_KEYS = tuple(set(IdaasIdentity.__struct_encode_fields__) - set(_NOT_IN_THE_SDK_FILE))
"""Keys that are in the SDK's file."""


def _sdk_identity(identity: dict[str, Any], place: str, draft: _Draft, environ: Mapping[str, str]) -> dict[str, Any]:
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
    except ConfigError as error:
        mistakes = [item.at(f"{place}.clientConfigPath") for item in error.mistakes]
        draft.findings.add(mistakes, (f"{place}.{key}" for key in _SDK_KEYS))
        return identity
    wrong = (item.reworded(f"{place}.{item.cause}", item.cure) for item in found.mistakes)
    draft.findings.add(wrong, (f"{place}.{key}" for key in found.unusable))
    draft.places[f"{place}."] = f"{path}: "
    decoder = Decoder(path, environ, trace=draft.trace)
    members = decoder.members(found.members, IdaasIdentity, place)
    draft.sources |= decoder.sources
    draft.hidden |= decoder.hidden
    draft.findings.add(filter(draft.findings.is_news, decoder.mistakes), decoder.unusable)
    return identity | members


# --- from one JSON object to Settings ---------------------------------------------------------------------------------


def _build(draft: _Draft) -> Settings | None:
    """Return checked members as Settings; None if they are no Settings because of the mistakes."""
    try:
        return msgspec.convert(draft.raw, Settings)
    except msgspec.ValidationError:
        if not draft.findings.mistakes:
            raise
        return None


def _complete(settings: Settings, draft: _Draft, environ: Mapping[str, str], hostname: str) -> Settings:
    """Return `settings` with the values that the file leaves to the environment."""
    session, source = default_session_name(environ, hostname)
    profiles = {}
    for name, profile in settings.profiles.items():
        place = profile_place(name)
        profiles[name] = msgspec.structs.replace(
            profile,
            identity=_scoped(profile, draft, f"{place}.identity"),
            exchange=_named(profile.exchange, session, draft, f"{place}.exchange", source),
            chain=tuple(
                _named(role, session, draft, f"{place}.chain[{index}]", source)
                for index, role in enumerate(profile.chain)
            ),
        )
    tls = settings.tls
    if tls.ca_file is None and environ.get("SSL_CERT_FILE"):
        tls = msgspec.structs.replace(tls, ca_file=environ["SSL_CERT_FILE"])
        draft.sources["tls.caFile"] = "environment SSL_CERT_FILE"
        draft.places["tls.caFile: "] = "SSL_CERT_FILE: "
    return msgspec.structs.replace(settings, profiles=profiles, tls=tls)


def _named(part: Sts, session: str, draft: _Draft, place: str, source: str) -> Sts:
    """Return `part`. If it has no session name, set the workload's name."""
    if isinstance(part, DeveloperApiExchange) or part.role_session_name is not None:
        return part
    draft.sources[f"{place}.roleSessionName"] = source
    return msgspec.structs.replace(part, role_session_name=session)


def _scoped(profile: Profile, draft: _Draft, place: str) -> Identity:
    """Return the profile's identity. If the exchange is the DeveloperAPI and no scope is given, set its scope."""
    identity = profile.identity
    managed = isinstance(profile.exchange, DeveloperApiExchange)
    if not managed or not isinstance(identity, IdaasIdentity) or identity.scope:
        return identity
    draft.sources[f"{place}.scope"] = "the DeveloperAPI's own"
    return msgspec.structs.replace(identity, scope=PROVIDER_MANAGED)
