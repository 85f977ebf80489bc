"""A response of the emulator, as a value without sockets or a framework."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MARKER_HEADER = "X-Idaas-Emulator"


@dataclass(frozen=True, slots=True)
class Response:
    """One response. `outcome` is "ok" or the error code, for the journal."""

    status: int
    body: bytes = field(repr=False)
    outcome: str = "ok"
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class RefusedError(Exception):
    """
    The request is refused with an error code and a message.

    Each endpoint formats the error response in its own way. With a `status` of None, it uses the code's usual status.
    """

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def json_response(document: Any, status: int = 200, outcome: str = "ok") -> Response:
    """Return a JSON response that no cache may store."""
    return Response(status, json.dumps(document).encode(), outcome, headers={"Cache-Control": "no-store"})


def request_id(random_bytes: bytes) -> str:
    """Return a request id in the cloud's format: an upper-case UUID of 16 random bytes."""
    return str(uuid.UUID(bytes=random_bytes, version=4)).upper()
