"""One workload: its token, and the role that it assumes. Flags, questions and files fill the same keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from ..config.decode import Decoder
from ..core.checks import Findings, fails
from ..core.errors import ConfigError, Mistake
from ..system import files
from ..system.json_file import LARGEST, parse_object
from ..system.yaml_file import parse_documents
from . import limits

Kind = Literal["idaas", "okta", "keycloak", "kubernetes", "oidc"]
KINDS: tuple[Kind, ...] = ("idaas", "okta", "keycloak", "kubernetes", "oidc")


class ChainTarget(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """A further role, assumed with the credentials of the previous one."""

    role_arn: str
    session_seconds: int = 3600
    external_id: str | None = None


class Workload(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """
    A profile of the sidecar and the role that it assumes. The keys are those of a `--from` file.

    `subjects` are values of the token's `sub`; `audience` is its `aud`. `scope` is that of the token request.
    `policies` are names of system policies, `policy_documents` custom policies by name. `session_seconds` is the length
    of a session.
    """

    name: str = "default"
    kind: Kind = "idaas"
    account: str | None = None
    provider: str | None = None
    issuer: str | None = None
    audience: str | None = None
    subjects: tuple[str, ...] = ()
    client_id: str | None = None
    scope: str | None = None
    idaas_instance_id: str | None = None
    role: str | None = None
    policies: tuple[str, ...] = ()
    policy_documents: dict[str, dict[str, Any]] = {}
    fingerprints: tuple[str, ...] = ()
    issuance_hours: int = limits.DEFAULT_ISSUANCE_HOURS
    session_seconds: int = 3600
    chain: tuple[ChainTarget, ...] = ()

    @property
    def all_subjects(self) -> tuple[str, ...]:
        """The subjects. Without them, the client id: IDaaS, Okta and most providers write it into `sub`."""
        is_client = self.kind not in ("keycloak", "kubernetes")
        return self.subjects or ((self.client_id,) if self.client_id and is_client else ())


def mistakes(workload: Workload, where: Callable[[str], str]) -> Iterator[Mistake]:
    """Yield a line for each key that is missing or that RAM would refuse. `where` returns the place of a key."""
    for key in ("account", "provider", "issuer", "audience", "role"):
        value = getattr(workload, key)
        if value is None:
            yield Mistake(f"{where(key)}: required; {_MEANINGS[key]}", limits.CODE)
        else:
            yield from _CHECKS[key](value, where(key))
    yield from limits.client_id(workload.client_id or "", where("clientId"))
    yield from limits.scope(workload.scope or "", where("scope"))
    yield from limits.subjects(workload.all_subjects, where("subjects"))
    yield from limits.issuance_hours(workload.issuance_hours, where("issuanceHours"))
    yield from limits.session_seconds(max(3600, workload.session_seconds), where("sessionSeconds"))
    yield from limits.session_length(workload.session_seconds, where("sessionSeconds"))
    for name in (*workload.policies, *workload.policy_documents):
        yield from limits.policy_name(name, where("policies"))
    for index, target in enumerate(workload.chain):
        yield from limits.session_length(target.session_seconds, f"{where('chain')}[{index}].sessionSeconds")
        if not re.fullmatch(r"acs:ram::[0-9]{1,20}:role/[A-Za-z0-9.-]{1,64}", target.role_arn):
            cause = f"{where('chain')}[{index}].roleArn: {target.role_arn!r} must read acs:ram::<account>:role/<name>"
            yield Mistake(cause, limits.CODE)


_MEANINGS = {
    "account": "the id of the Alibaba Cloud account that has the role",
    "provider": "the name of the OIDC provider in RAM",
    "issuer": "the iss of the token, to the letter",
    "audience": "the aud of the token: for IDaaS the audience identifier of the resource server",
    "role": "the name of the RAM role",
}
_CHECKS: Mapping[str, Callable[[str, str], Iterator[Mistake]]] = {
    "account": limits.account,
    "provider": limits.provider_name,
    "issuer": limits.issuer,
    "audience": lambda value, place: limits.client_ids((value,), place),
    "role": limits.role_name,
}


@dataclass(slots=True)
class FileWorkloads:
    """The workloads of a `--from` file, each with the places of its keys, and the mistakes of what cannot be read."""

    workloads: list[tuple[Workload, Callable[[str], str]]] = field(default_factory=list)
    findings: Findings = field(default_factory=Findings)


def read_file(path: str) -> FileWorkloads:
    """
    Return the workloads of a `--from` file: `{"workloads": [...]}`. Its other members are defaults for each workload.

    JSON; a file that ends in .yaml or .yml needs PyYAML. Places are keys, without the path. Raises ConfigError where
    the file has no list of workloads.
    """
    document = _document(path)
    items = document.pop("workloads", None)
    if not isinstance(items, list) or not items:
        raise ConfigError(
            f'{path}: workloads: required, a list of objects: {{"workloads": [{{"name": "orders"}}]}}',
            error_code="IDS-126",
        )
    found = FileWorkloads()
    defaults = _members(document, "", found.findings)
    names: dict[str, str] = {}
    for index, item in enumerate(items):
        place = f"workloads[{index}]"
        if not isinstance(item, dict):
            found.findings.add([Mistake(f"{place}: must be an object", "IDS-126")], [place])
            continue
        own = _members(item, place, found.findings)
        workload = msgspec.convert(defaults | own, Workload)
        found.workloads.append((workload, _places(place, item, document)))
        other = names.setdefault(workload.name, place)
        if other != place:
            cause = f"{place}.name: {workload.name!r} is the name of {other}"
            double = Mistake(cause, "IDS-126", "give each workload a name of its own: it becomes a profile")
            found.findings.run([fails(double, f"{other}.name", "name")])
    return found


def _members(raw: dict[str, Any], place: str, findings: Findings) -> dict[str, Any]:
    """Return the members of a workload that can be read."""
    # YAML makes an account id without quotes a number.
    decoder = Decoder("", {}, trace=False, quotes="put it in quotes")
    members = decoder.members(raw, Workload, place)
    findings.add(decoder.mistakes, decoder.unusable)
    return members


def _places(place: str, own: Mapping[str, Any], defaults: Mapping[str, Any]) -> Callable[[str], str]:
    """Return the place of a key of a workload: its own, or that of the default for all workloads."""
    return lambda key: key if key in defaults and key not in own else f"{place}.{key}"


def _document(path: str) -> dict[str, Any]:
    try:
        raw = files.read(path, LARGEST)
    except files.Unreadable as why:
        raise ConfigError(why.at(path), error_code="IDS-102") from None
    if not re.search(r"\.ya?ml$", path):
        return parse_object(raw, path)
    documents = parse_documents(raw, path)
    value = documents[0] if len(documents) == 1 else None
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: must be a mapping with the key workloads", error_code="IDS-126")
    return value
