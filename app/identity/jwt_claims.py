"""Reads the claims of a JWT, for warnings and times only. STS verifies the token; this program does not.

Written by hand, because PyJWT imports cryptography: 8 MiB that a profile with a client secret never needs
(ARCHITECTURE.md, "Dependencies").
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any

from ..core.errors import Mistake
from ..core.json_text import json_value
from ..core.numbers import seconds
from ..core.record import Record

_COMPACT = re.compile(r"[A-Za-z0-9_-]+={0,2}\.([A-Za-z0-9_-]+={0,2})\.[A-Za-z0-9_-]+={0,2}")
"""A signed JWT in compact form (RFC 7515 7.1). Some issuers add base64 padding, which the RFC does not allow."""

SHOWN_HEADERS = ("alg", "kid", "typ")
"""The members of a token's header that `doctor` shows."""

LEEWAY = 60.0
"""Seconds of clock difference that cause no warning."""


class Claims(Record, frozen=True):
    """The claims that STS checks. A claim that is absent or of the wrong type is None or empty."""

    issuer: str | None
    audiences: tuple[str, ...]
    subject: str | None
    issued_at: float | None
    expires_at: float | None


class ExpectedClaims(Record, frozen=True):
    """The claims that the configuration requires. A claim without a requirement is None."""

    issuer: str | None = None
    audience: str | None = None
    client_id: str | None = None


def unverified(token: str) -> Claims | None:
    """Return the claims of `token`, or None if it is not a JWT."""
    parts = _COMPACT.fullmatch(token)
    if parts is None:
        return None
    try:
        payload = json_value(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return None
    if not isinstance(payload, dict):
        return None
    return Claims(
        issuer=_text(payload.get("iss")),
        audiences=_texts(payload.get("aud")),
        subject=_text(payload.get("sub")),
        issued_at=seconds(payload.get("iat")),
        expires_at=seconds(payload.get("exp")),
    )


def header(token: str) -> dict[str, Any]:
    """Return the header of `token`, or an empty object if the token has no readable header."""
    encoded = token.partition(".")[0]
    try:
        found = json_value(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except (binascii.Error, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def shown_members(token: str, claims: Claims) -> dict[str, tuple[str, ...]]:
    """Return the texts of `token` that messages show, by the name of the claim or of the header's member."""
    named = header(token)
    shown = {name: (str(named[name]),) for name in SHOWN_HEADERS if name in named}
    return {"iss": _texts(claims.issuer), "aud": claims.audiences, "sub": _texts(claims.subject), **shown}


def seconds_until_issued(token: str, now: float) -> float:
    """Return the seconds until the `iat` of `token`; 0 if the `iat` has passed or is missing."""
    found = unverified(token)
    return max(0.0, found.issued_at - now) if found is not None and found.issued_at is not None else 0.0


def mismatches(claims: Claims, expected: ExpectedClaims, now: float) -> Iterator[Mistake]:
    """Yield a sentence for each claim that STS may refuse, or that differs from the configuration."""
    if expected.issuer is not None and claims.issuer != expected.issuer:
        yield Mistake(
            f"the token's iss is {_shown(claims.issuer)}, the configuration says {expected.issuer!r}: STS compares it "
            "exactly with the OIDC provider's URL in RAM (custom domain, dynamic issuer or trailing slash?)",
            "IDS-331",
        )
    if expected.audience is not None and expected.audience not in claims.audiences:
        yield Mistake(
            f"the token's aud is {_shown(*claims.audiences)}, the scope asks for {expected.audience!r}: it must be "
            "among the OIDC provider's client ids",
            "IDS-330",
        )
    if expected.client_id is not None and claims.subject != expected.client_id:
        yield Mistake(
            f"the token's sub is {_shown(claims.subject)}, not the client id {expected.client_id!r}: a trust policy "
            "with oidc:sub must name the former",
            "IDS-332",
        )
    if claims.issued_at is not None and claims.issued_at > now + LEEWAY:
        yield Mistake(
            f"the token's iat is more than {LEEWAY:.0f} s ahead of this machine's clock", "IDS-214", "set the clock"
        )
    if claims.expires_at is not None and claims.expires_at <= now:
        yield Mistake("the token's exp has passed by this machine's clock", "IDS-322", "set the clock")


def _shown(*values: str | None) -> str:
    """Return claims for a message, quoted and cut, because the issuer chooses their text."""
    shown = [repr(value[:200]) for value in values[:5] if value is not None]
    return ", ".join(shown) or "missing"


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    return tuple(item for item in values if isinstance(item, str))
