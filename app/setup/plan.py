"""The RAM resources for workloads: providers, roles and policies, shared where possible, within the limits of RAM."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any

from ..core import checks
from ..core.checks import Findings, fails, place_of
from ..core.errors import ConfigError, Mistake
from ..core.text import one_line
from . import limits
from .trust_policy import ACTION, OidcTrust, RoleTrust, Trust, compact, document
from .workload import Workload, mistakes

Where = Callable[[str], str]
"""Returns the place of a workload's key, for messages."""


@dataclass(frozen=True, slots=True)
class OidcProvider:
    """An OIDC provider. Tokens may be at most `issuance_hours` old."""

    account: str
    name: str
    issuer: str
    client_ids: tuple[str, ...]
    fingerprints: tuple[str, ...]
    issuance_hours: int

    @property
    def arn(self) -> str:
        """The ARN, as in `exchange.oidcProviderArn`."""
        return f"acs:ram::{self.account}:oidc-provider/{self.name}"


@dataclass(frozen=True, slots=True)
class Role:
    """A role with its trust policy, and the names of its policies by type."""

    account: str
    name: str
    trust_policy: Mapping[str, Any]
    max_session_seconds: int
    system_policies: tuple[str, ...]
    custom_policies: tuple[str, ...]

    @property
    def arn(self) -> str:
        """The ARN, as in `exchange.roleArn`."""
        return f"acs:ram::{self.account}:role/{self.name}"


@dataclass(frozen=True, slots=True)
class CustomPolicy:
    """A custom policy of the account."""

    account: str
    name: str
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """
    The RAM resources that must exist.

    `configuration` is a configuration file for these resources; None if the plan was made from such a file. `notes` are
    sentences about open questions.
    """

    providers: tuple[OidcProvider, ...]
    roles: tuple[Role, ...]
    policies: tuple[CustomPolicy, ...]
    configuration: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _RoleDraft:
    trusts: list[Trust] = field(default_factory=list)
    seconds: int = 3600
    system: dict[str, None] = field(default_factory=dict)
    custom: dict[str, None] = field(default_factory=dict)


def check(workloads: Iterable[tuple[Workload, Where]], findings: Findings | None = None, origin: str = "") -> None:
    """
    Raise ConfigError, with a line for each mistake, unless every workload is complete and within RAM's limits.

    `findings`: the mistakes that are known already, whose places have no `origin`. What the workloads break together is
    among the lines, as far as it does not depend on fingerprints.
    """
    found = findings or Findings()
    sound = []
    for workload, where in workloads:
        wrong = [place_of(line) for line in mistakes(workload, where)]
        found.run(map(fails, mistakes(workload, where)))
        if not wrong:
            sound.append(workload)
    found.run(map(fails, _conflicts(sound)))
    found.run([checks.check(_together, sound)])
    _stop_at([line.at(origin) if origin else line for line in found.mistakes])


def _together(workloads: Sequence[Workload]) -> None:
    """Raise ConfigError with the limits that the workloads break together."""
    providers, roles, policies = _providers(workloads, {}), _roles(workloads), _policies(workloads)
    _stop_at(list(_plan_mistakes(Plan(tuple(providers), tuple(roles), tuple(policies)), with_fingerprints=False)))


def make(workloads: Sequence[Workload], fingerprints: Mapping[str, Sequence[str]]) -> Plan:
    """
    Return the plan for checked workloads.

    `fingerprints`: for each issuer, the fingerprints that no workload supplies. Raises ConfigError with a line for each
    limit of RAM that the workloads together exceed.
    """
    providers, roles, policies = _providers(workloads, fingerprints), _roles(workloads), _policies(workloads)
    plan = Plan(tuple(providers), tuple(roles), tuple(policies))
    _stop_at([*_conflicts(workloads), *_plan_mistakes(plan)])
    return plan


def _stop_at(lines: Sequence[Mistake]) -> None:
    if lines:
        raise ConfigError.of(dict.fromkeys(line.mapped(one_line) for line in lines))


def _providers(workloads: Sequence[Workload], fingerprints: Mapping[str, Sequence[str]]) -> Iterator[OidcProvider]:
    groups: dict[tuple[str, str], list[Workload]] = {}
    for workload in workloads:
        groups.setdefault((str(workload.account), str(workload.provider)), []).append(workload)
    for (account, name), group in groups.items():
        own = [print_ for each in group for print_ in each.fingerprints]
        prints = own or fingerprints.get(str(group[0].issuer), ())
        yield OidcProvider(
            account,
            name,
            str(group[0].issuer),
            tuple(dict.fromkeys(str(each.audience) for each in group)),
            tuple(dict.fromkeys(value.lower() for value in prints)),
            max(each.issuance_hours for each in group),
        )


