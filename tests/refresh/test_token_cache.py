"""The cache of tokens that profiles share: how long a token is used, and how many requests there are."""

from __future__ import annotations

import asyncio

import pytest

from app.core.errors import Unreachable
from app.core.values import Token
from app.refresh.token_cache import TokenCache

from ..clock import Clock


class Issuer:
    """An issuer of tokens that live `life` seconds."""

    def __init__(self, clock: Clock, life: float) -> None:
        self._clock, self._life = clock, life
        self.issued = 0

    async def token(self) -> Token:
        """Issue the next token."""
        self.issued += 1
        token = Token(f"token-{self.issued}", self._clock.time() + self._life)
        await asyncio.sleep(0)
        return token


@pytest.mark.parametrize(
    ("life", "used"),
    [(1_200, 960), (400, 320), (300, 240), (299, 239), (100, 40), (61, 1), (60, 0), (10, 0)],
)
async def test_token_is_used_until_a_fifth_or_a_minute_is_left(life: float, used: float, clock: Clock) -> None:
    """A token is used until a fifth of its life is left, and never in its last minute."""
    issuer = Issuer(clock, life)
    cache = TokenCache(now=clock.time)
    found = [(await cache.token("a", issuer.token)).value]

    if used:
        clock.skip(used - 0.5)
        found.append((await cache.token("a", issuer.token)).value)
        clock.skip(0.5)
    found.append((await cache.token("a", issuer.token)).value)

    assert found == ["token-1", *(["token-1"] if used else []), "token-2"]


async def test_callers_at_the_same_time_share_a_request(clock: Clock) -> None:
    """Callers of one identity share a request, and another identity has its own."""
    issuer = Issuer(clock, 1_200)
    cache = TokenCache(now=clock.time)

    found = await asyncio.gather(*(cache.token(name, issuer.token) for name in "aaba"))

    assert [token.value for token in found] == ["token-1", "token-1", "token-2", "token-1"]
    assert issuer.issued == 2


async def test_cancelled_caller_does_not_end_the_request(clock: Clock) -> None:
    """When the first caller is cancelled, the request continues for the others."""
    issuer = Issuer(clock, 1_200)
    cache = TokenCache(now=clock.time)
    first = asyncio.create_task(cache.token("a", issuer.token))
    second = asyncio.create_task(cache.token("a", issuer.token))
    await asyncio.sleep(0)
    first.cancel()

    assert (await second).value == "token-1"


async def test_failed_request_is_repeated_by_the_next_caller(clock: Clock) -> None:
    """An error is raised to the callers of that request and is not kept."""
    issuer = Issuer(clock, 1_200)
    cache = TokenCache(now=clock.time)

    async def fail() -> Token:
        raise Unreachable("down")

    with pytest.raises(Unreachable, match="down"):
        await cache.token("a", fail)
    assert (await cache.token("a", issuer.token)).value == "token-1"


@pytest.mark.parametrize(
    ("refused", "left"),
    [(None, "token-2"), ("token-1", "token-2"), ("token-0", "token-1")],
    ids=["any", "this one", "an earlier one"],
)
async def test_forgotten_token_is_replaced(refused: str | None, left: str, clock: Clock) -> None:
    """A refused token is dropped only if it is still the one that is held."""
    issuer = Issuer(clock, 1_200)
    cache = TokenCache(now=clock.time)
    held = await cache.token("a", issuer.token)

    cache.forget("a", None if refused is None else Token(refused, held.expires_at))

    assert (await cache.token("a", issuer.token)).value == left


async def test_unknown_identity_is_forgotten_without_an_error(clock: Clock) -> None:
    """Nothing is held for an identity that never had a token."""
    TokenCache(now=clock.time).forget("a")
