"""Who may use the admin socket."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from app.core.values import Credentials
from app.serve.handlers.admin import AdminHandler
from app.serve.peers.peer import UNKNOWN_PEER, Peer, PeerCredentials, no_process
from app.serve.request import Request
from app.serve.responses import Response

OWNER = 1000


def user(uid: int) -> Peer:
    """Return a peer with this uid."""
    return Peer(lambda: PeerCredentials(uid, 0), no_process)


@pytest.mark.parametrize(
    ("peer", "allowed"),
    [(user(OWNER), True), (user(0), True), (user(OWNER + 1), False), (user(65_534), False), (UNKNOWN_PEER, False)],
    ids=["owner", "root", "other", "nobody", "unknown"],
)
def test_only_the_owner_and_root(peer: Peer, allowed: bool) -> None:
    """Orders of the owner and of root count and name them; another or unknown caller gets 403, without effect."""
    levels: list[tuple[str, int]] = []

    async def renew(_profiles: Sequence[str], _purge: bool, _uid: int) -> list[dict[str, Any]]:
        raise AssertionError

    async def held(_profile: str, _uid: int) -> Credentials:
        raise AssertionError

    async def status() -> Response:
        raise AssertionError

    handler = AdminHandler(
        lambda: ["default"],
        uid=OWNER,
        renew=renew,
        set_level=lambda *order: levels.append(order),
        give_credentials=held,
        status=status,
    )
    response = handler(Request(b"PUT", b"/log-level/debug", [], peer))

    assert isinstance(response, Response)
    credentials = peer.credentials
    assert levels == ([("debug", credentials.uid)] if allowed and credentials is not None else [])
    assert response.status == (200 if allowed else 403)
    if not allowed:
        assert json.loads(response.body) == {
            "Code": "AccessDenied.Admin",
            "Message": "the admin socket is for the sidecar's own user and root (IDS-517)",
        }
