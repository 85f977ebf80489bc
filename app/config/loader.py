"""Finds, reads and checks the configuration, and keeps each value's origin. Uses no network.

Search order: `--config`, `$IDAAS_SIDECAR_CONFIG`, `/etc/idaas-sidecar/config.json`. Without any of these files, the
variables of environment.py make one profile, `default`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from ..core.arns import default_session_name
from ..core.checks import place_of, profile_place
from ..core.errors import ConfigError, Mistake, NotThereYet
from ..core.record import Record
from ..core.values import Now
from ..exchange.settings import PROVIDER_MANAGED, ChainedRole, DeveloperApiExchange, ExchangeSettings
from ..identity.idaas import IdaasIdentity
from ..identity.identities import Identity
from ..system.survey import Survey
from . import raw_settings, validate, warnings
from .decode import DRAWBACK
from .draft import Draft
from .examined import Examined
from .locate import DEFAULT_PATH, find
from .settings import Profile, Settings
from .watched_files import watched_files

Sts = TypeVar("Sts", ExchangeSettings, ChainedRole)


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
    Return the effective configuration. Raises ConfigError with a line per mistake: place, cause and cure.
    If `patient`, raises NotThereYet for the IDaaS SDK's file, and for the file of a path token or cache key, that does
    not exist yet.

    `look`: whether the secrets and files that the configuration names must exist. Commands that use none of them set it
    to false. `patient`: whether to wait for a file that does not exist, because another program may write it. A
    missing token file is never a mistake. `trace`: whether each value's origin is kept, which is the largest part of a
    profile's memory. `survey`: finds files whose file system hangs. Profiles that need such a file are not checked, and
    get a warning. The `files` of an error are those that the configuration names.
    """
    file = find(path, environ, str(default_path))
    draft = Draft(file or "environment", file, trace=trace, patient=patient)
    try:
        return _load(draft, environ, hostname, now, str(default_path), look, survey)
    except (ConfigError, NotThereYet) as error:
        raise error.with_members(files=draft.named(environ)) from None


def _load(
    draft: Draft,
    environ: Mapping[str, str],
    hostname: str,
    now: Now,
    default_path: str,
    look: bool,
    survey: Survey | None,
) -> Loaded:
    needed = _examine(draft, environ, hostname, default_path, look, survey)
    draft.stop_at_mistakes()
    settings = draft.settings
    assert settings is not None  # noqa: S101 - there is a mistake otherwise; said for the type checker
    if needed:
        cures = dict.fromkeys(draft.shown(item.cure) for item in needed if item.cure)
        causes = "\n".join(draft.shown(item.cause) for item in needed)
        raise NotThereYet(
            causes,
            "; ".join(cures),
            error_code=needed[0].error_code,
            patience=settings.startup.timeout_seconds,
        )
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
    draft = Draft(file or "environment", file)
    _examine(draft, environ, hostname, str(default_path), look=look, survey=None)
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
    draft: Draft,
    environ: Mapping[str, str],
    hostname: str,
    default_path: str,
    look: bool,
    survey: Survey | None,
) -> list[Mistake]:
    """Read and check everything. Return a line for each file without which no listener can be opened."""
    try:
        raw_settings.read(draft, environ, default_path)
    except ConfigError as error:  # nothing can be read
        draft.findings.add(error.mistakes)
        return []
    settings = _build(draft)
    if settings is None:
        return []
    draft.settings = settings = _complete(settings, draft, environ, hostname)
    findings = draft.findings
    findings.run(validate.checks(settings))
    draft.wrong_values = len(findings.mistakes)
    unchecked = _unchecked(settings, draft, environ, survey) if survey is not None else frozenset()
    needed = list(map(draft.located, draft.absent))
    if look:
        absent = findings.run(validate.token_checks(settings, environ, unchecked))
        absent += findings.run(validate.existence_checks(settings, environ, unchecked), patient=draft.patient)
        needed += findings.run(validate.start_checks(settings, environ), patient=draft.patient)
        # Missing files are not mistakes: SPIRE, a Vault agent, cert-manager or kubelet may write them a moment later.
        draft.warnings += [
            Mistake(f"{item.cause}; waiting for the program that writes it", "IDS-124", item.cure)
            for item in dict.fromkeys(absent)
        ]
    draft.warnings += [
        item
        for item in filter(findings.is_reportable, warnings.warnings(settings, unchecked, environ))
        # No drawback is reported for a value that has a mistake.
        if not (item.error_code == DRAWBACK and findings.is_wrong(place_of(item)))
    ]
    # The message about a value that cannot work has the complaint's cure (`Draft.located`).
    draft.warnings += [
        item for place, item in draft.unfilled.items() if findings.is_reportable(item) and not findings.is_wrong(place)
    ]
    return needed


def _unchecked(settings: Settings, draft: Draft, environ: Mapping[str, str], survey: Survey) -> frozenset[str]:
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


# --- from one JSON object to settings ---------------------------------------------------------------------------------


def _build(draft: Draft) -> Settings | None:
    """Return checked members as Settings; None if they are no Settings because of the mistakes."""
    try:
        return msgspec.convert(draft.raw, Settings)
    except msgspec.ValidationError:
        if not draft.findings.mistakes:
            raise
        return None


def _complete(settings: Settings, draft: Draft, environ: Mapping[str, str], hostname: str) -> Settings:
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
        draft.replacements["tls.caFile: "] = "SSL_CERT_FILE: "
    return msgspec.structs.replace(settings, profiles=profiles, tls=tls)


def _named(part: Sts, session: str, draft: Draft, place: str, source: str) -> Sts:
    """Return `part`. If it has no session name, set the workload's name."""
    if isinstance(part, DeveloperApiExchange) or part.role_session_name is not None:
        return part
    draft.sources[f"{place}.roleSessionName"] = source
    return msgspec.structs.replace(part, role_session_name=session)


def _scoped(profile: Profile, draft: Draft, place: str) -> Identity:
    """Return the profile's identity. If the exchange is the DeveloperAPI and no scope is given, set its scope."""
    identity = profile.identity
    managed = isinstance(profile.exchange, DeveloperApiExchange)
    if not managed or not isinstance(identity, IdaasIdentity) or identity.scope:
        return identity
    draft.sources[f"{place}.scope"] = "the DeveloperAPI's own"
    return msgspec.structs.replace(identity, scope=PROVIDER_MANAGED)
