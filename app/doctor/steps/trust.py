"""Step `trust policy`: compares the token's claims with the role's trust policy, and checks the session's length."""

from __future__ import annotations

from collections.abc import Iterator

from ...config.settings import Profile
from ...core.arns import account_of
from ...core.checks import profile_place
from ...exchange.settings import StsExchange
from ...identity.jwt_claims import Claims
from ...refresh.pipeline import expected_claims
from .. import trust_policy
from ..finding import Finding, Step, broken, skipped
from ..ram import Provider, Role
from ..reading import Reading
from ..token_request import TokenRequest
from ..trust_policy import Registered
from .provider import registered

NAME = "trust policy"
NOT_EXAMINED = "not_examined"
"""The fact with the conditions that are not about the token."""


def run(name: str, profile: Profile, policy: str | None, reading: Reading | None, claims: Claims | None) -> Step:
    """
    Compare if there is a role that trusts tokens, and its policy is known.

    `policy` is the text of a file. Without it, the policy comes from the role in `reading`.
    """
    exchange = profile.exchange
    if not isinstance(exchange, StsExchange):
        return skipped(NAME, "IDaaS manages the role", name)
    if account_of(exchange.role_arn) != account_of(exchange.oidc_provider_arn):
        # The policy may be right: its Principal.Federated may name the account that oidcProviderArn should have.
        return skipped(NAME, "roleArn and oidcProviderArn are of different accounts", name)
    if policy is not None:
        return _compared(name, profile, exchange, policy, claims, [], "")
    if reading is None:
        order = f"aliyun ram GetRole --RoleName {exchange.role_arn.rpartition('/')[2]} > role.json"
        return skipped(NAME, f"not given; use --read-ram, or `{order}` and --trust-policy role.json", name)
    if reading.account not in ("", account_of(exchange.role_arn)):
        return skipped(NAME, f"RAM answers for the account {reading.account}", name)
    if not isinstance(reading.role, Role):
        if isinstance(reading.provider, Finding) and reading.provider.code == reading.role.code:
            return skipped(NAME, f"RAM was not read ({reading.role.code})", name)
        return Step(NAME, f"{exchange.role_arn} was not read", name, [reading.role])
    found = list(_length(exchange, reading.role))
    known = registered(reading.provider) if isinstance(reading.provider, Provider) else None
    return _compared(name, profile, exchange, reading.role.trust_policy, claims, found, ", read from RAM", known)


def _compared(
    name: str,
    profile: Profile,
    exchange: StsExchange,
    policy: str,
    claims: Claims | None,
    found: list[Finding],
    where: str,
    known: Registered | None = None,
) -> Step:
    request = TokenRequest(profile.identity, f"{profile_place(name)}.identity")
    if claims is None:
        expected = expected_claims(profile)
        found += trust_policy.expected_findings(policy, exchange.oidc_provider_arn, expected, request)
        return Step(NAME, "no token to compare", name, found) if found else skipped(NAME, "needs a token", name)
    found += trust_policy.findings(policy, exchange.oidc_provider_arn, claims, request, known)
    others = trust_policy.unexamined(policy, exchange.oidc_provider_arn)
    facts = {NOT_EXAMINED: list(others)} if others else {}
    summary = f"the conditions of {exchange.role_arn} compared with the token's claims{where}"
    return Step(NAME, "; not examined: ".join(filter(None, (summary, ", ".join(others)))), name, found, facts)


def _length(exchange: StsExchange, role: Role) -> Iterator[Finding]:
    length, longest = exchange.duration_seconds, role.max_session
    if longest and length > longest:
        yield broken(
            "IDS-413",
            f"durationSeconds is {length}, MaxSessionDuration of the role is {longest}",
            f"set durationSeconds to {longest}, or MaxSessionDuration of the role to {length}",
        )
