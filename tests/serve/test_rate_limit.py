"""The rate limit per caller."""

from __future__ import annotations

from app.serve.peers.peer import UNKNOWN_PEER, Peer, PeerCredentials, PeerProcess
from app.serve.rate_limit import MOST_CALLERS, RateLimit

from ..clock import Clock


def peer(uid: int) -> Peer:
    """Return a peer with this uid."""

    async def attest(_caller: PeerCredentials) -> PeerProcess:
        return PeerProcess()

    return Peer(lambda: PeerCredentials(uid, 1), attest)


def test_burst_then_rate(clock: Clock) -> None:
    """A burst of one second's requests is allowed; after it, as many as the elapsed time permits."""
    rate = RateLimit(4, clock.time)
    burst = [rate.allows(peer(1)) for _ in range(6)]
    clock.skip(0.5)

    assert burst == [True] * 4 + [False] * 2
    assert [rate.allows(peer(1)) for _ in range(3)] == [True, True, False]


def test_rate_below_one_per_second(clock: Clock) -> None:
    """The first request is always allowed, also at a rate below one per second."""
    rate = RateLimit(0.5, clock.time)
    assert [rate.allows(peer(1)), rate.allows(peer(1))] == [True, False]

    clock.skip(2)
    assert rate.allows(peer(1))


def test_each_uid_has_its_own_limit(clock: Clock) -> None:
    """Requests of one uid do not count for another; callers without a known uid share one limit."""
    rate = RateLimit(1, clock.time)

    assert [rate.allows(item) for item in (peer(1), peer(2), UNKNOWN_PEER, peer(1), UNKNOWN_PEER)] == [
        True, True, True, False, False,
    ]  # fmt: skip


def test_number_of_callers_is_bounded(clock: Clock) -> None:
    """The limit remembers a bounded number of callers; a forgotten caller starts with a full burst."""
    rate = RateLimit(1, clock.time)
    allowed = [rate.allows(peer(uid)) for uid in range(MOST_CALLERS)]

    assert MOST_CALLERS == 1024
    assert all(allowed)
    assert not rate.allows(peer(0))
    assert rate.allows(peer(MOST_CALLERS))
    assert rate.allows(peer(1))
    assert not rate.allows(peer(0))
    assert not rate.allows(peer(MOST_CALLERS))


def test_clock_set_back(clock: Clock) -> None:
    """A clock that is set back neither allows nor costs a request."""
    rate = RateLimit(1, clock.time)
    rate.allows(peer(1))
    clock.skip(-10)
    assert not rate.allows(peer(1))

    clock.skip(1)
    assert rate.allows(peer(1))
