"""Authentication of a client at a token endpoint (RFC 6749 2.3, RFC 7523 2.2): one small object per method.

A new proof is made for every request: it reads the secrets again, and no assertion is used twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ..core.record import Record

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

ISSUED_BEFORE = 30
"""Seconds by which an assertion for an OpenID provider is dated back: many refuse an `iat` in their future."""

LONGEST_LIFE = 300
"""Seconds: the longest lifetime of an assertion that every provider accepts (limited by Auth0)."""


class AssertionStyle(Record, frozen=True):
    """
    The form of assertions for a server. The defaults come from the official IDaaS SDKs (IDaaS's CLI uses 300 s).

    `seconds`: from `iat` to `exp`. `issued_before`: seconds from `iat` to now. `audience`: None stands for the URL of
    the request.
    """

    seconds: int = 600
    issued_before: int = 0
    audience: str | None = None


IDAAS_STYLE = AssertionStyle()


class Proof(Record, frozen=True):
    """
    The parts of a token request beside grant_type and scope.

    `names_client`: whether `headers` name the client, so that the form must not name it again. `secrets`: secrets that
    the proof was made with but does not contain. An answer's text must not show them either.
    """

    HIDDEN = frozenset({"fields", "headers", "secrets"})

    fields: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    names_client: bool = False
    secrets: tuple[str, ...] = ()


class ClientAuth(Protocol):
    """Makes proofs. Raises ConfigError if the secret or key is missing or unusable."""

    async def prove(self, endpoint: str) -> Proof: ...


def assertion_claims(
    client_id: str, endpoint: str, *, now: float, jti: str, style: AssertionStyle = IDAAS_STYLE
) -> dict[str, Any]:
    """Return RFC 7523 claims. As `aud`, IDaaS requires the exact URL of the request, not the issuer."""
    issued = int(now) - style.issued_before
    return {
        "aud": style.audience or endpoint,
        "sub": client_id,
        "iss": client_id,
        "jti": jti,
        "iat": issued,
        "exp": issued + style.seconds,
    }


def sign(claims: Mapping[str, Any], key: Any, algorithm: str, **headers: str | None) -> str:
    """Return the compact JWS of `claims`, with the headers that are not None. Imports PyJWT: call it in a thread."""
    import warnings

    import jwt

    # IDaaS generates the secret, so users cannot act on a warning about its length at every refresh.
    warnings.simplefilter("ignore", jwt.InsecureKeyLengthWarning)
    found = {name: value for name, value in headers.items() if value}
    return jwt.encode(dict(claims), key, algorithm, headers=found or None, sort_headers=True)


def jwt_bearer(assertion: str, *secrets: str) -> Proof:
    """Return the proof with an assertion, which was made with `secrets` (RFC 7523 2.2)."""
    return Proof(fields={"client_assertion_type": JWT_BEARER, "client_assertion": assertion}, secrets=secrets)
