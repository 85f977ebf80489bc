"""The token endpoint of an OpenID provider, from its discovery document (OIDC Discovery 1.0 section 4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core import urls
from ..core.errors import ConfigError, Mistake, Refused, Unreachable
from ..core.text import quoted
from ..core.values import Now
from ..upstream.answers.errors import answer_of
from ..upstream.response import Get

FRESH_SECONDS = 3600.0
"""Seconds for which a document is used. Then a new one is fetched; if that fails, the old one remains in use."""

_NO_NEWER = "no newer discovery document can be used, so the known token endpoint stays in use"

PAUSE_SECONDS = 300.0
"""Seconds for which a known endpoint stays in use, without a request for its document, after a failure to renew the
document. A refused refresh is repeated at the same pace. Without a known endpoint that works, every attempt of a
refresh requests the document, so neither a start nor a recovery is delayed."""

MOST_ALGORITHMS = 50
"""The most algorithm names that are read. A provider has a dozen."""


class Discovery:
    """
    The discovery document of one provider. `mutual_tls`: use the endpoint for clients with a certificate.

    `warn` receives one line when a document that was due for renewal stays in use, until a renewal succeeds.
    """

    def __init__(self, http: Get, issuer: str, *, mutual_tls: bool, now: Now, warn: Callable[[Mistake], None]) -> None:
        self._http = http
        self._issuer = issuer
        self._mutual_tls = mutual_tls
        self._now = now
        self._warn = warn
        self._warned = False
        self._found: str | None = None
        self._fresh_until = 0.0
        self._algorithms: tuple[str, ...] = ()

    async def token_endpoint(self) -> str:
        """
        Return the endpoint, from memory while the document is fresh. Raises Refused, Unreachable or ConfigError.

        A known endpoint stays in use when the issuer later answers with a gateway's page, a 404 or a document of
        another issuer. An endpoint that has moved refuses requests by itself.
        """
        if self._found is not None and self._now() < self._fresh_until:
            return self._found
        try:
            found = await self._fetch()
        except (Refused, Unreachable) as error:
            if self._found is None:
                raise
            if not self._warned:
                self._warned = True
                self._warn(Mistake(f"{_NO_NEWER}: {error.quoted_cause}", "IDS-346"))
            pause = min(max(PAUSE_SECONDS, error.retry_after or 0.0), FRESH_SECONDS)
            self._fresh_until = self._now() + pause
            return self._found
        self._found, self._fresh_until, self._warned = found, self._now() + FRESH_SECONDS, False
        return found

    def failed(self) -> None:
        """End the pause before the next request for the document: a failing endpoint may have moved."""
        if self._warned:
            self._fresh_until = 0.0

    def signing_algorithms(self) -> tuple[str, ...]:
        """Return the algorithms of assertions in the last document; empty if it names none."""
        return self._algorithms

    async def _fetch(self) -> str:
        where = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
        response = await self._http.get(where)
        try:
            members = answer_of(response, where, asked="the issuer", wanted="issuer")
        except Refused as error:
            code = error.code if error.code != str(error.status) else ""
            request = f"request {error.request_id}" if error.request_id else ""
            known = f" ({', '.join(filter(None, (code, request)))})" if code or request else ""
            raise error.reworded(
                f"{where}: HTTP {error.status}{known}",
                cure="correct the issuer, or set tokenEndpoint, which needs no discovery document",
            ) from None
        endpoint = self._endpoint(members, where)
        named = members.get("token_endpoint_auth_signing_alg_values_supported")
        self._algorithms = tuple(map(str, named[:MOST_ALGORITHMS])) if isinstance(named, list) else ()
        return endpoint

    def _endpoint(self, members: dict[str, Any], where: str) -> str:
        if members.get("issuer") != self._issuer:
            # OIDC Discovery 4.3: a document of another issuer would send the secret to that issuer.
            raise Refused(
                f"{where}: the document names another issuer, {_shown(members.get('issuer'))}, than the configured "
                f"{self._issuer!r}",
                cure="write the issuer exactly as the document names it",
                status=200,
                code="issuer_mismatch",
                endpoint=where,
                error_code="IDS-323",
            )
        aliases = members.get("mtls_endpoint_aliases")
        alias = aliases.get("token_endpoint") if self._mutual_tls and isinstance(aliases, dict) else None
        found = alias or members.get("token_endpoint")
        if not isinstance(found, str):
            raise Unreachable(f"{where}: names no token_endpoint", endpoint=where, status=200, error_code="IDS-323")
        try:
            return urls.token_endpoint(found, where)
        except ConfigError:
            raise Refused(
                f"{where}: its token_endpoint is not an https URL: {_shown(found)}",
                status=200,
                code="bad_endpoint",
                endpoint=where,
                error_code="IDS-323",
            ) from None


def _shown(value: Any) -> str:
    """Return a value of the document for a message: quoted, on one line, and cut, because it is another side's text."""
    return repr(quoted(value)) if isinstance(value, str) else "missing"
