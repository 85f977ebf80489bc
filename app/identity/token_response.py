"""The token in an OAuth token response (RFC 6749 5.1), in the spellings that IDaaS uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.model import Token, TokenUse, Unreachable
from ..upstream.client import printable
from . import jwt_claims

_BEARER = ("bearer", "n_a")
"""Types of token that can be presented; `N_A` is what RFC 8693 2.2.1 says of one that is no access token."""


def token_from(members: Mapping[str, Any], *, now: float, where: str, use: TokenUse = "access_token") -> Token:
    """
    The token `use` of a successful answer, good until the earliest of what the answer and the JWT say.

    Raises Unreachable where the answer is no token answer, or where nothing says how long the token lives.
    """
    value = members.get(use)
    if not isinstance(value, str) or not value:
        raise Unreachable(f"{where}: an answer without {use}")
    kind = members.get("token_type")
    if kind is not None and str(kind).lower() not in _BEARER:
        raise Unreachable(f"{where}: a token of type {printable(str(kind))}, not Bearer")
    found = jwt_claims.unverified(value)
    if found is None:
        raise Unreachable(f"{where}: the {use} is not a JWT, which STS needs; check the resource server's settings")
    # expires_in and expires_at are the access token's; an id token says its own end.
    said = (_plus(now, members.get("expires_in")), _plus(0.0, members.get("expires_at"))) if use != "id_token" else ()
    ends = [end for end in (*said, found.expires_at) if end is not None]
    if not ends:
        raise Unreachable(f"{where}: the answer says nowhere how long the token lives")
    if min(ends) <= now:
        raise Unreachable(f"{where}: the token has already expired by this machine's clock; check the clock")
    return Token(value, min(ends))


def _plus(base: float, seconds: Any) -> float | None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < 1e11:
        return None
    return base + seconds
