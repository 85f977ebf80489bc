"""One workload: its token, and the role that it assumes. Flags, questions and files fill the same keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import msgspec

from ..core.errors import ConfigError, Mistake
from ..core.text import similar
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

    `subjects` are values of the token's `sub`; `audience` is its `aud`. `policies` are names of system policies,
    `policy_documents` custom policies by name. `session_seconds` is the length of a session.
    """

    name: str = "default"
    kind: Kind = "idaas"
    account: str | None = None
    provider: str | None = None
    issuer: str | None = None
    audience: str | None = None
    subjects: tuple[str, ...] = ()
    client_id: str | None = None
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
        """The subjects, else the client id: with IDaaS, Okta and most providers, the `sub` of a client is its id."""
        is_client = self.kind not in ("keycloak", "kubernetes")
        return self.subjects or ((self.client_id,) if self.client_id and is_client else ())


KEYS = tuple(field.encode_name for field in msgspec.structs.fields(Workload))


def mistakes(workload: Workload, where: Callable[[str], str]) -> Iterator[Mistake]:
    """Yield a line for each key that is missing or that RAM would refuse. `where` returns the place of a key."""
    for key in ("account", "provider", "issuer", "audience", "role"):
        value = getattr(workload, key)
        if value is None:
            yield Mistake(f"{where(key)}: required; {_MEANINGS[key]}", limits.CODE)
        else:
            yield from _CHECKS[key](value, where(key))
    yield from limits.subjects(workload.all_subjects, where("subjects"))
    yield from limits.issuance_hours(workload.issuance_hours, where("issuanceHours"))
    yield from limits.session_seconds(max(3600, workload.session_seconds), where("sessionSeconds"))
    for name in (*workload.policies, *workload.policy_documents):
        yield from limits.policy_name(name, where("policies"))
    for target in workload.chain:
        if not re.fullmatch(r"acs:ram::[0-9]{1,20}:role/[A-Za-z0-9.-]{1,64}", target.role_arn):
            cause = f"{where('chain')}: {target.role_arn!r} must read acs:ram::<account>:role/<name>"
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


def read_file(path: str) -> list[Workload]:
    """
    Return the workloads of a `--from` file: `{"workloads": [...]}`. Its other members are defaults for each workload.

    The file is JSON. If its name ends in .yaml or .yml, it is YAML, which needs PyYAML. Raises ConfigError.
    """
    document = _document(path)
    items = document.pop("workloads", None)
    if not isinstance(items, list) or not items or not all(isinstance(item, dict) for item in items):
        raise ConfigError(
            f'{path}: workloads: required, a list of objects: {{"workloads": [{{"name": "orders"}}]}}',
            error_code="IDS-126",
        )
    found = [_workload({**document, **item}, f"{path}: workloads[{index}]") for index, item in enumerate(items)]
    names = [workload.name for workload in found]
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise ConfigError(
            f"{path}: two workloads have the name {double!r}; names of profiles are unique", error_code="IDS-126"
        )
    return found


def _workload(members: Mapping[str, Any], place: str) -> Workload:
    for key in members:
        if key not in KEYS:
            close = similar(str(key), KEYS)
            raise ConfigError(
                f"{place}: unknown key {key!r}{f'; did you mean {close}?' if close else ''}",
                cure="" if close else "remove the key",
                error_code="IDS-126",
            )
    try:
        return msgspec.convert(dict(members), Workload)
    except msgspec.ValidationError as error:
        message, _, key = str(error).partition(" - at `$.")
        raise ConfigError(f"{place}.{key.rstrip('`')}: {_in_words(message)}", error_code="IDS-126") from None


_WORDS = {"str": "a string", "int": "a whole number", "array": "an array", "object": "an object", "float": "a number"}


def _in_words(message: str) -> str:
    """Return a message of msgspec in the terms of JSON."""
    found = re.fullmatch(r"Expected `([a-z]+)(?: \| null)?`, got `([a-z]+)`", message)
    if found is None:
        return f"{message[:1].lower()}{message[1:]}"
    wanted, given = (_WORDS.get(name, name) for name in found.groups())
    return f"must be {wanted}, not {given}"


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
