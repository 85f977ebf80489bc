"""The audit log: who received which session, and who was refused. It holds identifiers of a session, never a secret.

A refusal is logged at once. Equal refusals within a second become one line with their count. So a caller that is
refused a thousand times a second does not fill the disk. The metrics count every refusal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, NamedTuple

from ..core.formats import timestamp
from ..core.values import Credentials
from ..observe.log import Log
from ..observe.log_events import CREDENTIALS_SERVED, DENIED, LogEvent
from ..observe.recent_callers import Caller, RecentCallers
from .access import DENIED_CODES
from .peers.peer import Peer, PeerProcess

PAUSE = 1.0
"""Seconds between two lines about equal refusals."""

MOST_KINDS = 256
"""The largest number of different refusals counted at a time: more than a machine has users. Further refusals are
logged without a user."""

Later = Callable[[float, Callable[[], None]], object]
"""Calls a function after a number of seconds: the loop's `call_later`."""

Describe = Callable[[str], Mapping[str, str]]
"""Returns the members that a line holds about a profile, beside its name."""


class RefusalKind(NamedTuple):
    """The members in which equal refusals agree."""

    listener: str
    profile: str
    reason: str
    uid: int | None


class Audit:
    """Writes audit lines and passes them to `recent`. Needs a running event loop. No request waits for a line."""

    def __init__(self, log: Log, describe: Describe, later: Later, recent: RecentCallers) -> None:
        self._log = log
        self._recent = recent
        self._describe = describe
        self._later = later
        self._repeated: dict[RefusalKind, int] = {}
        self.attesting: set[asyncio.Task[None]] = set()

    def served(self, listener: str, profile: str, credentials: Credentials, peer: Peer) -> None:
        """Log that a caller received this session for the first time."""
        self._write(
            CREDENTIALS_SERVED,
            peer,
            listener=listener,
            profile=profile,
            **self._describe(profile),
            access_key_id=credentials.access_key_id,
            expires_at=timestamp(credentials.expires_at),
            sts_request_id=credentials.request_id or None,
        )

    def denied(self, listener: str, profile: str, reason: str, peer: Peer) -> None:
        """Log that a request was refused."""
        kind = RefusalKind(listener, profile, reason, peer.uid)
        if kind not in self._repeated and len(self._repeated) >= MOST_KINDS:
            kind = RefusalKind(listener, "", reason, None)
        if kind in self._repeated:
            self._repeated[kind] += 1
            return
        self._repeated[kind] = 0
        self._later(PAUSE, lambda: self._sum_up(kind))
        self._write(
            DENIED, peer, listener=listener, profile=profile or None, reason=reason, error_code=DENIED_CODES.get(reason)
        )

    def _sum_up(self, kind: RefusalKind) -> None:
        count = self._repeated.pop(kind)
        if not count:
            return
        fields = {
            "listener": kind.listener,
            "profile": kind.profile or None,
            "reason": kind.reason,
            "error_code": DENIED_CODES.get(kind.reason),
            "uid": kind.uid,
        }
        self._finish(DENIED, {**fields, "count": count})
        self._repeated[kind] = 0
        self._later(PAUSE, lambda: self._sum_up(kind))

    def _write(self, event: LogEvent, peer: Peer, **fields: Any) -> None:
        """Write a line when the caller's process has been attested."""
        if peer.credentials is None:
            self._finish(event, fields)
            return
        self._start(self._with_process(event, peer, fields))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self.attesting.add(task)  # the loop itself holds only a weak reference to a task
        task.add_done_callback(self.attesting.discard)

    async def _with_process(self, event: LogEvent, peer: Peer, fields: dict[str, Any]) -> None:
        await peer.attest_process()
        process = peer.process or PeerProcess()
        groups = sorted(process.groups) if process.groups is not None else None
        found = {"uid": peer.uid, "gids": groups, "pid": process.pid, "executable": process.executable}
        self._finish(event, {**fields, **found})

    def _finish(self, event: LogEvent, fields: Mapping[str, Any]) -> None:
        self._log.write(event, **fields)
        caller = Caller(fields["listener"], fields["profile"] or "", fields.get("reason", ""), fields.get("uid"))
        self._recent.record(caller, executable=fields.get("executable"), count=fields.get("count", 1))
