"""What OAuth servers answer: a token (RFC 6749 5.1) or an error (5.2), in the spellings that IDaaS uses."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from . import claims
from .identity_settings import TokenUse
from .model import Refused, SidecarError, Token, Unreachable
from .upstream import Reply, printable

_TRANSIENT = frozenset({"temporarily_unavailable", "server_error", "authorization_pending"})

_HINTS = {
    "invalid_client": "the client id, secret, key or assertion was not accepted: is it current, is the clock right?",
    "invalid_scope": "check the scope and that the application may use it",
    "scope_not_found": "the scope names a permission that the resource server does not have",
    "access_denied": "the application is not authorised for that resource server or scope",
    "invalid_grant": "the subject token was not accepted",
    "unauthorized_client": "the client may not use this grant, or this way to prove itself",
    "unsupported_grant_type": "the server does not know this grant",
    "invalid_target": "the server does not know that audience or resource",
    "operation_denied_by_license": "this IDaaS edition does not include the feature",
}

_BY_STATUS = MappingProxyType({404: "is that the token endpoint's URL?"})

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
    found = claims.unverified(value)
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


def oauth_error(
    reply: Reply,
    where: str,
    *,
    hints: Mapping[str, str] = MappingProxyType({}),
    status_hints: Mapping[int, str] = _BY_STATUS,
) -> SidecarError:
    """An answer other than 200 as our error; it quotes the error code and request id, nothing else."""
    members = reply.members(where)
    code = printable(str(_first(members, "error", "Code", "code") or reply.status))
    request_id = printable(str(_first(members, "request_id", "RequestId", "requestId") or ""))
    description = str(_first(members, "error_description", "Message", "message") or "")
    text = f"{where}: HTTP {reply.status} {code}{f' (request {request_id})' if request_id else ''}"
    throttled = reply.status == 429 or code == "slow_down" or code.startswith("Throttling")
    if throttled or reply.status >= 500 or code in _TRANSIENT:
        return Unreachable(text, retry_after=reply.retry_after, code=code, throttled=throttled)
    hint = hints.get(code) or _HINTS.get(code) or status_hints.get(reply.status)
    if "has not been authorized by resource server" in description:
        hint = "grant the application access to the resource server in IDaaS"
    return Refused(f"{text}: {hint}" if hint else text, status=reply.status, code=code, request_id=request_id)


def _plus(base: float, seconds: Any) -> float | None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < 1e11:
        return None
    return base + seconds


def _first(members: Mapping[str, Any], *names: str) -> Any:
    return next((members[name] for name in names if members.get(name)), None)
