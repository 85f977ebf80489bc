"""
Evaluate and validate RAM trust policies. Pure functions over RAM's own JSON.

`validation_error` returns what RAM would reject when a role is created. `allows` expects a policy without an error.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from .ram_limits import trust_policy_error

ConditionContext = Mapping[str, tuple[str, ...]]
"""The values of a request by condition key, such as `oidc:sub`."""

ACTION = "sts:AssumeRole"
OIDC_KEYS = frozenset({"oidc:iss", "oidc:aud", "oidc:sub"})
RAM_KEYS = frozenset({"sts:ExternalId"})
REQUIRED_KEYS = frozenset({"oidc:iss", "oidc:aud"})


def allows(
    policy: Mapping[str, Any], *, principal_type: str, principals: Sequence[str], context: ConditionContext
) -> bool:
    """
    Return whether the policy lets a request assume the role.

    A statement must allow one of `principals` of `principal_type` (Federated or RAM), and none may deny it. Without
    a matching statement, the request is denied.
    """
    effects = {
        statement["Effect"]
        for statement in _as_tuple(policy["Statement"])
        if ACTION in _as_tuple(statement["Action"])
        and not set(principals).isdisjoint(_as_tuple(statement["Principal"].get(principal_type, ())))
        and _is_satisfied(statement.get("Condition", {}), context)
    }
    return effects == {"Allow"}


def validation_error(policy: Mapping[str, Any]) -> str | None:
    """Return why RAM would reject the policy and how to correct it, in a few words; None if it is valid."""
    if policy.get("Version") != "1" or not policy.get("Statement"):
        return 'needs "Version": "1" and a Statement'
    statements = _as_tuple(policy["Statement"])
    error = next((error for statement in statements if (error := _statement_error(statement))), None)
    return error or trust_policy_error(len(json.dumps(policy, separators=(",", ":"))), statements)


def _statement_error(statement: Any) -> str | None:
    if not _is_well_formed(statement):
        return "a statement needs Action, Principal and Condition as RAM writes them, with strings as values"
    condition = statement.get("Condition", {})
    if statement.get("Effect") not in ("Allow", "Deny"):
        return "Effect must be Allow or Deny"
    if ACTION not in _as_tuple(statement["Action"]):
        return f"Action must be {ACTION}, also for AssumeRoleWithOIDC"
    if unknown := condition.keys() - _OPERATORS.keys():
        return f"condition operator {min(unknown)} is unknown, use StringEquals or StringLike"
    return _condition_key_error(statement, {key for keys in condition.values() for key in keys})


def _is_well_formed(statement: Any) -> bool:
    if not (isinstance(statement, Mapping) and "Action" in statement):
        return False
    condition = statement.get("Condition", {})
    if not (_are_mappings(statement.get("Principal"), condition) and _are_mappings(*condition.values())):
        return False
    values = [value for keys in condition.values() for several in keys.values() for value in _as_tuple(several)]
    return all(isinstance(value, str) for value in values)


def _are_mappings(*values: Any) -> bool:
    return all(isinstance(value, Mapping) for value in values)


def _condition_key_error(statement: Mapping[str, Any], keys: set[str]) -> str | None:
    if not _as_tuple(statement["Principal"].get("Federated", ())):
        unknown = keys - RAM_KEYS
        return f"condition key {min(unknown)} is unknown, use sts:ExternalId" if unknown else None
    if unknown := keys - OIDC_KEYS:
        return f"condition key {min(unknown)} is unknown, use oidc:iss, oidc:aud and oidc:sub"
    if statement["Effect"] == "Allow" and (missing := REQUIRED_KEYS - keys):
        return f"condition key {min(missing)} is required, add it"
    return None


def _is_satisfied(condition: Mapping[str, Mapping[str, Any]], context: ConditionContext) -> bool:
    # Operators and keys are combined with "and", the values of one key with "or".
    return all(
        any(_OPERATORS[operator](pattern, value) for pattern in _as_tuple(patterns) for value in context.get(key, ()))
        for operator, keys in condition.items()
        for key, patterns in keys.items()
    )


def _string_equals(pattern: str, value: str) -> bool:
    return pattern == value


def string_like(pattern: str, value: str) -> bool:
    """Return whether `value` matches `pattern`, in which * matches any text and ? any single character."""
    # Only * and ? are wildcards. fnmatch would also interpret [..], which RAM does not.
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, value, re.DOTALL) is not None


_OPERATORS = {"StringEquals": _string_equals, "StringLike": string_like}


def _as_tuple(value: Any) -> tuple[Any, ...]:
    """Return `value` as a tuple. RAM writes a single item without a list."""
    return tuple(value) if isinstance(value, list | tuple) else (value,)
