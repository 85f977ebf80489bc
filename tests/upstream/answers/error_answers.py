"""Error answers for tests, and the class of the error that each stands for."""

from __future__ import annotations

import json
from typing import Any

from app.core.errors import Refused, SidecarError, Unreachable
from app.upstream.answers import errors
from app.upstream.response import UpstreamResponse

URL = "https://login.example.com/token"
TRANSIENT, THROTTLED = "transient", "transient, because a shared quota is used up"
PERMANENT, NEW_TOKEN = "permanent", "permanent, but a new token may succeed"
AUTH_FAIL = "AuthenticationFail"


def response(status: int, **members: Any) -> UpstreamResponse:
    """Return a response with this status and these members as its JSON body, to a request with the secret `s3cr3t`."""
    return page(status, json.dumps(members).encode())


def page(status: int, body: bytes) -> UpstreamResponse:
    """Return a response with this body."""
    return UpstreamResponse(status, body, retry_after=7.0, sent=("s3cr3t",))


def error_of(answer: UpstreamResponse, where: str, **meanings: Any) -> Refused | Unreachable:
    """Return the error that the answer of a token endpoint stands for."""
    return errors.error_of(answer, where, asked="the token endpoint", **meanings)


def classify(error: SidecarError) -> str:
    """Return the class of an error."""
    if isinstance(error, Refused):
        return NEW_TOKEN if error.renew_token else PERMANENT
    assert isinstance(error, Unreachable)
    assert error.retry_after == 7.0
    return THROTTLED if error.throttled else TRANSIENT
