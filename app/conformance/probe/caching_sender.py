"""A sender that sends each request to a server once and keeps every response."""

from __future__ import annotations

from collections.abc import Callable

from ..wire.request import Request
from ..wire.response import Outcome, Response


class CachingSender:
    """
    Send each request once and return the kept outcome when it is repeated. `exchanges` has all of them, in order.

    Equal requests with different purposes are sent separately, because each metadata token must be a new one.
    """

    def __init__(self, send: Callable[[Request], Outcome]) -> None:
        self._send = send
        self._outcomes: dict[tuple[bytes, str], Outcome] = {}
        self.exchanges: list[tuple[Request, Outcome]] = []

    def __call__(self, request: Request, purpose: str = "") -> Outcome:
        key = (request.raw, purpose)
        if key not in self._outcomes:
            self._outcomes[key] = self._send(request)
            self.exchanges.append((request, self._outcomes[key]))
        return self._outcomes[key]

    def responses(self) -> list[tuple[Request, Response]]:
        """Return the requests that got a response, with it."""
        return [(request, outcome) for request, outcome in self.exchanges if isinstance(outcome, Response)]
