"""Evaluates a role's trust policy for a token in the same way as RAM: provider, conditions, operators."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..identity.jwt_claims import Claims, ExpectedClaims
from ..setup.trust_policy import ACTION, trusts
from .compare import closest, marked
from .finding import Finding, broken, warning

ISSUER, AUDIENCE, SUBJECT = "oidc:iss", "oidc:aud", "oidc:sub"
_CODES = {AUDIENCE: "IDS-429", ISSUER: "IDS-430", SUBJECT: "IDS-431"}
_PROVIDER, _UNREADABLE, _NO_CONDITION, _DENIED = "IDS-432", "IDS-433", "IDS-434", "IDS-438"


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on a claim. Its operator is a string operator, such as `StringEquals` or `StringNotLike`."""

    operator: str
    key: str
    values: tuple[str, ...]

    @property
    def negated(self) -> bool:
        """Whether the condition holds if no value matches."""
        return self.operator.startswith("StringNot")

    @property
    def admits_all(self) -> bool:
        """Whether the condition holds for every value, because its pattern consists of wildcards."""
        return (
            self.operator.endswith("Like") and not self.negated and any(not set(each) - {"*"} for each in self.values)
        )

    def holds(self, claims: tuple[str, ...]) -> bool:
        """Return whether the condition holds for the values of the token's claim."""
        matches = any(_matches(self.operator, pattern, value) for pattern in self.values for value in claims)
        return matches is not self.negated


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement about AssumeRole by OIDC providers. All `conditions` must hold. `denies`: the statement's effect."""

    providers: tuple[str, ...]
    conditions: tuple[Condition, ...]
    denies: bool = False


class NotATrustPolicy(ValueError):
    """A text that is no trust policy, or a policy that allows nothing. The message says why. `cure`: if known."""

    def __init__(self, cause: str, cure: str = "") -> None:
        super().__init__(cause)
        self.cure = cure


def statements(text: str) -> list[Statement]:
    """Return the statements of a policy, or of the answer of `aliyun ram GetRole`. Raises NotATrustPolicy."""
    try:
        found: Any = json.loads(text)
        role = found.get("Role", found)
        found = role.get("AssumeRolePolicyDocument", role)
        policy = json.loads(found) if isinstance(found, str) else found
        made = [_statement(each) for each in _several(policy["Statement"]) if _concerns(each)]
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        form = (
            "not JSON"
            if isinstance(error, ValueError)
            else "no object with a Statement of Effect, Action and Principal"
        )
        raise NotATrustPolicy(form) from None
    if all(each.denies for each in made):
        raise NotATrustPolicy(
            f"no statement allows {ACTION} to an OIDC provider (Principal.Federated)",
            f"write a statement with the Action {ACTION} and the provider's ARN as Principal.Federated; "
            "`idaas-sidecar setup` prints it",
        )
    return made


def findings(text: str, provider_arn: str, claims: Claims) -> Iterator[Finding]:
    """Yield why the role does not trust a token with `claims`. Of several statements, use the one that fits best."""
    yield from _findings(text, provider_arn, _values(claims), "the token's")


def expected_findings(text: str, provider_arn: str, expected: ExpectedClaims) -> Iterator[Finding]:
    """
    Yield what would keep the role from trusting the token that the configuration asks for, where there is no token.

    Each is a warning: a resource server of IDaaS may have a custom subject.
    """
    known = {ISSUER: expected.issuer, AUDIENCE: expected.audience, SUBJECT: expected.client_id}
    values = {key: (value,) for key, value in known.items() if value is not None}
    for found in _findings(text, provider_arn, values, "by the configuration, the token's"):
        yield replace(found, state="warning")


