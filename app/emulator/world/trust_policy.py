"""
Does a role's trust policy let this token in? Pure: a policy and facts in, a verdict out.

Policies are RAM's JSON. `complaint` says what RAM would refuse when the role is created; `allows` relies on
it having found nothing.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

Facts = Mapping[str, tuple[str, ...]]

ACTION = "sts:AssumeRole"
OIDC_KEYS = frozenset({"oidc:iss", "oidc:aud", "oidc:sub"})
RAM_KEYS = frozenset({"sts:ExternalId"})
REQUIRED_KEYS = frozenset({"oidc:iss", "oidc:aud"})


def allows(policy: Mapping[str, Any], *, kind: str, principals: Sequence[str], facts: Facts) -> bool:
    """Whether a statement allows one of `principals` of `kind` (Federated, RAM) and none denies it; silence is no."""
    effects = {
        statement["Effect"]
        for statement in _many(policy["Statement"])
        if ACTION in _many(statement["Action"])
        and not set(principals).isdisjoint(_many(statement["Principal"].get(kind, ())))
        and _satisfied(statement.get("Condition", {}), facts)
    }
    return effects == {"Allow"}


def complaint(policy: Mapping[str, Any]) -> str | None:
    """Why this is no trust policy, in a few words with the cure; None if it is one."""
    if policy.get("Version") != "1" or not policy.get("Statement"):
        return 'needs "Version": "1" and a Statement'
    statements = _many(policy["Statement"])
    return next((found for statement in statements if (found := _statement_complaint(statement))), None)


def _statement_complaint(statement: Any) -> str | None:
    if not _well_formed(statement):
        return "a statement needs Action, Principal and Condition as RAM writes them, with strings as values"
    condition = statement.get("Condition", {})
    if statement.get("Effect") not in ("Allow", "Deny"):
        return "Effect must be Allow or Deny"
    if ACTION not in _many(statement["Action"]):
        return f"Action must be {ACTION}, also for AssumeRoleWithOIDC"
    if unknown := condition.keys() - _OPERATORS.keys():
        return f"condition operator {min(unknown)} is unknown, use StringEquals or StringLike"
    return _keys_complaint(statement, {key for keys in condition.values() for key in keys})


def _well_formed(statement: Any) -> bool:
    if not (isinstance(statement, Mapping) and "Action" in statement):
        return False
    condition = statement.get("Condition", {})
    if not (_mappings(statement.get("Principal"), condition) and _mappings(*condition.values())):
        return False
    values = [value for keys in condition.values() for several in keys.values() for value in _many(several)]
    return all(isinstance(value, str) for value in values)


def _mappings(*values: Any) -> bool:
    return all(isinstance(value, Mapping) for value in values)


def _keys_complaint(statement: Mapping[str, Any], keys: set[str]) -> str | None:
    if not _many(statement["Principal"].get("Federated", ())):
        unknown = keys - RAM_KEYS
        return f"condition key {min(unknown)} is unknown, use sts:ExternalId" if unknown else None
    if unknown := keys - OIDC_KEYS:
        return f"condition key {min(unknown)} is unknown, use oidc:iss, oidc:aud and oidc:sub"
    if statement["Effect"] == "Allow" and (missing := REQUIRED_KEYS - keys):
        return f"condition key {min(missing)} is required, add it"
    return None


def _satisfied(condition: Mapping[str, Mapping[str, Any]], facts: Facts) -> bool:
    # Operators and keys are joined by "and", the values of one key by "or".
    return all(
        any(_OPERATORS[operator](wanted, fact) for wanted in _many(values) for fact in facts.get(key, ()))
        for operator, keys in condition.items()
        for key, values in keys.items()
    )


def _equals(wanted: str, fact: str) -> bool:
    return wanted == fact


def like(wanted: str, fact: str) -> bool:
    """Whether `fact` matches `wanted`, in which * is any text and ? any character."""
    # Only * and ? are special: fnmatch would also read [..], which RAM does not.
    pattern = re.escape(wanted).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(pattern, fact, re.DOTALL) is not None


_OPERATORS = {"StringEquals": _equals, "StringLike": like}


def _many(value: Any) -> tuple[Any, ...]:
    """RAM writes one thing as itself and several as a list."""
    return tuple(value) if isinstance(value, list | tuple) else (value,)
