"""A plan as a sh script of aliyun-cli commands."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from ..plan import Plan, Role
from ..trust_policy import compact
from .notes import commented, configuration


def render(plan: Plan) -> str:
    """Return a script. It stops at the first command that RAM refuses."""
    return "\n".join((*commented(plan), "set -eu", "", *_commands(plan), *configuration(plan))) + "\n"


def _commands(plan: Plan) -> Iterator[str]:
    for provider in plan.providers:
        yield _command(
            "ims",
            "CreateOIDCProvider",
            OIDCProviderName=provider.name,
            IssuerUrl=provider.issuer,
            ClientIds=",".join(provider.client_ids),
            Fingerprints=",".join(provider.fingerprints),
            IssuanceLimitTime=str(provider.issuance_hours),
        )
    for policy in plan.policies:
        yield _command("ram", "CreatePolicy", PolicyName=policy.name, PolicyDocument=compact(policy.document))
    for role in plan.roles:
        yield from _role(role)


def _role(role: Role) -> Iterator[str]:
    yield _command(
        "ram",
        "CreateRole",
        RoleName=role.name,
        AssumeRolePolicyDocument=compact(role.trust_policy),
        MaxSessionDuration=str(role.max_session_seconds),
    )
    attachments = (("System", role.system_policies), ("Custom", role.custom_policies))
    for kind, names in attachments:
        for name in names:
            yield _command("ram", "AttachPolicyToRole", PolicyType=kind, PolicyName=name, RoleName=role.name)


def _command(product: str, action: str, **parameters: str) -> str:
    options = (f"--{name} {shlex.quote(value)}" for name, value in parameters.items())
    return " \\\n  ".join((f"aliyun {product} {action}", *options))