def _findings(text: str, provider_arn: str, values: Mapping[str, tuple[str, ...]], whose: str) -> Iterator[Finding]:
    try:
        known = statements(text)
    except NotATrustPolicy as error:
        yield broken(_UNREADABLE, f"the trust policy: {error}", error.cure)
        return
    allowing = [each for each in known if not each.denies]
    named = [each for each in allowing if provider_arn in each.providers]
    if not named:
        nearest = closest(provider_arn, tuple(arn for each in allowing for arn in each.providers))
        yield broken(
            _PROVIDER,
            f"Principal.Federated of the trust policy is {marked(nearest, provider_arn)}, "
            f"oidcProviderArn is {marked(provider_arn, nearest)}",
        )
        return
    yield from min((list(_judged(each.conditions, values, whose)) for each in named), key=_weight)
    for each in known:
        if each.denies and provider_arn in each.providers and _applies(each, values):
            on = ", ".join(f"{condition.operator} on {condition.key}" for condition in each.conditions)
            yield broken(_DENIED, f"a Deny of the trust policy applies to the token ({on or 'it has no condition'})")


def _weight(found: list[Finding]) -> int:
    return sum(10 if each.state == "broken" else 1 for each in found)


def _values(claims: Claims) -> dict[str, tuple[str, ...]]:
    """Return the values that the token has for each condition key."""
    return {
        ISSUER: (claims.issuer,) if claims.issuer else (),
        AUDIENCE: claims.audiences,
        SUBJECT: (claims.subject,) if claims.subject else (),
    }


def _applies(statement: Statement, values: Mapping[str, tuple[str, ...]]) -> bool:
    """Return whether all conditions are known and hold. A condition that this program cannot evaluate is no denial."""
    return all(each.key in values and each.holds(values[each.key]) for each in statement.conditions)


def _judged(conditions: tuple[Condition, ...], values: Mapping[str, tuple[str, ...]], whose: str) -> Iterator[Finding]:
    for condition in conditions:
        claims = values.get(condition.key)
        if claims is not None and not condition.holds(claims):
            yield _excludes(condition, claims, whose) if condition.negated else _differs(condition, claims, whose)
    narrowing = {each.key for each in conditions if not (each.negated or each.admits_all)}
    missing = [key for key in values if key not in narrowing]
    if missing:
        wildcards = any(each.admits_all and each.key in missing for each in conditions)
        but = ", except for wildcards alone" if wildcards else ""
        yield warning(_NO_CONDITION, f"the trust policy has no condition on {', '.join(missing)}{but}")


def _excludes(condition: Condition, values: tuple[str, ...], whose: str) -> Finding:
    claim = condition.key.partition(":")[2]
    return broken(
        _CODES[condition.key],
        f"{condition.operator} on {condition.key} of the trust policy excludes {whose} {claim} {', '.join(values)}",
        f"remove {condition.operator} on {condition.key} from the role's trust policy, or name other values there",
    )


def _differs(condition: Condition, values: tuple[str, ...], whose: str) -> Finding:
    key, wanted = condition.key, condition.values
    claim = key.partition(":")[2]
    value = values[0] if values else ""
    nearest = closest(value, wanted)
    return broken(
        _CODES[key],
        f"{key} of the trust policy is {marked(nearest, value)}, {whose} {claim} is {marked(value, nearest)}",
        f"write {value!r} into {key} of the role's trust policy, or configure what has {nearest!r} as {claim}",
    )


def _matches(operator: str, pattern: str, value: str) -> bool:
    if operator.endswith("Like"):
        return trusts((pattern,), value)
    return pattern.lower() == value.lower() if "IgnoreCase" in operator else pattern == value


def _concerns(statement: Any) -> bool:
    """Return whether a statement is about AssumeRole by OIDC providers."""
    principal = statement.get("Principal")
    return (
        statement.get("Effect") in ("Allow", "Deny")
        and any(action in (ACTION, "sts:*", "*") for action in _several(statement.get("Action")))
        and isinstance(principal, dict)
        and "Federated" in principal
    )


def _statement(statement: Mapping[str, Any]) -> Statement:
    conditions = tuple(
        Condition(operator, key, tuple(map(str, _several(values))))
        for operator, keys in statement.get("Condition", {}).items()
        for key, values in keys.items()
    )
    providers = tuple(map(str, _several(statement["Principal"]["Federated"])))
    return Statement(providers, conditions, denies=statement["Effect"] == "Deny")


def _several(value: Any) -> list[Any]:
    """Return `value` as a list. RAM writes a single item without a list."""
    return value if isinstance(value, list) else [value]
