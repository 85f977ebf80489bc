"""A plan as Terraform resources of the provider `aliyun/alicloud`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..plan import CustomPolicy, OidcProvider, Plan, Role
from .hcl import Reference, attributes, expression
from .notes import commented, configuration

HEAD = """\
terraform {
  required_providers {
    alicloud = {
      source  = "aliyun/alicloud"
      version = ">= 1.252.0"
    }
  }
}
"""
"""The beginning of a .tf file. Version 1.252.0 of the provider introduced the names `role_name` and
`assume_role_policy_document` of the resource `alicloud_ram_role`."""


def render(plan: Plan) -> str:
    """Return the text of a .tf file."""
    blocks = [
        *map(_provider, plan.providers),
        *map(_policy, plan.policies),
        *(block for role in plan.roles for block in _role(role, _dependencies(role, plan))),
    ]
    text = "\n".join((*commented(plan), HEAD, *blocks)).rstrip()
    return "\n".join((text, *configuration(plan))) + "\n"


def _provider(provider: OidcProvider) -> str:
    return _resource(
        "alicloud_ims_oidc_provider",
        _label(provider),
        {
            "oidc_provider_name": provider.name,
            "issuer_url": provider.issuer,
            "client_ids": list(provider.client_ids),
            "fingerprints": list(provider.fingerprints),
            "issuance_limit_time": provider.issuance_hours,
        },
    )


def _policy(policy: CustomPolicy) -> str:
    return _resource(
        "alicloud_ram_policy",
        label(policy.name, policy.account),
        {"policy_name": policy.name, "policy_document": _json(policy.document)},
    )


def _dependencies(role: Role, plan: Plan) -> list[Reference]:
    """Return the resources that must exist before the role: RAM refuses a trust policy with an unknown principal."""
    principals = {arn for each in role.trust_policy["Statement"] for arns in each["Principal"].values() for arn in arns}
    providers = [f"alicloud_ims_oidc_provider.{_label(each)}" for each in plan.providers if each.arn in principals]
    roles = [f"alicloud_ram_role.{_label(each)}" for each in plan.roles if each.arn in principals]
    return [Reference(address) for address in (*providers, *roles)]


def _role(role: Role, dependencies: list[Reference]) -> Iterator[str]:
    name = _label(role)
    yield _resource(
        "alicloud_ram_role",
        name,
        {
            "role_name": role.name,
            "assume_role_policy_document": _json(role.trust_policy),
            "max_session_duration": role.max_session_seconds,
            "depends_on": dependencies,
        },
    )
    own_name = Reference(f"alicloud_ram_role.{name}.role_name")
    for policy in role.system_policies:
        yield _attachment(f"{name}_{label(policy)}", policy, "System", own_name)
    for policy in role.custom_policies:
        reference = Reference(f"alicloud_ram_policy.{label(policy, role.account)}.policy_name")
        yield _attachment(f"{name}_{label(policy)}", reference, "Custom", own_name)


def _attachment(name: str, policy: str, kind: str, role: Reference) -> str:
    members = {"policy_name": policy, "policy_type": kind, "role_name": role}
    return _resource("alicloud_ram_role_policy_attachment", name, members)


def _resource(kind: str, name: str, members: Mapping[str, Any]) -> str:
    return "\n".join((f'resource "{kind}" "{name}" {{', *attributes(members, 2), "}", ""))


def _json(document: Mapping[str, Any]) -> Reference:
    return Reference(f"jsonencode({expression(document, 2)})")


def _label(part: OidcProvider | Role) -> str:
    return label(part.name, part.account)


def label(name: str, account: str = "") -> str:
    """Return a resource label. Punctuation becomes its code point, so names that differ only in it stay different."""
    text = re.sub(r"[^A-Za-z0-9]", lambda found: "_" if found[0] == "-" else f"_x{ord(found[0]):x}_", name)
    return f"a{account}_{text}" if account else text
