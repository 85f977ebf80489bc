"""The claims of a JWT client assertion, as RFC 7523 and the real clients have them."""

from ..crypto.jws import Token
from ..crypto.jws import parse as parse_jws
from ..crypto.nonces import SeenOnce
from ..http.request import Asked
from ..http.response import RefusedError
from ..world.world import workload_issuer

LONGEST_LIFE = 3600
CLOCK_LEEWAY = 60  # for an `iat` ahead of our clock; a client's clock is never exactly ours


def parse(text: str) -> Token:
    """The assertion, unverified. Raises `RefusedError` if it is not a JWT."""
    try:
        return parse_jws(text)
    except ValueError:
        raise RefusedError("invalid_client", "The client assertion is not a JWT.") from None


def check_claims(token: Token, client_id: str, asked: Asked, seen: SeenOnce) -> None:
    """
    Raises `RefusedError` unless this client made the assertion for this endpoint, for now, and uses it once.

    A `jti` counts as used only if all else was right.
    """
    issuers = (asked.world.issuer, workload_issuer(asked.world))
    audiences = {asked.url, *issuers, *(f"{issuer}/token" for issuer in issuers)} - {asked.world.issuer}
    jti, expires_at = token.claims.get("jti"), token.number("exp")
    rules = (
        (token.claims.get("iss") == client_id, "iss is not the client_id"),
        (token.claims.get("sub") == client_id, "sub is not the client_id"),
        (not audiences.isdisjoint(token.audiences), "aud is not this token endpoint"),
        (asked.at < expires_at, "exp has passed or is missing"),
        (expires_at <= asked.at + LONGEST_LIFE, f"exp is more than {LONGEST_LIFE} seconds away"),
        ("iat" not in token.claims or token.number("iat") <= asked.at + CLOCK_LEEWAY, "iat is in the future"),
        (isinstance(jti, str) and jti != "", "jti is missing"),
    )
    _require(rules)
    if not seen.first_time((client_id, str(jti)), until=expires_at, now=asked.at):
        raise RefusedError("invalid_client", "The client assertion was refused: jti was used before.")


def _require(rules: tuple[tuple[bool, str], ...]) -> None:
    for holds, otherwise in rules:
        if not holds:
            raise RefusedError("invalid_client", f"The client assertion was refused: {otherwise}.")
