"""A cache of tokens that profiles of one identity share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable

from cachetools import TLRUCache

from ..core.model import Now, Token

MOST = 4_096
"""Tokens kept; more identities than a process serves."""


class SharedTokens:
    """
    One token per identity, whoever asks.

    A token is handed out until a fifth of its life, at least 60 s, is left. Concurrent askers share one request, and
    one who leaves does not end it for the others.
    """

    def __init__(self, *, now: Now) -> None:
        self._held: TLRUCache[Hashable, Token] = TLRUCache(maxsize=MOST, ttu=self._hand_out_until, timer=now)
        self._flights: dict[Hashable, asyncio.Task[Token]] = {}

    async def token(self, identity: Hashable, fetch: Callable[[], Awaitable[Token]]) -> Token:
        """The identity's token, from memory or by `fetch`; raises what `fetch` raises."""
        held = self._held.get(identity)
        if held is not None:
            return held
        flight = self._flights.get(identity)
        if flight is None:
            flight = asyncio.ensure_future(self._fetch(identity, fetch))
            self._flights[identity] = flight
        return await asyncio.shield(flight)

    def forget(self, identity: Hashable, refused: Token | None = None) -> None:
        """Drops the identity's token; where it is `refused`, only that one: others may have had it replaced already."""
        if refused is None or self._held.get(identity) == refused:
            self._held.pop(identity, None)

    async def _fetch(self, identity: Hashable, fetch: Callable[[], Awaitable[Token]]) -> Token:
        try:
            token = await fetch()
            self._held[identity] = token
            return token
        finally:
            del self._flights[identity]

    @staticmethod
    def _hand_out_until(_identity: Hashable, token: Token, now: float) -> float:
        return token.expires_at - max(60.0, 0.2 * (token.expires_at - now))
