"""Requests to a credential handler, without a socket."""

from __future__ import annotations

import json

from app.serve.handlers.credentials import CredentialHandler
from app.serve.handlers.outcome import LabelledResponse
from app.serve.request import Request

HOST = (b"host", b"127.0.0.1:7117")
ROLES = b"/latest/meta-data/ram/security-credentials"
PATH_TOKEN = b"path-token-0123456789"


def request(
    at: CredentialHandler, target: bytes, *headers: tuple[bytes, bytes], method: bytes = b"GET", host: bool = True
) -> LabelledResponse:
    """Return the handler's answer to a request that needs no wait."""
    answer = at.decide(Request(method, target, [*([HOST] if host else []), *headers]))
    assert isinstance(answer, LabelledResponse)
    return answer


def code(answer: LabelledResponse) -> str:
    """Return the Code of an answer."""
    return str(json.loads(answer.response.body)["Code"])
