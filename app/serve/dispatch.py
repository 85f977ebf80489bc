"""The desk behind a listener: times and counts its answers, and waits where there is something to wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from time import perf_counter
from typing import Any, Protocol

from ..core.model import Credentials
from ..observe.counters import Traffic
from .access import Request
from .handlers.credentials import Answer, Desk, Wait
from .peers.peer import Visitor
from .responses import Reply


class Witness(Protocol):
    """Told of what an audit wants to know."""

    def served(self, listener: str, profile: str, credentials: Credentials, visitor: Visitor) -> None:
        """This caller has these credentials now, for the first time."""

    def denied(self, listener: str, profile: str, reason: str, visitor: Visitor) -> None:
        """A request was refused."""


class Front:
    """One credentials or metadata listener."""

    def __init__(self, name: str, desk: Desk, traffic: Traffic, witness: Witness) -> None:
        self._name = name
        self.desk = desk
        self._traffic = traffic
        self._witness = witness

    def lane(self, request: Request) -> Reply | Coroutine[Any, Any, Reply]:
        """The answer, or a coroutine that waits for it no longer than the client will."""
        started = perf_counter()
        answer = self.desk.throttled(request) or self.desk.answer(request)
        if isinstance(answer, Wait):
            return self._later(request, answer, started)
        return self._counted(answer, started, request.visitor)

    async def _later(self, request: Request, answer: Answer | Wait, started: float) -> Reply:
        waited = False
        while isinstance(answer, Wait):
            await _patiently(answer)
            waited = waited or answer.cold
            answer = self.desk.answer(request, waited=waited)
        return self._counted(answer, started, request.visitor)

    def _counted(self, answer: Answer, started: float, visitor: Visitor) -> Reply:
        self._traffic.answered(
            self._name, answer.endpoint, answer.reply.status, answer.profile, perf_counter() - started
        )
        if answer.denied:
            self._traffic.denied[answer.denied] += 1
            self._witness.denied(self._name, answer.profile, answer.denied, visitor)
        elif answer.news is not None:
            self._witness.served(self._name, answer.profile, answer.news, visitor)
        return answer.reply


async def _patiently(wait: Wait) -> None:
    try:
        async with asyncio.timeout(wait.patience):
            await wait.arrived()
    except TimeoutError:
        return