def _roles(workloads: Sequence[Workload]) -> Iterator[Role]:
    drafts: dict[str, _RoleDraft] = {}
    for workload in workloads:
        arn = f"acs:ram::{workload.account}:role/{workload.role}"
        draft = drafts.setdefault(arn, _RoleDraft())
        provider = f"acs:ram::{workload.account}:oidc-provider/{workload.provider}"
        draft.trusts.append(OidcTrust(provider, str(workload.issuer), str(workload.audience), workload.all_subjects))
        draft.seconds = max(draft.seconds, workload.session_seconds)
        draft.system |= dict.fromkeys(workload.policies)
        draft.custom |= dict.fromkeys(workload.policy_documents)
        for target in workload.chain:
            draft.custom[_assume_policy_name(target.role_arn)] = None
            draft = drafts.setdefault(target.role_arn, _RoleDraft())
            draft.trusts.append(RoleTrust(arn, target.external_id))
            draft.seconds = max(draft.seconds, target.session_seconds)
            arn = target.role_arn
    for arn in _trusted_first(drafts):
        draft = drafts[arn]
        account, name = arn.split(":")[3], arn.partition("/")[2]
        yield Role(account, name, document(draft.trusts), draft.seconds, tuple(draft.system), tuple(draft.custom))


def _trusted_first(drafts: Mapping[str, _RoleDraft]) -> list[str]:
    """Return the role ARNs in an order in which a role follows the roles it trusts: RAM refuses unknown principals."""
    trusted = {
        arn: [each.role_arn for each in draft.trusts if isinstance(each, RoleTrust)] for arn, draft in drafts.items()
    }
    try:
        return list(TopologicalSorter(trusted).static_order())
    except CycleError as error:
        raise ConfigError(
            f"chain: roles trust each other in a circle: {', '.join(error.args[1])}", error_code="IDS-127"
        ) from None


def _policies(workloads: Sequence[Workload]) -> Iterator[CustomPolicy]:
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for workload in workloads:
        account = str(workload.account)
        found |= {(account, name): policy for name, policy in workload.policy_documents.items()}
        for target in workload.chain:
            found[account, _assume_policy_name(target.role_arn)] = _assume_policy(target.role_arn)
            account = target.role_arn.split(":")[3]
    return (CustomPolicy(account, name, policy) for (account, name), policy in found.items())


def _assume_policy_name(role_arn: str) -> str:
    """Return the name of the policy that permits assuming a role. RAM accepts letters, digits and hyphens in it."""
    return f"assume-{role_arn.split(':')[3]}-{role_arn.partition('/')[2].replace('.', '-')}"


def _assume_policy(role_arn: str) -> dict[str, Any]:
    return {"Version": "1", "Statement": [{"Effect": "Allow", "Action": ACTION, "Resource": role_arn}]}


def _conflicts(workloads: Sequence[Workload]) -> Iterator[Mistake]:
    """Yield a mistake for each setting of a shared resource that two workloads require differently."""
    issuers: dict[tuple[str | None, str | None], str | None] = {}
    names: dict[tuple[str | None, str | None], str | None] = {}
    documents: dict[tuple[str | None, str], Any] = {}
    for each in workloads:
        place = f"provider {each.provider}"
        if issuers.setdefault((each.account, each.provider), each.issuer) != each.issuer:
            other = issuers[each.account, each.provider]
            yield Mistake(f"{place}: two issuers, {other} and {each.issuer}", limits.CODE, "use two providers")
        if names.setdefault((each.account, each.issuer), each.provider) != each.provider:
            yield Mistake(
                f"{place}: the issuer {each.issuer} belongs to provider {names[each.account, each.issuer]}; RAM "
                "accepts an issuer once in an account",
                limits.CODE,
                "use one provider",
            )
        for name, policy in each.policy_documents.items():
            if documents.setdefault((each.account, name), policy) != policy:
                yield Mistake(f"policy {name}: two documents have this name", limits.CODE, "use two names")


def _plan_mistakes(plan: Plan, *, with_fingerprints: bool = True) -> Iterator[Mistake]:
    for account, count in Counter(provider.account for provider in plan.providers).items():
        yield from limits.providers(count, f"account {account}")
    for provider in plan.providers:
        yield from limits.client_ids(provider.client_ids, f"provider {provider.name}")
        if with_fingerprints or provider.fingerprints:
            yield from limits.fingerprints(provider.fingerprints, f"provider {provider.name}")
    for role in plan.roles:
        for statement in role.trust_policy["Statement"]:
            for keys in statement.get("Condition", {}).values():
                if "oidc:sub" in keys:
                    yield from limits.subjects(keys["oidc:sub"], f"role {role.name}")
        yield from limits.document(len(compact(role.trust_policy)), limits.TRUST_POLICY, f"role {role.name}: policy")
    for policy in plan.policies:
        yield from limits.policy_name(policy.name, f"policy {policy.name}")
        yield from limits.document(len(compact(policy.document)), limits.CUSTOM_POLICY, f"policy {policy.name}")
