"""One response shared by all clients that request it at about the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ..responses import NOT_FOUND, Response

LONGEST_REUSE = 0.5
"""Seconds for which a response is given again: far less than any scrape interval."""


class Snapshot:
    """
    Builds a response with `make`, and returns it again while it is fresh.

    Starvation: building takes the interpreter from all other work, so a flood of requests gets a tenth of its time.
    """

    def __init__(self, make: Callable[[], Awaitable[Response]]) -> None:
        self._make = make
        self._building = asyncio.Lock()
        self._response = NOT_FOUND
        self._fresh_until = float("-inf")

    async def response(self) -> Response:
        """Return a response that is at most LONGEST_REUSE seconds old."""
        loop = asyncio.get_running_loop()
        async with self._building:  # one at a time; a waiter finds what was built meanwhile
            if loop.time() >= self._fresh_until:
                started = loop.time()
                self._response = await self._make()
                self._fresh_until = loop.time() + min(LONGEST_REUSE, 9 * (loop.time() - started))
            return self._response
