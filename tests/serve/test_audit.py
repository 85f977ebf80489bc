"""The audit log: one line for each served session, one for each refusal, and a count for a flood of refusals."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from app.core.values import Credentials
from app.observe.log import Log
from app.observe.recent_callers import Caller, RecentCallers, Seen
from app.serve.audit import MOST_KINDS, PAUSE, Audit
from app.serve.peers.peer import UNKNOWN_PEER, Peer, PeerCredentials, PeerProcess

CREDENTIALS = Credentials("STS.id", "canary-secret", "canary-token", 0.0, 3600.0, "request-1")


class ManualTimer:
    """Calls back when the test calls `expire`."""

    def __init__(self) -> None:
        self.waiting: list[tuple[float, Callable[[], None]]] = []

    def __call__(self, seconds: float, call: Callable[[], None]) -> None:
        """Remember the callback."""
        self.waiting.append((seconds, call))

    def expire(self) -> None:
        """Call all callbacks that wait."""
        waiting, self.waiting = self.waiting, []
        for _, call in waiting:
            call()


@pytest.fixture
def stream() -> io.StringIO:
    """The stream of the log."""
    return io.StringIO()


@pytest.fixture
def timer() -> ManualTimer:
    """A timer that the test controls."""
    return ManualTimer()


@pytest.fixture
def audit(stream: io.StringIO, timer: ManualTimer) -> Audit:
    """An audit that logs to `stream`."""
    log = Log(stream, level="info", json_lines=True, now=lambda: 0.0)
    return Audit(log, lambda name: {"role": f"role of {name}"}, timer, RecentCallers(lambda: 0.0))


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    """Return the log lines."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def peer(uid: int, process: PeerProcess = PeerProcess()) -> Peer:  # noqa: B008 - immutable
    """Return a peer with this uid and process."""

    async def attest(_caller: PeerCredentials) -> PeerProcess:
        return process

    return Peer(lambda: PeerCredentials(uid, 1), attest)


async def attested(audit: Audit) -> None:
    """Wait until every process has been looked up."""
    await asyncio.gather(*audit.attesting)


async def test_served_session(audit: Audit, stream: io.StringIO) -> None:
    """The line for a served session names the session and the caller's process, and contains no secret."""
    audit.served("credentials", "p2", CREDENTIALS, peer(1001, PeerProcess(7, "/bin/x", frozenset({20, 10}))))
    await attested(audit)
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


async def test_unknown_peer(audit: Audit, stream: io.StringIO) -> None:
    """The line for an unknown peer has no member about the peer."""
    audit.denied("credentials", "", "Host", UNKNOWN_PEER)

    assert lines(stream)[0].keys() == {"timestamp", "level", "event", "message", "listener", "reason", "error_code"}
    assert (
        lines(stream)[0].items()
        >= {"event": "denied", "listener": "credentials", "reason": "Host", "error_code": "IDS-508"}.items()
    )


async def test_refused_peer(audit: Audit, stream: io.StringIO) -> None:
    """The line for a refusal names the profile and the caller's process; groups that are not certain are left out."""
    audit.denied("credentials", "p2", "Caller", peer(1001, PeerProcess(7, "/bin/x")))
    await attested(audit)
    (line,) = lines(stream)

    refused = {"listener": "credentials", "profile": "p2", "reason": "Caller"}
    assert line.items() >= {**refused, "uid": 1001, "pid": 7, "executable": "/bin/x"}.items()
    assert "gids" not in line
    assert not audit.attesting


async def test_count_without_profile_and_user(audit: Audit, stream: io.StringIO, timer: ManualTimer) -> None:
    """A count of refusals of unknown peers names neither a profile nor a user."""
    for _ in range(3):
        audit.denied("metadata", "", "Host", UNKNOWN_PEER)
    timer.expire()

    counted = {"event": "denied", "listener": "metadata", "reason": "Host", "count": 2}
    assert lines(stream)[1].items() >= counted.items()
    assert not {"profile", "uid"} & lines(stream)[1].keys()


async def test_refusals_after_a_count(audit: Audit, stream: io.StringIO, timer: ManualTimer) -> None:
    """Refusals after a count are counted for another pause."""
    for _ in range(2):
        audit.denied("credentials", "p2", "Host", UNKNOWN_PEER)
        audit.denied("credentials", "p2", "Host", UNKNOWN_PEER)
        timer.expire()

    assert [seconds for seconds, _ in timer.waiting] == [PAUSE]
    assert [line.get("count") for line in lines(stream)] == [None, 1, 2]


async def test_flood_is_counted(audit: Audit, stream: io.StringIO, timer: ManualTimer) -> None:
    """The first refusal is logged at once, further ones of its kind as one count per pause, then nothing."""
    for _ in range(1000):
        audit.denied("credentials", "p2", "Caller", peer(1001))
    await attested(audit)
    assert [line.get("count") for line in lines(stream)] == [None]

    assert timer.waiting[0][0] == PAUSE == 1.0
    timer.expire()
    timer.expire()
    assert [line.get("count") for line in lines(stream)] == [None, 999]
    counted = {"listener": "credentials", "reason": "Caller", "profile": "p2", "uid": 1001, "error_code": "IDS-507"}
    assert [line.items() >= counted.items() for line in lines(stream)] == [True, True]
    assert timer.waiting == []

    audit.denied("credentials", "p2", "Caller", peer(1001))
    await attested(audit)
    assert [line.get("count") for line in lines(stream)] == [None, 999, None]


async def test_kinds_are_logged_separately(audit: Audit, stream: io.StringIO) -> None:
    """Refusals that differ in user, profile, reason or listener are logged separately."""
    for arguments in (
        ("credentials", "p2", "Caller", peer(1)),
        ("credentials", "p2", "Caller", peer(2)),
        ("credentials", "p3", "Caller", peer(1)),
        ("credentials", "p2", "Host", peer(1)),
        ("metadata", "p2", "Caller", peer(1)),
    ):
        audit.denied(*arguments)
    await attested(audit)

    assert len(lines(stream)) == 5


async def test_number_of_kinds_is_bounded(audit: Audit, stream: io.StringIO, timer: ManualTimer) -> None:
    """The number of remembered kinds is bounded, and every refusal is counted."""
    for uid in range(MOST_KINDS + 500):
        audit.denied("credentials", "p2", "Caller", peer(uid))
    await attested(audit)
    first = len(lines(stream))
    timer.expire()

    assert MOST_KINDS == 256
    assert first == MOST_KINDS + 1
    assert sum(line.get("count", 1) for line in lines(stream)) == MOST_KINDS + 500


async def test_the_status_knows_the_callers(stream: io.StringIO, timer: ManualTimer) -> None:
    """Who was served and refused is remembered for the status, with uid, executable, reason and count."""
    recent = RecentCallers(lambda: 0.0)
    log = Log(stream, level="info", json_lines=True, now=lambda: 0.0)
    audit = Audit(log, lambda name: {"role": f"role of {name}"}, timer, recent)
    audit.served("credentials", "default", CREDENTIALS, peer(1001, PeerProcess(7, "/usr/bin/app")))
    await attested(audit)
    for _ in range(3):
        audit.denied("credentials", "", "Host", UNKNOWN_PEER)
    timer.expire()

    assert recent.served() == [(Caller("credentials", "default", "", 1001), Seen(1, 0.0, "/usr/bin/app"))]
    assert recent.refused() == [(Caller("credentials", "", "Host", None), Seen(3, 0.0, ""))]
