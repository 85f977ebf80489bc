"""One response shared by all clients that request it at about the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from ..responses import NOT_FOUND, Response

LONGEST_REUSE = 0.5
"""Seconds for which a response is used again: far less than any scrape interval."""


class Snapshot:
    """
    Builds a response with `make`, and returns it again while it is fresh.

    Starvation: while a response is built, the interpreter does no other work. So a flood of requests gets a tenth of
    its time. All requests that arrive meanwhile share one response, so a flood costs no memory for responses.
    """

    def __init__(self, make: Callable[..., Awaitable[Response]]) -> None:
        self._make = make
        self._building: asyncio.Task[Response] | None = None
        self._response = NOT_FOUND
        self._fresh_until = float("-inf")

    def response(self, *arguments: Any) -> Response | Coroutine[Any, Any, Response]:
        """Return a response at most LONGEST_REUSE seconds old, or a coroutine that waits for `make(*arguments)`."""
        loop = asyncio.get_running_loop()
        return self._response if loop.time() < self._fresh_until else self._built(arguments)

    async def _built(self, arguments: tuple[Any, ...]) -> Response:
        if self._building is None:
            self._building = asyncio.create_task(self._build(arguments))
        return await asyncio.shield(self._building)  # one client's disconnect must not cancel the others' response

    async def _build(self, arguments: tuple[Any, ...]) -> Response:
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            self._response = await self._make(*arguments)
            self._fresh_until = loop.time() + min(LONGEST_REUSE, 9 * (loop.time() - started))
        finally:
            self._building = None
        return self._response
