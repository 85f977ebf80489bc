"""The admin socket without a socket: its orders, and who may give them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from app.core.errors import NoCredentials
from app.core.values import Credentials
from app.serve.handlers.admin import AdminHandler
from app.serve.peers.peer import UNKNOWN_PEER, Peer, PeerCredentials, no_process
from app.serve.request import Request
from app.serve.responses import NOT_FOUND, Response, document, method_not_allowed

OWNER = 1001
HELD = Credentials("STS.id", "secret", "token", 1_767_323_045.0, 1_767_326_645.0, "request-1")


def user(uid: int) -> Peer:
    """Return a peer of a user."""
    return Peer(lambda: PeerCredentials(uid, 1), no_process)


class Orders:
    """An admin handler for the profiles `default` and `p2`, and the orders that it gave."""

    def __init__(self) -> None:
        self.given: list[object] = []
        self.uids: set[int] = set()
        self.handler = AdminHandler(
            lambda: ("default", "p2"),
            uid=OWNER,
            renew=self._renew,
            set_level=self._level,
            give_credentials=self._give_credentials,
            status=self._status,
        )

    async def _renew(self, profiles: Sequence[str], purge: bool, uid: int) -> list[dict[str, Any]]:
        self.uids.add(uid)
        self.given += [(profile, purge) for profile in profiles]
        return [{"profile": profile} for profile in profiles]

    async def _give_credentials(self, profile: str, uid: int) -> Credentials:
        self.uids.add(uid)
        if profile == "p2":
            raise NoCredentials("profile p2: the cloud said no", retry_after=3.0)
        return HELD

    async def _status(self) -> Response:
        return document(200, {"version": "1"})

    def _level(self, level: str, uid: int) -> None:
        self.uids.add(uid)
        self.given.append(level)
        if level != "debug":
            raise ValueError("there is no such level")

    async def answer(self, method: bytes, target: bytes, peer: Peer | None = None) -> Response:
        """Return the response to a request of the owner, or of `peer`."""
        outcome = self.handler(Request(method, target, [], user(OWNER) if peer is None else peer))
        return outcome if isinstance(outcome, Response) else await outcome


@pytest.fixture
def orders() -> Orders:
    """An admin handler without orders."""
    return Orders()


@pytest.mark.parametrize(
    ("target", "given"),
    [
        (b"/refresh", [("default", False), ("p2", False)]),
        (b"/refresh/p2", [("p2", False)]),
        (b"/purge", [("default", True), ("p2", True)]),
        (b"/purge/default", [("default", True)]),
    ],
)
async def test_renewals(orders: Orders, target: bytes, given: list[tuple[str, bool]]) -> None:
    """`refresh` and `purge` renew one profile or all, in order, and return the status of each."""
    answer = await orders.answer(b"POST", target)

    assert (answer.status, json.loads(answer.body)) == (200, {"profiles": [{"profile": name} for name, _ in given]})
    assert orders.given == given


@pytest.mark.parametrize("target", [b"/refresh/nobody", b"/purge/nobody", b"/refresh/", b"/refresh/P2"])
async def test_unknown_profile(orders: Orders, target: bytes) -> None:
    """An unknown profile is 404 with the names of the known ones."""
    answer = await orders.answer(b"POST", target)

    assert answer.status == 404
    message = "there is no such profile; there is default, p2 (IDS-120)"
    assert json.loads(answer.body) == {"Code": "NotFound", "Message": message}
    assert orders.given == []


async def test_held_credentials(orders: Orders) -> None:
    """The held credentials are returned as they are, and a profile without has the reason."""
    answer = await orders.answer(b"GET", b"/session/default")
    without = await orders.answer(b"GET", b"/session/p2")

    assert (answer.status, Credentials(**json.loads(answer.body)["credentials"])) == (200, HELD)
    assert without.status == 503
    assert json.loads(without.body) == {
        "Code": "CredentialsUnavailable",
        "Message": "profile p2: the cloud said no (IDS-501)",
    }
    assert orders.uids == {OWNER}


@pytest.mark.parametrize("target", [b"/session", b"/session/", b"/session/nobody", b"/session/default/x"])
async def test_unknown_session(orders: Orders, target: bytes) -> None:
    """Only a known profile has credentials, and only for GET."""
    assert (await orders.answer(b"GET", target)).status == 404
    assert (await orders.answer(b"POST", b"/session/default")).status == 405
    assert orders.uids == set()


async def test_log_level(orders: Orders) -> None:
    """The log level is set and returned."""
    answer = await orders.answer(b"PUT", b"/log-level/debug")

    assert (answer.status, json.loads(answer.body)) == (200, {"level": "debug"})
    assert orders.given == ["debug"]


@pytest.mark.parametrize(("target", "level"), [(b"/log-level/loud", "loud"), (b"/log-level/", ""), (b"/log-level", "")])
async def test_unknown_log_level(orders: Orders, target: bytes, level: str) -> None:
    """An unknown or missing level is 400 with the reason."""
    answer = await orders.answer(b"PUT", target)

    assert answer.status == 400
    assert json.loads(answer.body) == {"Code": "BadRequest", "Message": "there is no such level (IDS-125)"}
    assert orders.given == [level]


@pytest.mark.parametrize(
    ("target", "allowed"), [(b"/refresh", b"POST"), (b"/purge/p2", b"POST"), (b"/log-level/debug", b"PUT")]
)
@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE"])
async def test_other_methods(orders: Orders, target: bytes, allowed: bytes, method: bytes) -> None:
    """Every order has one method; with any other, nothing is done."""
    answer = await orders.answer(method, target)

    if method == allowed:
        assert answer.status == 200
    else:
        assert answer.wire == method_not_allowed(allowed).wire
        assert orders.given == []


@pytest.mark.parametrize("method", [b"POST", b"PUT"])
@pytest.mark.parametrize(
    "target", [b"/", b"/refresh/p2/", b"/refresh/p2/x", b"/log-level/debug/x", b"/credentials", b"/\xff", b"/Refresh"]
)
async def test_other_paths(orders: Orders, method: bytes, target: bytes) -> None:
    """Every other path is 404, whatever its bytes."""
    assert await orders.answer(method, target) is NOT_FOUND
    assert orders.given == []


@pytest.mark.parametrize("uid", [OWNER, 0])
async def test_owner_and_root_are_served(orders: Orders, uid: int) -> None:
    """The sidecar's own user and root may give orders, and each order says who gave it."""
    assert (await orders.answer(b"POST", b"/refresh/p2", user(uid))).status == 200
    assert orders.uids == {uid}


@pytest.mark.parametrize("peer", [user(1), user(1002), UNKNOWN_PEER], ids=["uid 1", "uid 1002", "unknown"])
@pytest.mark.parametrize("target", [b"/refresh", b"/nowhere"])
async def test_other_users_are_refused(orders: Orders, peer: Peer, target: bytes) -> None:
    """Another user, and one about whom the kernel says nothing, is refused before anything else."""
    answer = await orders.answer(b"POST", target, peer)

    assert answer.status == 403
    assert json.loads(answer.body) == {
        "Code": "AccessDenied.Admin",
        "Message": "the admin socket is for the sidecar's own user and root (IDS-517)",
    }
    assert orders.given == []


async def test_status(orders: Orders) -> None:
    """The owner reads the status as the operations listener has it; only GET, and nothing below it."""
    answer = await orders.answer(b"GET", b"/status.json")

    assert (answer.status, json.loads(answer.body)) == (200, {"version": "1"})
    assert (await orders.answer(b"POST", b"/status.json")).status == 405
    assert await orders.answer(b"GET", b"/status.json/default") is NOT_FOUND
    assert (await orders.answer(b"GET", b"/status.json", user(1002))).status == 403
