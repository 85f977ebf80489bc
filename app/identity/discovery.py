"""Where an OpenID provider's token endpoint is: its discovery document (OIDC Discovery 1.0 section 4)."""

from __future__ import annotations

from typing import Any

from ..core import addresses
from ..core.model import ConfigError, Now, Refused, Unreachable
from ..upstream.client import Get

FRESH_SECONDS = 3600.0
"""How long a document is taken as it is; afterwards a newer one is asked for, and the old one does if none comes."""


class Discovery:
    """One provider's token endpoint; `mutual_tls`: the one for clients that prove themselves by certificate."""

    def __init__(self, wire: Get, issuer: str, *, mutual_tls: bool, now: Now) -> None:
        self._wire = wire
        self._issuer = issuer
        self._mutual_tls = mutual_tls
        self._now = now
        self._found: str | None = None
        self._fresh_until = 0.0

    async def token_endpoint(self) -> str:
        """The endpoint, from memory while that is fresh. Raises Refused, Unreachable or ConfigError."""
        if self._found is not None and self._now() < self._fresh_until:
            return self._found
        try:
            found = await self._ask()
        except Unreachable:
            if self._found is None:
                raise
            return self._found
        self._found, self._fresh_until = found, self._now() + FRESH_SECONDS
        return found

    async def _ask(self) -> str:
        where = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
        reply = await self._wire.get(where)
        if reply.status >= 500 or reply.status == 429:
            raise Unreachable(f"{where}: HTTP {reply.status}", retry_after=reply.retry_after)
        if reply.status != 200:
            raise Refused(
                f"{where}: HTTP {reply.status}: is that the issuer's URL? tokenEndpoint makes discovery needless",
                status=reply.status,
                code=str(reply.status),
            )
        return self._endpoint(reply.members(where), where)

    def _endpoint(self, members: dict[str, Any], where: str) -> str:
        if members.get("issuer") != self._issuer:
            # OIDC Discovery 4.3: a document of another issuer would send the secret to that one.
            raise Refused(
                f"{where}: the document is another issuer's; the configured one must equal it to the letter",
                status=200,
                code="issuer_mismatch",
            )
        aliases = members.get("mtls_endpoint_aliases")
        alias = aliases.get("token_endpoint") if self._mutual_tls and isinstance(aliases, dict) else None
        found = alias or members.get("token_endpoint")
        if not isinstance(found, str):
            raise Unreachable(f"{where}: names no token_endpoint")
        try:
            return addresses.endpoint(found, where)
        except ConfigError:
            # It is the other side's URL, so it is not quoted.
            raise Refused(f"{where}: its token_endpoint is no https URL", status=200, code="bad_endpoint") from None
