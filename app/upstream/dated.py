"""Signed requests to a server whose clock is not known yet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from ..core.errors import Refused
from ..core.values import Now

T = TypeVar("T")

CORRECTED = 60.0
"""Seconds by which the clock must have changed. A request itself takes up to 25 s, and servers allow 15 minutes."""


async def dated(now: Now, request: Callable[[float], Awaitable[T]]) -> T:
    """
    Return the result of `request`, which signs the instant that it receives.

    A server that refuses the date sends its own date in the same answer. The request is then repeated once with the
    server's date.
    """
    at = now()
    try:
        return await request(at)
    except Refused as error:
        if error.code != "InvalidTimeStamp.Expired" or abs(now() - at) < CORRECTED:
            raise
    return await request(now())
