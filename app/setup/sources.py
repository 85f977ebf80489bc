"""The sources of workloads: a `--from` file, flags, the configuration of the sidecar, or questions on a terminal."""

from __future__ import annotations

import socket
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from ..config.loader import load
from ..config.locate import DEFAULT_PATH
from ..core.arns import unusual_account
from ..core.checks import Findings, profile_place
from ..core.errors import ConfigError
from ..system import files
from ..system.json_file import read_object
from . import plan, profiles, questions
from .rotation import normalised
from .trust_policy import trusts
from .workload import Workload, read_file

FLAGS = {
    "name": "name",
    "kind": "kind",
    "account": "account",
    "provider": "provider",
    "issuer": "issuer",
    "audience": "audience",
    "subjects": "subject",
    "clientId": "client-id",
    "scope": "scope",
    "idaasInstanceId": "instance-id",
    "role": "role",
    "policies": "policy",
    "policyDocuments": "policy-file",
    "fingerprints": "fingerprint",
    "issuanceHours": "issuance-hours",
    "sessionSeconds": "session-seconds",
}
"""The flag of each key of a workload, without dashes."""


@dataclass(slots=True)
class Source:
    """
    Workloads with their places. `writes_configuration`: whether the plan includes a configuration file.

    `ca_file` is the PEM bundle that the configuration trusts; None for the bundle of the environment.
    """

    workloads: Sequence[tuple[Workload, plan.Where]]
    writes_configuration: bool
    notes: tuple[str, ...] = ()
    ca_file: str | None = None
    findings: Findings = field(default_factory=Findings)
    """Mistakes that reading the workloads found; their places have no `origin`."""
    origin: str = ""
    """The file of the workloads, where their places do not name it."""

    @property
    def without_chain(self) -> str:
        """How to supply the fingerprints of an issuer that cannot be reached from here."""
        return f"write fingerprints into {self.origin}" if self.origin else "give --fingerprint"

    def issuers_to_ask(self) -> Iterator[str]:
        """Check the workloads, and yield each issuer whose fingerprints no workload supplies. Raises ConfigError."""
        plan.check(self.workloads, self.findings, self.origin)
        issuers = {str(each.issuer): None for each, _ in self.workloads}
        known = {str(each.issuer) for each, _ in self.workloads if each.fingerprints}
        yield from (issuer for issuer in issuers if issuer not in known)

    def plan(self, fingerprints: Mapping[str, Sequence[str]]) -> plan.Plan:
        """Return the plan. Raises ConfigError with a line for each limit of RAM that is exceeded."""
        workloads = [each for each, _ in self.workloads]
        made = plan.make(workloads, fingerprints)
        configuration = profiles.configuration(workloads) if self.writes_configuration else None
        gaps = profiles.gaps(workloads) if self.writes_configuration else ()
        return replace(
            made,
            configuration=configuration,
            notes=tuple(dict.fromkeys((*self.notes, *_notes(workloads, made), *gaps))),
        )


def read(
    arguments: Namespace, environ: Mapping[str, str], *, ask: questions.Ask | None, tell: questions.Tell
) -> Source:
    """
    Return the workloads that the arguments select.

    `ask` is None without a terminal. Raises ConfigError if there are no file, no flags and no answers.
    """
    given = _given(arguments)
    if arguments.workloads:
        if given:
            raise ConfigError(
                f"--{FLAGS[next(iter(given))]}: not with --from",
                cure=f"write {next(iter(given))} into the file",
                error_code="IDS-125",
            )
        path = arguments.workloads
        found = read_file(path)
        return Source(found.workloads, writes_configuration=True, findings=found.findings, origin=path)
    if not arguments.config and ("issuer" in given or (given and not _has_configuration(environ))):
        return _single(msgspec.convert(given, Workload))
    if arguments.config or _has_configuration(environ):
        return _from_configuration(arguments, environ, given)
    if ask is not None:
        return _single(questions.workload(ask, tell))
    raise ConfigError(
        "no configuration found",
        cure="give --config FILE, --issuer and the other flags, or --from FILE",
        error_code="IDS-101",
    )


def _single(workload: Workload) -> Source:
    return Source([(workload, lambda key: f"--{FLAGS[key]}")], writes_configuration=True)


