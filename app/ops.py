"""The operations listener: probes from memory, metrics at a scrape, and FastAPI for whatever a person asks.

Probes and scrapes run for ever, so they are answered without FastAPI, which is 16 MiB; it is imported, in a thread, by
the first request that needs it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from .front import Receive, Scope, Send, request_of, send_reply
from .guard import Request
from .model import Now, Status
from .refresher import Refresher
from .replies import Reply, document, method_not_allowed, reply

_GET_ONLY = method_not_allowed(b"GET")


class Gate:
    """When start-up is over; once open it stays open."""

    def __init__(
        self, kind: str, *, timeout: float, started_at: float, refreshers: Sequence[Refresher], now: Now
    ) -> None:
        self._kind = kind
        self._until = started_at + timeout
        self._refreshers = refreshers
        self._now = now
        self._opened = kind == "listening"

    def open(self) -> bool:
        """`listening`: always. `credentials`: every required profile was usable. `timeout`: that, or time is up."""
        if not self._opened:
            self._opened = not missing(self._refreshers) or (self._kind == "timeout" and self._now() >= self._until)
        return self._opened


def missing(refreshers: Sequence[Refresher]) -> list[Status]:
    """The required profiles that have nothing usable."""
    return [status for status in (item.status for item in refreshers) if status.required and not status.usable]


class Ops:
    """Answers of the operations listener; nothing here is or contains a credential."""

    def __init__(
        self,
        refreshers: Sequence[Refresher],
        *,
        gate: Gate,
        dead_loops: Callable[[], list[str]],
        scrape: Callable[[], tuple[bytes, bytes]],
        load_api: Callable[[], Any],
    ) -> None:
        self._refreshers = refreshers
        self._gate = gate
        self._dead_loops = dead_loops
        self._scrape = scrape
        self._load_api = load_api
        self._api: Any = None
        self._probes: dict[bytes, Callable[[], Reply]] = {
            b"/livez": self._live,
            b"/healthz": self._live,
            b"/readyz": self._ready,
            b"/startupz": self._started,
        }

    def lane(self, request: Request) -> Reply | None:
        """Probes; everything else goes the ASGI way."""
        probe = self._probes.get(request.target.partition(b"?")[0])
        if probe is None:
            return None
        return probe() if request.method in (b"GET", b"HEAD") else _GET_ONLY

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = request_of(scope)
        probe = self.lane(request)
        if probe is not None:
            await send_reply(probe, scope, send)
        elif request.target.partition(b"?")[0] == b"/metrics" and request.method == b"GET":
            body, content_type = await asyncio.to_thread(self._scrape)
            await send_reply(reply(200, body, content_type), scope, send)
        else:
            if self._api is None:
                self._api = await asyncio.to_thread(self._load_api)
            await self._api(scope, receive, send)

    def _live(self) -> Reply:
        dead = self._dead_loops()
        return document(503, {"status": "dead", "loops": dead}) if dead else document(200, {"status": "ok"})

    def _ready(self) -> Reply:
        return _verdict("not ready", missing(self._refreshers))

    def _started(self) -> Reply:
        return _verdict("starting", [] if self._gate.open() else missing(self._refreshers))


def _verdict(status: str, lacking: list[Status]) -> Reply:
    if not lacking:
        return document(200, {"status": "ok"})
    profiles = [
        {"profile": item.profile, "state": item.state, "reason": item.last_error or "no answer from the cloud yet"}
        for item in lacking
    ]
    return document(503, {"status": status, "profiles": profiles})
