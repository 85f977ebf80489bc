"""Step `trust policy`: the token's claims beside the trust policy of the role."""

from __future__ import annotations

from ...config.settings import Profile
from ...exchange.settings import StsExchange
from ...identity.jwt_claims import Claims
from .. import trust_policy
from ..finding import Step, skipped

NAME = "trust policy"


def run(name: str, profile: Profile, policy: str | None, claims: Claims | None) -> Step:
    """Compare, if there is a policy, and a role that trusts tokens."""
    exchange = profile.exchange
    if not isinstance(exchange, StsExchange):
        return skipped(NAME, "IDaaS manages the role", name)
    if policy is None:
        order = f"aliyun ram GetRole --RoleName {_role(exchange.role_arn)} > role.json"
        return skipped(NAME, f"not given; run `{order}`, then doctor with --trust-policy role.json", name)
    if claims is None:
        return skipped(NAME, "needs a token", name)
    found = list(trust_policy.findings(policy, exchange.oidc_provider_arn, claims))
    return Step(NAME, f"the conditions of {exchange.role_arn} beside the token's claims", name, found)


def _role(arn: str) -> str:
    return arn.rpartition("/")[2]
