"""A role's trust policy read as RAM evaluates it for a token: provider, conditions, operators."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..identity.jwt_claims import Claims
from ..setup.trust_policy import ACTION
from .compare import closest, marked
from .finding import Finding, broken, warning

ISSUER, AUDIENCE, SUBJECT = "oidc:iss", "oidc:aud", "oidc:sub"
_CODES = {AUDIENCE: "IDS-429", ISSUER: "IDS-430", SUBJECT: "IDS-431"}
_PROVIDER, _UNREADABLE, _NO_CONDITION = "IDS-432", "IDS-433", "IDS-434"

Conditions = Mapping[str, tuple[str, tuple[str, ...]]]
"""By condition key: the operator and its values."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that allows AssumeRole to OIDC providers."""

    providers: tuple[str, ...]
    conditions: Conditions


class Unreadable(ValueError):
    """The text is no trust policy; the message says why."""


def statements(text: str) -> list[Statement]:
    """Return the statements of a policy. The answer of `aliyun ram GetRole` is accepted too. Raises Unreadable."""
    try:
        found: Any = json.loads(text)
        role = found.get("Role", found)
        found = role.get("AssumeRolePolicyDocument", role)
        policy = json.loads(found) if isinstance(found, str) else found
        made = [_statement(each) for each in _several(policy["Statement"]) if _allows(each)]
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise Unreadable(f"not a trust policy ({type(error).__name__})") from None
    if not made:
        raise Unreadable(f"no statement allows {ACTION} to an OIDC provider (Principal.Federated)")
    return made


def findings(text: str, provider_arn: str, claims: Claims) -> Iterator[Finding]:
    """Yield what keeps the role from trusting a token with `claims`; of several statements, the one that fits best."""
    try:
        known = statements(text)
    except Unreadable as error:
        yield broken(_UNREADABLE, f"the trust policy: {error}")
        return
    named = [each for each in known if provider_arn in each.providers]
    if not named:
        nearest = closest(provider_arn, tuple(arn for each in known for arn in each.providers))
        yield broken(
            _PROVIDER,
            f"Principal.Federated of the trust policy is {marked(nearest, provider_arn)}, "
            f"oidcProviderArn is {marked(provider_arn, nearest)}",
        )
        return
    yield from min((list(_judged(each.conditions, claims)) for each in named), key=_weight)


def _weight(found: list[Finding]) -> int:
    return sum(10 if each.state == "broken" else 1 for each in found)


def _judged(conditions: Conditions, claims: Claims) -> Iterator[Finding]:
    values = {
        ISSUER: (claims.issuer,) if claims.issuer else (),
        AUDIENCE: claims.audiences,
        SUBJECT: (claims.subject,) if claims.subject else (),
    }
    for key, (operator, wanted) in conditions.items():
        if key not in values:
            continue
        if not any(_matches(operator, pattern, value) for pattern in wanted for value in values[key]):
            yield _differs(key, wanted, values[key])
    missing = [key for key in values if key not in conditions]
    if missing:
        yield warning(_NO_CONDITION, f"the trust policy has no condition on {', '.join(missing)}")


def _differs(key: str, wanted: tuple[str, ...], values: tuple[str, ...]) -> Finding:
    claim = key.partition(":")[2]
    value = values[0] if values else ""
    nearest = closest(value, wanted)
    return broken(
        _CODES[key],
        f"{key} of the trust policy is {marked(nearest, value)}, the token's {claim} is {marked(value, nearest)}",
        f"write {value!r} into {key} of the role's trust policy, or configure what has {nearest!r} as {claim}",
    )


def _matches(operator: str, pattern: str, value: str) -> bool:
    if operator.startswith("StringLike"):
        # Only * and ? are wildcards in RAM.
        expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
        return re.fullmatch(expression, value, re.DOTALL) is not None
    return pattern.lower() == value.lower() if "IgnoreCase" in operator else pattern == value


def _allows(statement: Any) -> bool:
    principal = statement.get("Principal")
    return (
        statement.get("Effect") == "Allow"
        and any(action in (ACTION, "sts:*", "*") for action in _several(statement.get("Action")))
        and isinstance(principal, dict)
        and "Federated" in principal
    )


def _statement(statement: Mapping[str, Any]) -> Statement:
    conditions = {
        key: (operator, tuple(map(str, _several(values))))
        for operator, keys in statement.get("Condition", {}).items()
        for key, values in keys.items()
    }
    return Statement(tuple(map(str, _several(statement["Principal"]["Federated"]))), conditions)


def _several(value: Any) -> list[Any]:
    """Return `value` as a list. RAM writes a single item without one."""
    return value if isinstance(value, list) else [value]
