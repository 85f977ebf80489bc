"""The roles and policies of an account (RAM 2015-05-01). See `actions` for what the functions receive and return."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..http.response import RefusedError
from ..world.entities import Role
from ..world.ram_limits import MAX_POLICY
from ..world.world import World
from .parameters import policy, required, whole_number

Result = tuple[World, dict[str, Any]]
_POLICY_NAME = re.compile(r"[A-Za-z0-9-]{1,128}")


def create(world: World, account: str, fields: Mapping[str, str]) -> Result:
    """Create a role."""
    arn = _arn(account, fields)
    if arn in world.roles:
        raise RefusedError("EntityAlreadyExists.Role", f"The role already exists: {arn}.")
    role = Role(
        policy(fields, "AssumeRolePolicyDocument"),
        whole_number(fields, "MaxSessionDuration", 3600),
        description=fields.get("Description", ""),
    )
    _check_principals(world, role)
    return _stored(world, arn, role)


def get(world: World, account: str, fields: Mapping[str, str]) -> Result:
    """Return one role."""
    arn, role = _found(world, account, fields)
    return world, {"Role": _document(arn, role)}


def update(world: World, account: str, fields: Mapping[str, str]) -> Result:
    """Replace the trust policy or the maximum session duration."""
    arn, role = _found(world, account, fields)
    name = "NewAssumeRolePolicyDocument"
    changed = replace(
        role,
        trust_policy=policy(fields, name) if name in fields else role.trust_policy,
        max_session_duration=whole_number(fields, "NewMaxSessionDuration", role.max_session_duration),
    )
    _check_principals(world, changed)
    return _stored(world, arn, changed)


def delete(world: World, account: str, fields: Mapping[str, str]) -> Result:
    """Delete a role. A role with attached policies cannot be deleted."""
    arn, role = _found(world, account, fields)
    if role.policies:
        raise RefusedError("DeleteConflict.Role.Policy", "The role has attached policies.", 409)
    return replace(world, roles={key: each for key, each in world.roles.items() if key != arn}), {}


def create_policy(world: World, account: str, fields: Mapping[str, str]) -> Result:
    """Create a custom policy."""
    name, document = required(fields, "PolicyName"), policy(fields, "PolicyDocument")
    if not _POLICY_NAME.fullmatch(name):
        raise RefusedError("InvalidParameter.PolicyName", "PolicyName must be 1 to 128 of A-Z a-z 0-9 -.")
    if len(fields["PolicyDocument"]) > MAX_POLICY:
        raise RefusedError("InvalidParameter.PolicyDocument.Length", f"At most {MAX_POLICY} characters are possible.")
    if name in world.policies:
        raise RefusedError("EntityAlreadyExists.Policy", f"The policy already exists: {name}.")
    members = {"PolicyName": name, "PolicyType": "Custom"}
    return replace(world, policies={**world.policies, name: document}), {"Policy": members}


def attach_policy(world: World, account: str, fields: Mapping[str, str]) -> Result:
    """Attach a policy to a role. Every name is a system policy; a custom policy must have been created."""
    arn, role = _found(world, account, fields)
    name, kind = required(fields, "PolicyName"), required(fields, "PolicyType")
    if kind not in ("System", "Custom"):
        raise RefusedError("InvalidParameter.PolicyType", "PolicyType must be System or Custom.")
    if kind == "Custom" and name not in world.policies:
        raise RefusedError("EntityNotExist.Policy", f"The policy does not exist: {name}.")
    if name in role.policies:
        raise RefusedError("EntityAlreadyExists.Role.Policy", f"The policy is already attached: {name}.")
    return _stored(world, arn, replace(role, policies=(*role.policies, name)))


def list_policies(world: World, account: str, fields: Mapping[str, str]) -> Result:
    """Return the names of the policies of a role."""
    _, role = _found(world, account, fields)
    return world, {"Policies": {"Policy": [{"PolicyName": name} for name in role.policies]}}


def _arn(account: str, fields: Mapping[str, str]) -> str:
    return f"acs:ram::{account}:role/{required(fields, 'RoleName')}"


def _found(world: World, account: str, fields: Mapping[str, str]) -> tuple[str, Role]:
    arn = _arn(account, fields)
    if arn not in world.roles:
        raise RefusedError("EntityNotExist.Role", f"The role not exists: {arn}.")
    return arn, world.roles[arn]


def _check_principals(world: World, role: Role) -> None:
    """Raise `RefusedError` if the trust policy names a provider or a role that does not exist."""
    statements = role.trust_policy["Statement"]
    for statement in statements if isinstance(statements, list) else [statements]:
        for values in statement["Principal"].values():
            for arn in values if isinstance(values, list) else [values]:
                exists = arn in world.oidc_providers or arn in world.roles
                if not exists and (":oidc-provider/" in arn or ":role/" in arn):
                    raise RefusedError("MalformedPolicyDocument", f"The principal does not exist: {arn}.")


def _stored(world: World, arn: str, role: Role) -> Result:
    return replace(world, roles={**world.roles, arn: role}), {"Role": _document(arn, role)}


def _document(arn: str, role: Role) -> dict[str, Any]:
    return {
        "Arn": arn,
        "RoleName": arn.rpartition("/")[2],
        "AssumeRolePolicyDocument": json.dumps(role.trust_policy),  # a text, as GetRole documents it
        "MaxSessionDuration": role.max_session_duration,
        "Description": role.description,
    }
