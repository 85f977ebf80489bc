"""Cures for a token that RAM does not trust: first another token, then a change in RAM with its consequence.

A change in RAM widens the role's trust. A wrong token is the more likely mistake, so its cure comes first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..core.display import shown_path, shown_variable
from ..identity.command import CommandIdentity
from ..identity.idaas import IdaasIdentity
from ..identity.identities import Identity
from ..identity.oidc_client import OidcClientIdentity
from ..identity.token_file import TokenFileIdentity

Claim = Literal["iss", "aud", "sub"]

_WITH: dict[Claim, str] = {"iss": "from the issuer", "aud": "with the audience", "sub": "for the subject"}


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """The identity of a profile, which determines the token's claims. `place`: the key path of the identity."""

    identity: Identity
    place: str

    def cure(self, claim: Claim, wanted: tuple[str, ...], change: str, consequence: str) -> str:
        """
        Return the whole cure for a claim without trust.

        `wanted`: the values or patterns that are trusted; empty: any other value. `change`: the change that makes RAM
        trust the token. `consequence`: what RAM then accepts beside this token.
        """
        values = " or ".join(map(repr, wanted))
        with_values = f"{_WITH[claim]} {values}" if wanted else f"with another {claim}"
        source = _source(self.identity, self.place, claim)
        return f"request the token {with_values}: correct {source}; if this token is right, {change}: {consequence}"


def _source(identity: Identity, place: str, claim: Claim) -> str:
    """Return what determines a claim of the identity's token."""
    match identity:
        case TokenFileIdentity(token_file=str(path)):
            return f"the program that writes {shown_path(path)}"
        case TokenFileIdentity():
            return f"the program that sets the variable {shown_variable(str(identity.token_env_var_name))}"
        case CommandIdentity():
            return f"{place}.command"
        case IdaasIdentity(token_exchange=exchange) if exchange is not None and claim == "sub":
            return _source(exchange.subject, f"{place}.tokenExchange.subject", claim)
        case IdaasIdentity() if claim == "aud":
            return f"{place}.scope"
        case OidcClientIdentity() if claim == "aud":
            return f"audience, resource or scope of {place}"
    client = "clientId, with that client's own secret or key"
    endpoint = "tokenEndpoint" if isinstance(identity, IdaasIdentity) or identity.token_endpoint else "issuer"
    return f"{place}.{client if claim == 'sub' else endpoint}"
