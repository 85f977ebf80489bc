"""The trust policies of roles. Each policy trusts issuer, audience and subject of a token, never an issuer alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.json_text import json_text

ACTION = "sts:AssumeRole"
"""The action of a trust policy, also for AssumeRoleWithOIDC."""


@dataclass(frozen=True, slots=True)
class OidcTrust:
    """The tokens that may assume a role."""

    provider_arn: str
    issuer: str
    audience: str
    subjects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RoleTrust:
    """The role whose sessions may assume another role, for a role chain."""

    role_arn: str
    external_id: str | None = None


Trust = OidcTrust | RoleTrust


def document(trusts: Iterable[Trust]) -> dict[str, Any]:
    """
    Return the trust policy for `trusts`.

    Subjects of one provider and audience share a statement. Subjects with a wildcard have a statement of their own,
    because RAM combines the operators of one condition with "and".
    """
    return {"Version": "1", "Statement": [_statement(trust) for trust in _merged(trusts)]}


def _merged(trusts: Iterable[Trust]) -> Sequence[Trust]:
    subjects: dict[tuple[str, str, str, bool], dict[str, None]] = {}
    others: dict[Trust, None] = {}
    for trust in trusts:
        if isinstance(trust, RoleTrust):
            others[trust] = None
            continue
        for subject in trust.subjects:
            key = (trust.provider_arn, trust.issuer, trust.audience, _is_pattern(subject))
            subjects.setdefault(key, {})[subject] = None
    return [*(OidcTrust(*key[:3], tuple(names)) for key, names in subjects.items()), *others]


def _statement(trust: Trust) -> dict[str, Any]:
    if isinstance(trust, RoleTrust):
        condition = {"StringEquals": {"sts:ExternalId": trust.external_id}} if trust.external_id else None
        return _allow({"RAM": [trust.role_arn]}, condition)
    equals = {"oidc:iss": [trust.issuer], "oidc:aud": [trust.audience]}
    if any(map(_is_pattern, trust.subjects)):
        like = {"oidc:sub": list(trust.subjects)}
        return _allow({"Federated": [trust.provider_arn]}, {"StringEquals": equals, "StringLike": like})
    return _allow({"Federated": [trust.provider_arn]}, {"StringEquals": {**equals, "oidc:sub": list(trust.subjects)}})


def _allow(principal: Mapping[str, Any], condition: Mapping[str, Any] | None) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": ACTION, "Principal": principal}
    return statement | ({"Condition": condition} if condition else {})


def _is_pattern(subject: str) -> bool:
    return "*" in subject or "?" in subject


def trusts(subjects: Iterable[str], subject: str) -> bool:
    """Return whether one of the values of `oidc:sub`, which may be patterns, admits a subject."""
    # Only * and ? are wildcards in RAM.
    patterns = (re.escape(each).replace(r"\*", ".*").replace(r"\?", ".") for each in subjects)
    return any(re.fullmatch(pattern, subject, re.DOTALL) for pattern in patterns)


def compact(policy: Mapping[str, Any]) -> str:
    """Return a policy as the shortest JSON. RAM's limits count the length of this form."""
    return json_text(policy, compact=True)
