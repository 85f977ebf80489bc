"""Who got what, and who was refused: one line each, and a flood of refusals in few."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from app.core.values import Credentials
from app.observe.log import Log
from app.serve.audit import MOST_KINDS, PAUSE, Audit
from app.serve.peers.peer import UNKNOWN_PEER, Peer, PeerCredentials, PeerProcess

CREDENTIALS = Credentials("STS.id", "canary-secret", "canary-token", 0.0, 3600.0, "request-1")


class Later:
    """Calls back when the test says that the time has come."""

    def __init__(self) -> None:
        self.waiting: list[tuple[float, Callable[[], None]]] = []

    def __call__(self, seconds: float, call: Callable[[], None]) -> None:
        self.waiting.append((seconds, call))

    def pass_by(self) -> None:
        waiting, self.waiting = self.waiting, []
        for _, call in waiting:
            call()


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def later() -> Later:
    return Later()


@pytest.fixture
def audit(stream: io.StringIO, later: Later) -> Audit:
    log = Log(stream, level="info", json_lines=True, now=lambda: 0.0)
    return Audit(log, lambda name: {"role": f"role of {name}"}, later)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def peer(uid: int, process: PeerProcess = PeerProcess()) -> Peer:  # noqa: B008 - immutable
    async def look(_caller: PeerCredentials) -> PeerProcess:
        return process

    return Peer(lambda: PeerCredentials(uid, 1), look)


async def written(audit: Audit) -> None:
    """Returns when every process has been looked for."""
    await asyncio.gather(*audit.attesting)


async def test_who_got_a_session(audit: Audit, stream: io.StringIO) -> None:
    """The line tells of the session and of the caller's process, and nothing secret."""
    audit.served("credentials", "p2", CREDENTIALS, peer(1001, PeerProcess(7, "/bin/x", frozenset({20, 10}))))
    await written(audit)
    (line,) = lines(stream)

    assert (
        line.items()
        >= {
            "event": "credentials_served",
            "listener": "credentials",
            "profile": "p2",
            "role": "role of p2",
            "access_key_id": "STS.id",
            "expires_at": "1970-01-01T01:00:00Z",
            "sts_request_id": "request-1",
            "uid": 1001,
            "pid": 7,
            "executable": "/bin/x",
        }.items()
    )
    assert line["gids"] == [10, 20]
    assert "canary" not in stream.getvalue()


async def test_a_stranger(audit: Audit, stream: io.StringIO) -> None:
    """Of whom nothing is known nothing is said."""
    audit.denied("credentials", "", "Host", UNKNOWN_PEER)

    assert lines(stream)[0].keys() == {"timestamp", "level", "event", "message", "listener", "reason"}


async def test_a_flood_becomes_a_count(audit: Audit, stream: io.StringIO, later: Later) -> None:
    """The first refusal is told at once, the next of its kind together, and when they end nothing more comes."""
    for _ in range(1000):
        audit.denied("credentials", "p2", "Caller", peer(1001))
    await written(audit)
    assert [line.get("count") for line in lines(stream)] == [None]

    assert later.waiting[0][0] == PAUSE
    later.pass_by()
    later.pass_by()
    assert [line.get("count") for line in lines(stream)] == [None, 999]
    assert lines(stream)[1].items() >= {"reason": "Caller", "profile": "p2", "uid": 1001}.items()
    assert later.waiting == []

    audit.denied("credentials", "p2", "Caller", peer(1001))
    await written(audit)
    assert [line.get("count") for line in lines(stream)] == [None, 999, None]


async def test_kinds_are_told_apart(audit: Audit, stream: io.StringIO) -> None:
    """Another user, profile, reason or listener is another refusal."""
    for arguments in (
        ("credentials", "p2", "Caller", peer(1)),
        ("credentials", "p2", "Caller", peer(2)),
        ("credentials", "p3", "Caller", peer(1)),
        ("credentials", "p2", "Host", peer(1)),
        ("metadata", "p2", "Caller", peer(1)),
    ):
        audit.denied(*arguments)
    await written(audit)

    assert len(lines(stream)) == 5


async def test_the_number_of_kinds_is_bounded(audit: Audit, stream: io.StringIO, later: Later) -> None:
    """However many users are refused, what is remembered is bounded, and none goes uncounted."""
    for uid in range(MOST_KINDS + 500):
        audit.denied("credentials", "p2", "Caller", peer(uid))
    await written(audit)
    first = len(lines(stream))
    later.pass_by()

    assert first == MOST_KINDS + 1
    assert sum(line.get("count", 1) for line in lines(stream)) == MOST_KINDS + 500
