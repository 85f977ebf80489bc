"""A cache of tokens, shared by the profiles of one identity."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from functools import partial

from cachetools import TLRUCache

from ..core.values import Now, Token

MOST_TOKENS = 4_096
"""The most tokens kept: more than a process has identities."""


@dataclass(slots=True, eq=False)
class _Request:
    """A request for a token, and how many callers wait for it."""

    task: asyncio.Future[Token]
    callers: int = 0


class TokenCache:
    """
    One token per identity.

    A token is used until a fifth of its lifetime, at least 60 s, is left. Concurrent callers share one request. It is
    cancelled when all of them are cancelled.
    """

    def __init__(self, *, now: Now) -> None:
        self._tokens: TLRUCache[Hashable, Token] = TLRUCache(maxsize=MOST_TOKENS, ttu=self._usable_until, timer=now)
        self._requests: dict[Hashable, _Request] = {}

    async def token(self, identity: Hashable, fetch: Callable[[], Awaitable[Token]]) -> Token:
        """Return the identity's token, from memory or from `fetch`. Raises the errors of `fetch`."""
        held = self._tokens.get(identity)
        if held is not None:
            return held
        request = self._requests.get(identity)
        if request is None:
            request = self._requests[identity] = _Request(asyncio.ensure_future(fetch()))
            request.task.add_done_callback(partial(self._ended, identity, request))
        request.callers += 1
        try:
            return await asyncio.shield(request.task)
        finally:
            request.callers -= 1
            if not request.callers and not request.task.done():
                self._drop(identity, request)  # at once: a next caller needs a request of its own
                request.task.cancel()
            # A failed task holds its error, and the error's traceback this frame. Without this cycle, the answer's body
            # and the proof in the frames below are freed at once; an idle process rarely collects garbage.
            del request

    def forget(self, identity: Hashable, refused: Token | None = None) -> None:
        """Drop the identity's token. With `refused`, drop only this token: a new one may have replaced it already."""
        if refused is None or self._tokens.get(identity) == refused:
            self._tokens.pop(identity, None)

    def _ended(self, identity: Hashable, request: _Request, task: asyncio.Future[Token]) -> None:
        self._drop(identity, request)
        if not task.cancelled() and task.exception() is None:
            self._tokens[identity] = task.result()

    def _drop(self, identity: Hashable, request: _Request) -> None:
        if self._requests.get(identity) is request:
            del self._requests[identity]

    @staticmethod
    def _usable_until(_identity: Hashable, token: Token, now: float) -> float:
        return token.expires_at - max(60.0, 0.2 * (token.expires_at - now))
