"""What particular OpenID providers require of a signed assertion, beyond RFC 7523. A world selects one for `/workload`.

Sources: Auth0, "Authenticate with Private Key JWT"; Microsoft, "Application authentication certificate credentials";
Keycloak 26, `AbstractJWTClientValidator` and "Upgrading Guide" (one audience, the issuer).
"""

from collections.abc import Callable, Iterator

from ..crypto.jws import Token
from ..http.request import Request
from ..world.world import workload_issuer
from .assertion import STRICT_LIFETIME, require

Rule = tuple[bool, str]

KEYCLOAK_SECONDS = 60
"""The longest time from `iat` to now, and from now to the use of `exp` (Keycloak's "Max expiration")."""


def check_as(provider: str, token: Token, request: Request) -> None:
    """Check an assertion as `provider` does. Raises `RefusedError` with the reason of the first rule that fails."""
    require(*_RULES[provider](token, request))


def _auth0(token: Token, request: Request) -> Iterator[Rule]:
    yield token.claims.get("aud") == workload_issuer(request.world), "aud is not the issuer"
    yield token.algorithm in ("RS256", "RS384", "PS256"), f"the algorithm {token.algorithm} is not accepted"
    yield token.number("exp") <= request.now + STRICT_LIFETIME, f"exp is more than {STRICT_LIFETIME} s away"
    yield len(str(token.claims.get("jti"))) <= 64, "jti has more than 64 characters"
    yield "audience" in request.form, "the request has no audience"


def _entra(token: Token, request: Request) -> Iterator[Rule]:
    yield token.claims.get("aud") == request.url, "aud is not the token endpoint"
    yield token.algorithm in ("RS256", "PS256"), f"the algorithm {token.algorithm} is not accepted"
    yield "x5t#S256" in token.header, "AADSTS700027: the header names no certificate (x5t#S256)"


def _keycloak(token: Token, request: Request) -> Iterator[Rule]:
    yield token.claims.get("aud") == workload_issuer(request.world), "aud is not the issuer alone"
    yield request.now <= token.number("iat") + KEYCLOAK_SECONDS, "it was issued too far in the past to be used now"


_RULES: dict[str, Callable[[Token, Request], Iterator[Rule]]] = {
    "auth0": _auth0,
    "entra": _entra,
    "keycloak": _keycloak,
}