def _has_configuration(environ: Mapping[str, str]) -> bool:
    names = ("IDAAS_SIDECAR_CONFIG", "ALIBABA_CLOUD_ROLE_ARN")
    return any(environ.get(name) for name in names) or files.exists(str(DEFAULT_PATH))


def _from_configuration(arguments: Namespace, environ: Mapping[str, str], given: Mapping[str, Any]) -> Source:
    """Return the workloads of the configuration's profiles. Flags replace or supply single keys."""
    loaded = load(arguments.config, environ, hostname=socket.gethostname(), now=time.time, look=False)
    selected = [arguments.profile] if arguments.profile else list(loaded.settings.profiles)
    for name in selected:
        if name not in loaded.settings.profiles:
            known = ", ".join(loaded.settings.profiles)
            raise ConfigError(
                f"--profile: there is no profile {name!r} in {loaded.origin}; there is {known}", error_code="IDS-120"
            )
    found = []
    for name in selected:
        workload = profiles.workload(name, loaded.settings.profiles[name])
        if workload is not None:
            changed = msgspec.convert({**msgspec.to_builtins(workload), **given}, Workload)
            found.append((changed, _profile_place(name)))
    managed = [name for name in profiles.managed_roles(loaded.settings) if name in selected]
    if not found:
        raise ConfigError(
            f"{loaded.origin}: IDaaS manages the role of every profile; nothing is to be created in RAM",
            error_code="IDS-127",
        )
    notes = tuple(f"profile {name}: IDaaS manages its role, so RAM needs no provider for it" for name in managed)
    return Source(found, writes_configuration=False, notes=notes, ca_file=loaded.settings.tls.ca_file)


def _profile_place(name: str) -> plan.Where:
    return lambda key: f"{profile_place(name)}: --{FLAGS.get(key, key)}"


def _given(arguments: Namespace) -> dict[str, Any]:
    """Return the keys of a workload that flags set."""
    found: dict[str, Any] = {}
    for key, flag in FLAGS.items():
        value = getattr(arguments, flag.replace("-", "_"), None)
        if value not in (None, []):
            found[key] = value
    if "fingerprints" in found:
        found["fingerprints"] = [normalised(value) for value in found["fingerprints"]]
    if "policyDocuments" in found:
        found["policyDocuments"] = dict(_policy_document(text) for text in found["policyDocuments"])
    return found


def _policy_document(text: str) -> tuple[str, dict[str, Any]]:
    name, separator, path = text.partition("=")
    if not separator:
        raise ConfigError(
            f"--policy-file: {text!r} must read NAME=FILE, with the name of the policy in RAM", error_code="IDS-125"
        )
    return name, read_object(path)


NOTES = {
    "okta": "Okta: use a custom authorization server: only Okta can verify tokens of the organisation's own",
    "keycloak": "Keycloak: the client needs an audience mapper, so that aud contains the audience above",
}
"""A note for all workloads of one kind of provider."""


def _notes(workloads: Sequence[Workload], made: plan.Plan) -> Iterator[str]:
    """Yield notes on the plan for an administrator."""
    for each in workloads:
        yield from _notes_of(each)
    accounts = {each.account for each in made.roles}
    yield from filter(None, map(unusual_account, sorted(accounts)))
    if len(accounts) > 1:
        yield f"the roles are in the accounts {', '.join(sorted(accounts))}: create each in its own account"


def _notes_of(workload: Workload) -> Iterator[str]:
    role, subjects = workload.role, workload.all_subjects
    if not workload.policies and not workload.policy_documents:
        yield f"role {role}: no policy is attached; attach the ones that the workload needs (--policy)"
    if any("*" in subject for subject in subjects):
        yield f"role {role}: a pattern of subjects trusts every workload that matches it"
    if workload.kind == "idaas" and workload.client_id and not trusts(subjects, workload.client_id):
        yield (
            f"role {role}: IDaaS writes the client id {workload.client_id} into sub, and the role trusts "
            f"only {', '.join(subjects)}; leave the subject out, unless the resource server has a custom subject"
        )
    if workload.kind in NOTES:
        yield NOTES[workload.kind]
