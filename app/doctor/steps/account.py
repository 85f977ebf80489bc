"""Step `account`: whether role, OIDC provider and RAM's answers belong to one account. Later steps compare names."""

from __future__ import annotations

from ...config.settings import Profile
from ...core.arns import account_of
from ...exchange.settings import StsExchange
from ..finding import Finding, Step, broken, skipped, warning
from ..reading import Reading

NAME = "account"


def run(name: str, profile: Profile, reading: Reading | None) -> Step:
    """
    Compare the accounts of roleArn and oidcProviderArn with each other, and with the account of RAM's answers.

    RAM and STS look a provider up in the account of its ARN, and a role trusts providers of its own account only.
    """
    exchange = profile.exchange
    if not isinstance(exchange, StsExchange):
        return skipped(NAME, "IDaaS manages the role", name)
    answering = reading.account if reading is not None else ""
    role, provider = account_of(exchange.role_arn), account_of(exchange.oidc_provider_arn)
    found = _finding(exchange, role, provider, answering)
    summary = f"roleArn {role}, oidcProviderArn {provider}" + (f", RAM answers for {answering}" if answering else "")
    facts = {"role": role, "provider": provider, "ram": answering or None}
    return Step(NAME, summary, name, [found] if found else [], facts)


def _finding(exchange: StsExchange, role: str, provider: str, answering: str) -> Finding | None:
    if role == provider:
        if answering in ("", role):
            return None
        return warning(
            "IDS-436",
            f"RAM answers for the account {answering}, and roleArn and oidcProviderArn are of the account {role}",
            f"use an AccessKey of the account {role} to read RAM, or write {answering} into both ARNs",
        )
    differ = f"roleArn is of the account {role}, and oidcProviderArn is of the account {provider}"
    if answering == role:
        return broken(
            "IDS-402",
            f"{differ}; RAM answers for {answering}",
            f"write {exchange.oidc_provider_arn.replace(provider, role, 1)} into oidcProviderArn",
        )
    if answering == provider:
        return broken(
            "IDS-412",
            f"{differ}; RAM answers for {answering}",
            f"write {exchange.role_arn.replace(role, provider, 1)} into roleArn",
        )
    return broken(
        "IDS-402",
        differ + (f"; RAM answers for {answering}" if answering else ""),
        "write the id of the account that has both into roleArn and oidcProviderArn",
    )
