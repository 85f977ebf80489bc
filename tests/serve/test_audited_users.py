"""The users of a session for whom the audit writes a line."""

from __future__ import annotations

from collections.abc import Callable

from app.serve.handlers.credential_endpoint import MOST_USERS
from app.serve.handlers.outcome import LabelledResponse
from app.serve.peers.peer import UNKNOWN_PEER, Peer, PeerCredentials, no_process
from app.serve.request import Request

from ..clock import Clock
from ..conftest import Offline, running


def user(uid: int) -> Peer:
    """Return a peer with this uid."""
    return Peer(lambda: PeerCredentials(uid, 1), no_process)


def first_use(sidecar: Offline, peer: Peer) -> str | None:
    """Request credentials; return their access key id if this is the peer's first use of them, else None."""
    answer = sidecar.handler.decide(Request(b"GET", b"/credentials", [(b"host", b"localhost")], peer))
    assert isinstance(answer, LabelledResponse)
    assert answer.response.status == 200
    return answer.first_use.access_key_id if answer.first_use is not None else None


async def test_first_use_by_each_user(offline: Callable[..., Offline], clock: Clock) -> None:
    """Each user's first use of a session is reported, and again after a refresh; unknown users count as one."""
    sidecar = offline()
    async with running(*sidecar.refreshers.values()):
        await clock.asleep()
        old = sidecar.refreshers["default"].credentials().access_key_id
        uses = [first_use(sidecar, peer) for peer in (user(1), user(2), UNKNOWN_PEER, user(1), UNKNOWN_PEER)]
        await clock.wake()
        new = sidecar.refreshers["default"].credentials().access_key_id

        assert new != old
        assert uses == [old, old, old, None, None]
        assert [first_use(sidecar, user(1)), first_use(sidecar, user(1))] == [new, None]


async def test_number_of_users_is_bounded(offline: Callable[..., Offline], clock: Clock) -> None:
    """The first uses of 256 users of a session are reported, and no further ones."""
    sidecar = offline()
    async with running(*sidecar.refreshers.values()):
        await clock.asleep()
        reported = [first_use(sidecar, user(uid)) is not None for uid in range(MOST_USERS + 2)]

        assert MOST_USERS == 256
        assert reported == [True] * 256 + [False] * 2
