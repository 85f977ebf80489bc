"""Bodies of requests, bounded in time, in size, and in the memory that all of them take together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

LARGEST = 8_388_608
"""The most bytes of a request. The API server accepts objects up to 3 MiB, and an update has the old object, too."""

MOST_BYTES = 33_554_432
"""The most bytes of all requests under way. The container may use 192 MiB, and uses 70 MiB without requests."""

SECONDS = 3.0
"""Seconds for a whole body. The API server sends the body at once, and waits 5 s for the response."""


class BodyRefused(Exception):
    """A body above a limit. `status` is the HTTP status of the response."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Bodies:
    """Reads bodies within limits: any pod of the cluster can send one, and must not get the process OOM-killed."""

    def __init__(self, *, most_bytes: int = MOST_BYTES, seconds: float = SECONDS) -> None:
        self._left = most_bytes
        self._seconds = seconds

    @contextmanager
    def place(self) -> Iterator[Body]:
        """Yield a place for one body. The body's bytes count until the end of the block."""
        body = Body(self)
        try:
            yield body
        finally:
            self._left += body.taken

    def take(self, size: int) -> bool:
        """Take room for `size` more bytes, if there is any. Return whether there is."""
        if size > self._left:
            return False
        self._left -= size
        return True

    @property
    def seconds(self) -> float:
        """The time limit of one body."""
        return self._seconds


class Body:
    """One body. `taken`: the number of bytes that have arrived."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self.taken = 0

    async def read(self, parts: AsyncIterator[bytes]) -> bytes:
        """Return the whole body. Raises BodyRefused: 413 too large, 408 too slow, 503 no room."""
        raw = bytearray()
        try:
            async with asyncio.timeout(self._bodies.seconds):
                async for part in parts:
                    if self.taken + len(part) > LARGEST:
                        raise BodyRefused(413, "the request is too large")
                    if not self._bodies.take(len(part)):
                        raise BodyRefused(503, "too many large requests at once")
                    self.taken += len(part)
                    raw += part
        except TimeoutError:
            raise BodyRefused(408, "the request took too long") from None
        return bytes(raw)
