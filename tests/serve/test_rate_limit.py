"""How often one caller may ask."""

from __future__ import annotations

from app.serve.peers.peer import UNKNOWN_PEER, Peer, PeerCredentials, PeerProcess
from app.serve.rate_limit import MOST_CALLERS, RateLimit

from ..clock import Clock


def peer(uid: int) -> Peer:
    async def look(_caller: PeerCredentials) -> PeerProcess:
        return PeerProcess()

    return Peer(lambda: PeerCredentials(uid, 1), look)


def test_a_seconds_worth_at_once_and_then_the_rate(clock: Clock) -> None:
    """A burst of a second's requests passes; after it, as many as the time that went by allows."""
    rate = RateLimit(4, clock.time)
    burst = [rate.allows(peer(1)) for _ in range(6)]
    clock.skip(0.5)

    assert burst == [True] * 4 + [False] * 2
    assert [rate.allows(peer(1)) for _ in range(3)] == [True, True, False]


def test_less_than_one_a_second(clock: Clock) -> None:
    """The first request always passes, also under a rate of less than one."""
    rate = RateLimit(0.5, clock.time)
    assert [rate.allows(peer(1)), rate.allows(peer(1))] == [True, False]

    clock.skip(2)
    assert rate.allows(peer(1))


def test_each_uid_has_its_own(clock: Clock) -> None:
    """One user's requests take nothing from another's; those whose uid nobody knows share one."""
    rate = RateLimit(1, clock.time)

    assert [rate.allows(item) for item in (peer(1), peer(2), UNKNOWN_PEER, peer(1), UNKNOWN_PEER)] == [
        True, True, True, False, False,
    ]  # fmt: skip


def test_it_remembers_a_bounded_number(clock: Clock) -> None:
    """However many users there are, so many are kept; the one forgotten begins anew."""
    rate = RateLimit(1, clock.time)
    allowed = [rate.allows(peer(uid)) for uid in range(MOST_CALLERS + 1)]

    assert all(allowed)
    assert rate.allows(peer(0))
    assert not rate.allows(peer(MOST_CALLERS))


def test_a_clock_that_goes_back(clock: Clock) -> None:
    """A clock set back gives nothing and takes nothing."""
    rate = RateLimit(1, clock.time)
    rate.allows(peer(1))
    clock.skip(-10)
    assert not rate.allows(peer(1))

    clock.skip(1)
    assert rate.allows(peer(1))
