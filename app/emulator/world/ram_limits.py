"""
The limits of RAM for OIDC providers, roles and policies. Pure functions.

Sources: "Manage an OIDC identity provider", CreateOIDCProvider (IMS 2019-08-15), CreateRole (RAM 2015-05-01) and
"Limits of RAM". Each function returns the first error as `key: what is wrong`, or None.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

MAX_PROVIDERS = 100
MAX_CLIENT_IDS = 50
MAX_FINGERPRINTS = 5
MAX_SUBJECTS = 10
MAX_TRUST_POLICY, MAX_POLICY = 2048, 6144
"""Characters of a trust policy and of a custom policy."""

_PROVIDER_ARN = re.compile(
    r"acs:ram::\d{1,20}:oidc-provider/([A-Za-z0-9]([A-Za-z0-9._-]{0,126}[A-Za-z0-9])?)", re.ASCII
)
_ROLE_ARN = re.compile(r"acs:ram::\d{1,20}:role/([A-Za-z0-9.-]{1,64})", re.ASCII)
_ISSUER = re.compile(r"https://[^\s/?#@]+[^\s?#@]*")
_CLIENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}")
_FINGERPRINT = re.compile(r"[A-Za-z0-9]{1,128}")


def provider_error(
    issuer_url: str,
    client_ids: Collection[str],
    fingerprints: Collection[str] | None,
    issuance_limit_hours: int,
    description: str,
) -> str | None:
    """Return why RAM refuses an OIDC provider with these values. `fingerprints` of None is not checked."""
    return next(_provider_errors(issuer_url, client_ids, fingerprints, issuance_limit_hours, description), None)


def _provider_errors(
    issuer_url: str, client_ids: Collection[str], fingerprints: Collection[str] | None, hours: int, description: str
) -> Iterator[str]:
    if len(issuer_url) > 255 or not _ISSUER.fullmatch(issuer_url):
        yield f"issuerUrl: {issuer_url!r} must begin with https:// and have no ?, # or @, with at most 255 characters"
    if not 1 <= len(client_ids) <= MAX_CLIENT_IDS:
        yield f"clientIds: {len(client_ids)} given, must be 1 to {MAX_CLIENT_IDS}"
    yield from (
        f"clientIds: {each!r} must be 1 to 128 of A-Z a-z 0-9 . - _ : / and begin with a letter or digit"
        for each in client_ids
        if not _CLIENT_ID.fullmatch(each)
    )
    if fingerprints is not None:
        if not 1 <= len(fingerprints) <= MAX_FINGERPRINTS:
            yield f"fingerprints: {len(fingerprints)} given, must be 1 to {MAX_FINGERPRINTS}"
        yield from (
            f"fingerprints: {each!r} must be 1 to 128 letters and digits, without colons"
            for each in fingerprints
            if not _FINGERPRINT.fullmatch(each)
        )
    if not 1 <= hours <= 168:
        yield f"issuanceLimitHours: {hours} must be 1 to 168"
    if len(description) > 256:
        yield "description: must have at most 256 characters"


def account_error(issuers: Mapping[str, str]) -> str | None:
    """Return why RAM refuses these OIDC providers, issuers by provider ARN, side by side."""
    of_account: dict[str, list[str]] = {}
    for arn, issuer in issuers.items():
        if not _PROVIDER_ARN.fullmatch(arn):
            return (
                f"oidcProviders: {arn!r} must be acs:ram::<account>:oidc-provider/<name>; a name has up to 128 of "
                "A-Z a-z 0-9 . - _ and begins and ends with a letter or digit"
            )
        of_account.setdefault(arn.split(":")[3], []).append(issuer)
    for account, used in of_account.items():
        if len(used) > MAX_PROVIDERS:
            return f"oidcProviders: account {account} has {len(used)}, at most {MAX_PROVIDERS} are possible"
        if double := next((issuer for issuer in used if used.count(issuer) > 1), None):
            return f"oidcProviders: two of account {account} have the issuer {double}, which must be unique"
    return None


def role_name_error(arn: str) -> str | None:
    """Return why RAM refuses a role with this ARN."""
    if _ROLE_ARN.fullmatch(arn):
        return None
    return f"roles: {arn!r} must be acs:ram::<account>:role/<name>; a name has 1 to 64 of A-Z a-z 0-9 . -"


def trust_policy_error(length: int, statements: Collection[Any]) -> str | None:
    """Return why RAM refuses a trust policy of `length` characters with these statements."""
    if length > MAX_TRUST_POLICY:
        return f"has {length} characters, at most {MAX_TRUST_POLICY} are possible"
    for statement in statements:
        for keys in statement.get("Condition", {}).values():
            subjects = keys.get("oidc:sub", ())
            if isinstance(subjects, list | tuple) and len(subjects) > MAX_SUBJECTS:
                return f"oidc:sub has {len(subjects)} values, at most {MAX_SUBJECTS} are possible"
    return None
