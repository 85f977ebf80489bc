"""The common part of PKCS7, OIDC and PCA: a federated credential of the application, proven by an assertion."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ...core.record import Record
from ..client_auth import Proof


class Federated(Record, frozen=True):
    """A statement of another authority: a document of the machine (PKCS7) or a token of another issuer (OIDC)."""

    credential_name: str
    assertion_type: str
    assertion: Callable[[], Awaitable[str]]

    async def prove(self, endpoint: str) -> Proof:
        return Proof(fields=federated_fields(self.credential_name, self.assertion_type, await self.assertion()))


def federated_fields(credential_name: str, assertion_type: str, assertion: str) -> dict[str, str]:
    """Return the form fields that name the credential and carry the assertion."""
    return {
        "application_federated_credential_name": credential_name,
        "client_assertion_type": assertion_type,
        "client_assertion": assertion,
    }
