"""What a JWT says of itself: read to warn and to plan, never to trust. STS does the verifying.

Written by hand, because importing PyJWT brings cryptography with it: 8 MiB that a client-secret profile never needs
(ARCHITECTURE.md, "Dependencies").
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_COMPACT = re.compile(r"[A-Za-z0-9_-]+={0,2}\.([A-Za-z0-9_-]+={0,2})\.[A-Za-z0-9_-]+={0,2}")
"""A signed JWT as it travels (RFC 7515 7.1); some write the padding that belongs to base64 and not here."""

LEEWAY = 60.0
"""Seconds of clock difference that nobody is warned about."""


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims that decide whether STS will take the token; None or empty where absent or of the wrong type."""

    issuer: str | None
    audiences: tuple[str, ...]
    subject: str | None
    issued_at: float | None
    expires_at: float | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the configuration says of the token; None where it says nothing."""

    issuer: str | None = None
    audience: str | None = None
    client_id: str | None = None


def unverified(token: str) -> Claims | None:
    """The claims of `token`, or None if it is not a JWT."""
    parts = _COMPACT.fullmatch(token)
    if parts is None:
        return None
    try:
        payload = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return None
    if not isinstance(payload, dict):
        return None
    return Claims(
        issuer=_text(payload.get("iss")),
        audiences=_texts(payload.get("aud")),
        subject=_text(payload.get("sub")),
        issued_at=_number(payload.get("iat")),
        expires_at=_number(payload.get("exp")),
    )


def ahead(token: str, now: float) -> float:
    """Seconds until the instant at which `token` was issued, as its `iat` says; 0 where that has come, or is unsaid."""
    found = unverified(token)
    return max(0.0, found.issued_at - now) if found is not None and found.issued_at is not None else 0.0


def mismatches(claims: Claims, wanted: Wanted, now: float) -> Iterator[str]:
    """One precise sentence for each claim that STS is likely to refuse, or that is not what was configured."""
    if wanted.issuer is not None and claims.issuer != wanted.issuer:
        yield (
            f"the token's iss is {_shown(claims.issuer)}, the configuration says {wanted.issuer!r}: STS compares it "
            "exactly with the OIDC provider's URL in RAM (custom domain, dynamic issuer or trailing slash?)"
        )
    if wanted.audience is not None and wanted.audience not in claims.audiences:
        yield (
            f"the token's aud is {_shown(*claims.audiences)}, the scope asks for {wanted.audience!r}: STS wants it "
            "among the OIDC provider's client ids"
        )
    if wanted.client_id is not None and claims.subject != wanted.client_id:
        yield (
            f"the token's sub is {_shown(claims.subject)}, not the client id {wanted.client_id!r}: a trust policy with "
            "oidc:sub must name the former"
        )
    if claims.issued_at is not None and claims.issued_at > now + LEEWAY:
        yield f"the token's iat is more than {LEEWAY:.0f} s ahead of this machine's clock; check the clock"
    if claims.expires_at is not None and claims.expires_at <= now:
        yield "the token's exp has passed by this machine's clock; check the clock"


def _shown(*values: str | None) -> str:
    """Claims as a sentence may hold them: somebody else wrote them, so they are quoted and short."""
    said = [repr(value[:200]) for value in values[:5] if value is not None]
    return ", ".join(said) or "missing"


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    return tuple(item for item in values if isinstance(item, str))


def _number(value: Any) -> float | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number and 0 <= value < 1e11 else None
