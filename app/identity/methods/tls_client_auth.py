"""tls_client_auth: the client certificate of the TLS connection is the proof (RFC 8705 2.1)."""

from __future__ import annotations

from collections.abc import Iterator

from ...core.checks import Check, fails
from ...core.errors import Mistake
from ...core.record import Record
from ..client_auth import Proof
from ..context import TokenSource
from .method import ClientFacts, ClientParts, Method


class TlsClientAuth(Record, frozen=True):
    """The client certificate proves the identity, so the request contains no further proof."""

    async def prove(self, endpoint: str) -> Proof:
        return Proof()


class OAuthTlsClientAuth(Method, tag_field="method", tag="tls_client_auth", frozen=True, kw_only=True):
    """The client certificate of the connection (`connection.certificateFile`)."""

    def checks(self, place: str, facts: ClientFacts) -> Iterator[Check]:
        if not facts.connection.certificate_file:
            where = f"{facts.place}.connection.certificateFile"
            yield fails(Mistake(f"{where}: required with tls_client_auth", "IDS-106"))

    def build(self, parts: ClientParts) -> TokenSource:
        return parts.token_endpoint_source(TlsClientAuth())
