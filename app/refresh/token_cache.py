"""A cache of tokens, shared by the profiles of one identity."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable

from cachetools import TLRUCache

from ..core.values import Now, Token

MOST_TOKENS = 4_096
"""The most tokens kept: more than a process has identities."""


class TokenCache:
    """
    One token per identity.

    A token is used until a fifth of its lifetime, at least 60 s, is left. Concurrent callers share one request. The
    cancellation of one caller does not end the request for the others.
    """

    def __init__(self, *, now: Now) -> None:
        self._tokens: TLRUCache[Hashable, Token] = TLRUCache(maxsize=MOST_TOKENS, ttu=self._usable_until, timer=now)
        self._requests: dict[Hashable, asyncio.Task[Token]] = {}

    async def token(self, identity: Hashable, fetch: Callable[[], Awaitable[Token]]) -> Token:
        """Return the identity's token, from memory or from `fetch`. Raises the errors of `fetch`."""
        held = self._tokens.get(identity)
        if held is not None:
            return held
        request = self._requests.get(identity)
        if request is None:
            request = asyncio.ensure_future(self._fetch(identity, fetch))
            self._requests[identity] = request
        return await asyncio.shield(request)

    def forget(self, identity: Hashable, refused: Token | None = None) -> None:
        """Drop the identity's token. With `refused`, drop only this token: a new one may have replaced it already."""
        if refused is None or self._tokens.get(identity) == refused:
            self._tokens.pop(identity, None)

    async def _fetch(self, identity: Hashable, fetch: Callable[[], Awaitable[Token]]) -> Token:
        try:
            token = await fetch()
            self._tokens[identity] = token
            return token
        finally:
            del self._requests[identity]

    @staticmethod
    def _usable_until(_identity: Hashable, token: Token, now: float) -> float:
        return token.expires_at - max(60.0, 0.2 * (token.expires_at - now))
