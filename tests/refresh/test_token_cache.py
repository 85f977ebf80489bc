"""Tokens shared by the profiles of one identity: how long one is used, and who shares its request."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from collections.abc import Callable

import pytest

from app.core.errors import Unreachable
from app.core.values import Token
from app.refresh.token_cache import TokenCache

from ..clock import Clock


class TokenIssuer:
    """Return numbered tokens with a lifetime of `life` seconds, or raise `error`, as soon as `open` is set."""

    def __init__(self, clock: Clock, life: float = 1200.0) -> None:
        self.clock, self.life = clock, life
        self.calls = 0
        self.error: Exception | None = None
        self.open = asyncio.Event()
        self.open.set()

    async def fetch(self) -> Token:
        """Return the next token."""
        self.calls += 1
        number = self.calls
        await self.open.wait()
        if self.error is not None:
            raise self.error
        return Token(f"token-{number}", self.clock.time() + self.life)


@pytest.fixture
def issuer(clock: Clock) -> TokenIssuer:
    """The issuer of tokens."""
    return TokenIssuer(clock)


@pytest.fixture
def cache(clock: Clock) -> TokenCache:
    """An empty cache on the test's clock."""
    return TokenCache(now=clock.time)


@pytest.mark.parametrize(
    ("life", "used_for"),
    [(1200, 960), (400, 320), (300, 240), (200, 140), (100, 40), (61, 1)],
)
async def test_token_is_used_until_a_fifth_or_a_minute_is_left(
    life: float, used_for: float, cache: TokenCache, issuer: TokenIssuer, clock: Clock
) -> None:
    """A token is used until a fifth of its lifetime is left, but at least 60 s."""
    issuer.life = life
    await cache.token("a", issuer.fetch)
    clock.skip(used_for - 0.5)
    used = await cache.token("a", issuer.fetch)
    clock.skip(0.5)

    assert (used.value, (await cache.token("a", issuer.fetch)).value) == ("token-1", "token-2")


@pytest.mark.parametrize("life", [60, 30])
async def test_token_of_a_minute_is_used_once(life: float, cache: TokenCache, issuer: TokenIssuer) -> None:
    """A token that lives 60 s or less is not kept."""
    issuer.life = life
    tokens = [(await cache.token("a", issuer.fetch)).value for _ in range(2)]

    assert tokens == ["token-1", "token-2"]


async def test_concurrent_callers_share_one_request(cache: TokenCache, issuer: TokenIssuer) -> None:
    """Callers of one identity share one request; another identity has its own."""
    issuer.open.clear()
    requests = [asyncio.create_task(cache.token(identity, issuer.fetch)) for identity in ("a", "a", "b")]
    await asyncio.sleep(0)
    issuer.open.set()

    assert [(await request).value for request in requests] == ["token-1", "token-1", "token-2"]
    assert issuer.calls == 2


async def test_cancelled_caller_does_not_end_the_request(cache: TokenCache, issuer: TokenIssuer) -> None:
    """When the first of two callers is cancelled, the other one gets the token of the same request."""
    issuer.open.clear()
    first, second = (asyncio.create_task(cache.token("a", issuer.fetch)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait((first,))
    issuer.open.set()

    assert (await second).value == "token-1"
    assert issuer.calls == 1


async def test_failed_request_is_not_kept(cache: TokenCache, issuer: TokenIssuer) -> None:
    """An error reaches the caller, and the next call makes a new request."""
    issuer.error = Unreachable("down")
    with pytest.raises(Unreachable, match="down"):
        await cache.token("a", issuer.fetch)
    issuer.error = None

    assert (await cache.token("a", issuer.fetch)).value == "token-2"


@pytest.mark.parametrize(
    ("refused", "calls"),
    [(lambda _token: None, 2), (lambda token: token, 2), (lambda token: Token("another", token.expires_at), 1)],
    ids=["any", "this", "another"],
)
async def test_forgotten_token_is_replaced(
    refused: Callable[[Token], Token | None], calls: int, cache: TokenCache, issuer: TokenIssuer
) -> None:
    """A forgotten token is replaced, unless another one than the refused is held by now."""
    token = await cache.token("a", issuer.fetch)
    cache.forget("a", refused(token))
    await cache.token("a", issuer.fetch)

    assert issuer.calls == calls


def test_unknown_identity_can_be_forgotten(cache: TokenCache) -> None:
    """Forgetting an identity without a token has no effect."""
    cache.forget("a")
    cache.forget("a", Token("t", 0.0))


async def test_last_caller_that_leaves_ends_the_request(cache: TokenCache, issuer: TokenIssuer) -> None:
    """A request that nobody waits for takes memory and a connection, so it ends; the next caller makes a new one."""
    issuer.open.clear()
    callers = [asyncio.create_task(cache.token("a", issuer.fetch)) for _ in range(2)]
    await asyncio.sleep(0)
    requests = asyncio.all_tasks() - {*callers, asyncio.current_task()}
    assert len(requests) == 1
    callers[0].cancel()
    await asyncio.sleep(0)
    assert requests <= asyncio.all_tasks()
    callers[1].cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    next_caller = asyncio.create_task(cache.token("a", issuer.fetch))  # before the cancelled request has ended
    await asyncio.wait(requests)
    assert all(request.cancelled() for request in requests)
    issuer.open.set()

    assert (await next_caller).value == "token-2"
    assert (await cache.token("a", issuer.fetch)).value == "token-2"


async def test_failed_request_keeps_no_frames(cache: TokenCache) -> None:
    """A failed request leaves no reference cycle: a body in a frame of its traceback is freed with the error."""

    class Body:
        """An object that a frame of the traceback refers to."""

    async def fetch() -> Token:
        body = Body()
        bodies.append(weakref.ref(body))
        await asyncio.sleep(0)
        raise Unreachable("away")

    bodies: list[weakref.ref[Body]] = []
    gc.disable()
    try:
        with contextlib.suppress(Unreachable):  # `pytest.raises` would keep the error
            await cache.token("a", fetch)
        await asyncio.sleep(0)

        assert [body() for body in bodies] == [None]
    finally:
        gc.enable()
