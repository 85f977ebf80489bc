"""Step `OIDC provider`: compares the token, and the certificate of its issuer, with the OIDC provider in RAM."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

from ...config.settings import Profile
from ...core.arns import account_of
from ...core.checks import profile_place
from ...exchange.settings import StsExchange
from ...identity.jwt_claims import Claims
from ...setup.fingerprint import Chain
from ..compare import closest, marked
from ..finding import Finding, Step, broken, skipped, warning
from ..ram import Provider
from ..reading import Reading
from ..token_request import TokenRequest
from ..trust_policy import AUDIENCE, ISSUER, Registered

NAME = "OIDC provider"


def run(name: str, profile: Profile, reading: Reading | None, claims: Claims | None, now: float) -> Step:
    """Compare issuer, audience, age and fingerprint, if RAM was read. `now` is the time of the cloud."""
    exchange = profile.exchange
    if not isinstance(exchange, StsExchange):
        return skipped(NAME, "IDaaS manages the role", name)
    if reading is None:
        return skipped(NAME, "RAM was not read; use --read-ram", name)
    if reading.account not in ("", account_of(exchange.oidc_provider_arn)):
        return skipped(NAME, f"RAM answers for the account {reading.account}", name)
    provider = reading.provider
    if not isinstance(provider, Provider):
        return Step(NAME, f"{exchange.oidc_provider_arn} was not read", name, [provider])
    found = list(_fingerprint(provider, reading.chain))
    if claims is not None:
        request = TokenRequest(profile.identity, f"{profile_place(name)}.identity")
        found = [*_claims(provider, claims, request, now), *found]
    summary = f"{provider.arn} compared with the token and the issuer's certificate"
    return Step(NAME, summary, name, found, _facts(provider))


def _claims(provider: Provider, claims: Claims, request: TokenRequest, now: float) -> Iterator[Finding]:
    issuer = claims.issuer or ""
    if issuer != provider.issuer:
        yield broken(
            "IDS-405",
            f"IssuerUrl of the provider is {marked(provider.issuer, issuer)}, "
            f"the token's iss is {marked(issuer, provider.issuer)}",
            request.cure(
                "iss",
                (provider.issuer,),
                f"create an OIDC provider with the URL {issuer!r} in RAM, and write its ARN into oidcProviderArn and "
                "the role's trust policy",
                "the role then trusts that issuer",
            ),
        )
    if not set(claims.audiences) & set(provider.client_ids):
        audience = claims.audiences[0] if claims.audiences else ""
        nearest = closest(audience, provider.client_ids)
        name = provider.arn.rpartition("/")[2]
        yield broken(
            "IDS-404",
            f"ClientIds of the provider has {marked(nearest, audience)}, "
            f"the token's aud is {marked(audience, nearest)}",
            request.cure(
                "aud",
                provider.client_ids,
                "add the token's aud by "
                f"`aliyun ims AddClientIdToOIDCProvider --OIDCProviderName {shlex.quote(name)} "
                f"--ClientId {shlex.quote(audience)}`",
                f"RAM then accepts every token that {issuer} issues for {audience!r}, also a token of another service",
            ),
        )
    age = now - claims.issued_at if claims.issued_at is not None else 0.0
    if provider.issuance_hours and age > provider.issuance_hours * 3600:
        yield broken(
            "IDS-406",
            f"the token was issued {age / 3600:.1f} h ago, and the provider accepts {provider.issuance_hours} h",
            "let the program that writes the token renew it, or raise IssuanceLimitTime of the provider",
        )


def _fingerprint(provider: Provider, chain: Chain | str) -> Iterator[Finding]:
    registered = ", ".join(provider.fingerprints)
    if not registered or isinstance(chain, str) or set(provider.fingerprints) & set(chain.fingerprints):
        return
    name = provider.arn.rpartition("/")[2]
    # Only a warning: this machine may see another certificate than STS, for example behind a proxy.
    yield warning(
        "IDS-410",
        f"Fingerprints of the provider: {registered}; {chain.host} presents {', '.join(chain.fingerprints)}",
        f"let the issuer's operator confirm the fingerprint {chain.fingerprint}, because STS then trusts every server "
        f"with a certificate of that CA; add it by `aliyun ims AddFingerprintToOIDCProvider --OIDCProviderName {name} "
        f"--Fingerprint {chain.fingerprint}`",
    )


def registered(provider: Provider) -> Registered:
    """Return the issuer and the client ids of the provider, with the code of this step for a token without them."""
    return {ISSUER: ("IDS-405", (provider.issuer,)), AUDIENCE: ("IDS-404", provider.client_ids)}


def _facts(provider: Provider) -> dict[str, Any]:
    return {
        "issuer": provider.issuer,
        "client_ids": list(provider.client_ids),
        "fingerprints": list(provider.fingerprints),
        "issuance_hours": provider.issuance_hours,
    }
