"""The operations listener: probes from memory, metrics at a scrape, and FastAPI for the pages that people ask for.

Probes and scrapes run for ever, so they are answered without FastAPI, which is 16 MiB; it is imported, in a thread, by
the first request for one of its pages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from ...core.model import Now, Status
from ..access import Guard, Request
from ..responses import NOT_FOUND, Reply, document, method_not_allowed, reply
from ..source import Source

PAGES = frozenset({b"/status", b"/status.json"})
"""What FastAPI answers (app/serve/application.py)."""

LONGEST_REUSE = 0.5
"""Seconds that a scrape's answer is given again: far less than any scrape interval."""

_GET_ONLY = method_not_allowed(b"GET")


class Gate:
    """When start-up is over; once open it stays open."""

    def __init__(self, kind: str, *, timeout: float, started_at: float, refreshers: Sequence[Source], now: Now) -> None:
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


def missing(refreshers: Sequence[Source]) -> list[Status]:
    """The required profiles that have nothing usable."""
    return [status for status in (item.status for item in refreshers) if status.required and not status.usable]


class Ops:
    """Answers of the operations listener; nothing here is or contains a credential."""

    def __init__(
        self,
        refreshers: Sequence[Source],
        *,
        gate: Gate,
        dead_loops: Callable[[], list[str]],
        scrape: Callable[[], tuple[bytes, bytes]],
        page_guard: Callable[[], Guard],
    ) -> None:
        self._refreshers = refreshers
        self._gate = gate
        self._dead_loops = dead_loops
        self._scrape = scrape
        self._page_guard = page_guard
        self._scraping = asyncio.Lock()
        self._scraped = NOT_FOUND
        self._fresh_until = float("-inf")
        self._probes: dict[bytes, Callable[[], Reply]] = {
            b"/livez": self._live,
            b"/healthz": self._live,
            b"/readyz": self._ready,
            b"/startupz": self._started,
        }

    def lane(self, request: Request) -> Reply | Coroutine[Any, Any, Reply] | None:
        """Probes at once, metrics in a moment, None for a page."""
        path = request.target.partition(b"?")[0]
        if path in PAGES:
            # They are for callers on loopback: a proxy there is none, nor is a page that was rebound.
            denial = self._page_guard().judge(request)
            return denial.reply if denial is not None else None
        reading = request.method in (b"GET", b"HEAD")
        if path == b"/metrics":
            return self._metrics() if reading else _GET_ONLY
        probe = self._probes.get(path)
        if probe is None:
            return NOT_FOUND
        return probe() if reading else _GET_ONLY

    async def _metrics(self) -> Reply:
        """
        A scrape, shared by all who ask while it is fresh.

        Starvation: scraping takes the interpreter from everybody else, so a flood of scrapes gets a tenth of its time.
        """
        loop = asyncio.get_running_loop()
        async with self._scraping:  # one at a time; who waited finds the answer that was made meanwhile
            if loop.time() >= self._fresh_until:
                started = loop.time()
                self._scraped = reply(200, *await asyncio.to_thread(self._scrape))
                self._fresh_until = loop.time() + min(LONGEST_REUSE, 9 * (loop.time() - started))
            return self._scraped

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
