"""The audit: who got which session, and who was refused. An identifier of the session is told, never a secret.

A refusal is told at once; more of the same within a second become one line with their count, so that whoever is refused
a thousand times a second fills no disk. The metrics count each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from ..core.formats import timestamp
from ..core.model import Credentials
from ..observe.log import Log
from .peers.peer import Process, Visitor

PAUSE = 1.0
"""Seconds between two lines about the same refusal."""

MOST_KINDS = 256
"""Refusals told apart at a time; more than a machine has users are told without whose they are."""

Later = Callable[[float, Callable[[], None]], object]
"""Calls back after so many seconds: the loop's `call_later`."""


class Refusal(NamedTuple):
    """What makes two refusals the same."""

    listener: str
    profile: str
    reason: str
    uid: int | None


class Audit:
    """Writes audit lines; needs a running loop. No request waits for one."""

    def __init__(self, log: Log, later: Later) -> None:
        self._log = log
        self._later = later
        self._more: dict[Refusal, int] = {}
        self.looking: set[asyncio.Task[None]] = set()

    def served(self, listener: str, profile: str, credentials: Credentials, visitor: Visitor) -> None:
        """This caller has this session now."""
        self._write(
            "info",
            "credentials_served",
            visitor,
            listener=listener,
            profile=profile,
            **self._log.describe(profile),
            access_key_id=credentials.access_key_id,
            expires_at=timestamp(credentials.expires_at),
            sts_request_id=credentials.request_id or None,
        )

    def denied(self, listener: str, profile: str, reason: str, visitor: Visitor) -> None:
        """A request was refused."""
        kind = Refusal(listener, profile, reason, visitor.uid)
        if kind not in self._more and len(self._more) >= MOST_KINDS:
            kind = Refusal(listener, "", reason, None)
        if kind in self._more:
            self._more[kind] += 1
            return
        self._more[kind] = 0
        self._later(PAUSE, lambda: self._sum_up(kind))
        self._write("warning", "denied", visitor, listener=listener, profile=profile or None, reason=reason)

    def _sum_up(self, kind: Refusal) -> None:
        count = self._more.pop(kind)
        if not count:
            return
        fields = {"listener": kind.listener, "profile": kind.profile or None, "reason": kind.reason, "uid": kind.uid}
        self._log.write("warning", "denied", **fields, count=count)
        self._more[kind] = 0
        self._later(PAUSE, lambda: self._sum_up(kind))

    def _write(self, level: str, event: str, visitor: Visitor, **fields: Any) -> None:
        """A line, when the caller's process has been looked for."""
        if visitor.caller is None:
            self._log.write(level, event, **fields)
            return
        self._start(self._with_process(level, event, visitor, fields))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self.looking.add(task)  # the loop alone would not keep it
        task.add_done_callback(self.looking.discard)

    async def _with_process(self, level: str, event: str, visitor: Visitor, fields: dict[str, Any]) -> None:
        await visitor.look_closer()
        process = visitor.process or Process()
        groups = sorted(process.groups) if process.groups is not None else None
        self._log.write(
            level,
            event,
            **fields,
            uid=visitor.uid,
            gids=groups,
            pid=process.pid,
            executable=process.executable,
        )
