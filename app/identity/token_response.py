"""The token in an OAuth token response (RFC 6749 5.1), in the spellings that IDaaS uses."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..core.errors import ConfigError, Unreachable
from ..core.numbers import seconds
from ..core.values import Token, TokenUse
from ..upstream.redaction import first_with_a_secret, shown_id
from . import jwt_claims

_NUMBER = re.compile(r"\s*([0-9]{1,12})[0-9]*(?:\.[0-9]*)?\s*", re.ASCII)
"""Whole seconds, with or without a fraction, which does not count."""

_BEARER = ("bearer", "n_a")
"""The types of token that can be presented. RFC 8693 2.2.1 defines `N_A` for a token that is not an access token."""


def token_from(
    members: Mapping[str, Any],
    *,
    now: float,
    where: str,
    use: TokenUse = "access_token",
    secrets: Sequence[str] = (),
    public: Sequence[str] = (),
) -> Token:
    """
    Return the token `use` of a successful answer, valid until the earliest expiry in the answer and in the JWT.

    `secrets`: those of the request, which no message repeats. `public`: words of the request that a token may repeat.

    Raises Unreachable if the answer has no token, if neither has an expiry, or if the token shows a secret. Raises
    ConfigError if the server issues a different token, or a different kind of token, than configured.
    """
    value = _text_of(members, use, where)
    kind = members.get("token_type")
    if kind is not None and str(kind).lower() not in _BEARER:
        raise Unreachable(f"{where}: a token of type {shown_id(str(kind), secrets)}, not Bearer", error_code="IDS-320")
    claims = jwt_claims.unverified(value)
    if claims is None:
        raise ConfigError(
            f"{where}: the {use} is not a JWT, which STS needs",
            cure=_cure(members, value, use),
            error_code="IDS-321",
        )
    # Logs, `doctor` and STS show these members, and STS writes them into its audit trail.
    name = first_with_a_secret(jwt_claims.shown_members(value, claims), secrets, public)
    if name is not None:
        raise Unreachable(
            f"{where}: the {name} of the {use} repeats a secret of the request, so the token is not used",
            cure=f"let the server issue tokens with another {name}, and replace the secret",
            error_code="IDS-347",
        )
    # expires_in and expires_at describe the access token; an id token has its own exp.
    given = (_plus(now, members.get("expires_in")), _plus(0.0, members.get("expires_at"))) if use != "id_token" else ()
    ends = [end for end in (*given, claims.expires_at) if end is not None]
    if not ends:
        raise Unreachable(f"{where}: the answer does not say how long the token lives", error_code="IDS-320")
    if min(ends) <= now:
        raise Unreachable(
            f"{where}: the token has already expired by this machine's clock",
            cure="set the clock",
            error_code="IDS-322",
        )
    return Token(value, min(ends))


def _cure(members: Mapping[str, Any], value: str, use: TokenUse) -> str:
    """Return what to do about a token that is not a JWT."""
    other = "id_token" if use == "access_token" else "access_token"
    beside = members.get(other)
    if isinstance(beside, str) and jwt_claims.unverified(beside) is not None:
        return f"set tokenUse to {other}, which is a JWT, or let the server issue a JWT as {use}"
    if value.count(".") == 4:  # a JWE (RFC 7516 3.1)
        return f"turn off the encryption of the {use} at the server"
    return "switch the resource server to JWT access tokens" if use == "access_token" else f"set tokenUse to {other}"


def _text_of(members: Mapping[str, Any], use: TokenUse, where: str) -> str:
    """Return the text of the token `use`. Raises ConfigError or Unreachable if there is none."""
    value = members.get(use)
    if isinstance(value, str) and value:
        return value
    other = "id_token" if use == "access_token" else "access_token"
    if not members.get(other):
        raise Unreachable(f"{where}: an answer without {use}", error_code="IDS-320")
    hint = ", or request the scope openid" if use == "id_token" else ""
    raise ConfigError(
        f"{where}: an answer without {use}, but with {other}",
        cure=f"set tokenUse to {other}{hint}",
        error_code="IDS-320",
    )


def _plus(base: float, value: Any) -> float | None:
    number = _NUMBER.fullmatch(value) if isinstance(value, str) else None
    if number is not None:
        value = float(number[1])  # some servers, such as the first version of Entra, write the number as text
    found = seconds(value)
    return base + found if found else None
