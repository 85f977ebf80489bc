"""An HTTP client that returns scripted answers and records the requests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.upstream.response import UpstreamResponse


def answer(body: Any, status: int = 200, retry_after: float | None = None) -> UpstreamResponse:
    """Return an answer with a body of text, or of a JSON value."""
    text = body if isinstance(body, str) else json.dumps(body)
    return UpstreamResponse(status, text.encode(), retry_after)


@dataclass(frozen=True)
class Sent:
    """One request."""

    method: str
    url: str
    fields: Mapping[str, str]
    headers: Mapping[str, str]


class FakeHttp:
    """A client whose answers are given in order; an exception among them is raised in its turn."""

    def __init__(self, *answers: UpstreamResponse | Exception) -> None:
        self._answers = list(answers)
        self.sent: list[Sent] = []

    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> UpstreamResponse:
        """Answer a GET."""
        return self._next(Sent("GET", url, {}, headers or {}))

    async def put(self, url: str, headers: Mapping[str, str]) -> UpstreamResponse:
        """Answer a PUT."""
        return self._next(Sent("PUT", url, {}, headers))

    async def post(
        self, url: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> UpstreamResponse:
        """Answer a POST."""
        return self._next(Sent("POST", url, fields, headers or {}))

    def _next(self, sent: Sent) -> UpstreamResponse:
        self.sent.append(sent)
        found = self._answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found
