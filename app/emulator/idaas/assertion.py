"""Verify the claims of a JWT client assertion, by RFC 7523 and by what real clients send."""

from ..crypto.jws import Token
from ..crypto.jws import parse as parse_jws
from ..crypto.replay_cache import ReplayCache
from ..http.request import Request
from ..http.response import RefusedError
from ..world.world import workload_issuer

MAX_LIFETIME = 3600
"""The maximum time until an assertion's `exp`, in seconds."""

STRICT_LIFETIME = 300
"""The maximum time from `iat` to `exp`, in seconds (Auth0)."""

STRICT_SLOWNESS = 5
"""Seconds by which the clock of a strict provider is behind, without tolerance for an `iat` in its future."""

CLOCK_SKEW = 60
"""How far an `iat` may be ahead of the emulator's clock, in seconds, because clocks of clients differ a little."""


def parse(text: str) -> Token:
    """Return the assertion without verifying it. Raises `RefusedError` if it is not a JWT."""
    try:
        return parse_jws(text)
    except ValueError:
        raise RefusedError("invalid_client", "The client assertion is not a JWT.") from None


def check_claims(token: Token, client_id: str, request: Request, used_ids: ReplayCache) -> None:
    """
    Check that the client made the assertion for this endpoint, that it is current, and that its `jti` is unused.

    A `jti` counts as used only if all other claims were correct. Raises `RefusedError`.
    """
    issuers = (request.world.issuer, workload_issuer(request.world))
    audiences = {request.url, *issuers, *(f"{issuer}/token" for issuer in issuers)} - {request.world.issuer}
    jti, expires_at = token.claims.get("jti"), token.number("exp")
    require(
        (token.claims.get("iss") == client_id, "iss is not the client_id"),
        (token.claims.get("sub") == client_id, "sub is not the client_id"),
        (not audiences.isdisjoint(token.audiences), "aud is not this token endpoint"),
        (request.now < expires_at, "exp has passed or is missing"),
        (expires_at <= request.now + MAX_LIFETIME, f"exp is more than {MAX_LIFETIME} seconds away"),
        ("iat" not in token.claims or token.number("iat") <= request.now + CLOCK_SKEW, "iat is in the future"),
        (isinstance(jti, str) and jti != "", "jti is missing"),
    )
    if not used_ids.add((client_id, str(jti)), expires_at=expires_at, now=request.now):
        raise rejected("jti was used before")


def check_strictly(text: str, request: Request) -> None:
    """Check the time of an assertion as the strictest OpenID providers do. Raises `RefusedError`."""
    token = parse(text)
    require(
        (token.number("exp") - token.number("iat") <= STRICT_LIFETIME, f"it lives for more than {STRICT_LIFETIME} s"),
        (token.number("iat") <= request.now - STRICT_SLOWNESS, "iat is in the future"),
    )


def require(*rules: tuple[bool, str]) -> None:
    """Raise `RefusedError` with the reason of the first rule that does not hold. A rule is a condition and a reason."""
    for holds, reason in rules:
        if not holds:
            raise rejected(reason)


def rejected(reason: str) -> RefusedError:
    """Return the error for a rejected client assertion."""
    return RefusedError("invalid_client", f"The client assertion was rejected: {reason}.")
