"""What leaves an endpoint: a value, without sockets or a framework."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MARK_HEADER = "X-Idaas-Emulator"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; `outcome` is "ok" or the error code, for the journal."""

    status: int
    body: bytes = field(repr=False)
    outcome: str = "ok"
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class RefusedError(Exception):
    """A request is refused; its endpoint gives this its own shape. A `status` of None is the code's usual one."""

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def json_answer(document: Any, status: int = 200, outcome: str = "ok") -> Answer:
    """An answer in JSON that no cache may keep."""
    return Answer(status, json.dumps(document).encode(), outcome, headers={"Cache-Control": "no-store"})


def request_id(sixteen: bytes) -> str:
    """A request id in the cloud's spelling."""
    return str(uuid.UUID(bytes=sixteen, version=4)).upper()
