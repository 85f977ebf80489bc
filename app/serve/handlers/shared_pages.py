"""The pages of the operations listener: made by the application, shared by all clients that request them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from ..request import Request
from ..responses import Response
from .ops import PAGES, OpsHandler
from .snapshot import Snapshot


class SharedPages:
    """
    The answers of the operations listener: those of the handler, and for a page that the handler permits, `page`.

    A page depends on its path alone, so one response serves all requests that arrive at about the same time.
    """

    def __init__(self, handle: OpsHandler, page: Callable[[Request], Awaitable[Response]]) -> None:
        self._handle = handle
        self._pages = {path: Snapshot(page) for path in PAGES}

    def __call__(self, request: Request) -> Response | Coroutine[Any, Any, Response]:
        """Return the response, or a coroutine that makes it."""
        outcome = self._handle(request)
        if outcome is not None:
            return outcome
        # HEAD shares the response of GET. The connection sends it without its body.
        return self._pages[request.path].response(request._replace(method=b"GET"))
