"""The desk behind a listener: times and counts its answers, and waits where there is something to wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from time import perf_counter
from typing import Any

from .desk import Answer, Desk, Wait
from .guard import Request
from .replies import Reply
from .telemetry import Traffic

Denied = Callable[[str, str], None]
"""Told of each refusal: the listener's name and the reason."""


class Front:
    """One credentials or metadata listener."""

    def __init__(self, name: str, desk: Desk, traffic: Traffic, denied: Denied) -> None:
        self._name = name
        self._desk = desk
        self._traffic = traffic
        self._denied = denied

    def lane(self, request: Request) -> Reply | Coroutine[Any, Any, Reply]:
        """The answer, or a coroutine that waits for it no longer than the client will."""
        started = perf_counter()
        answer = self._desk.answer(request)
        return self._later(request, answer, started) if isinstance(answer, Wait) else self._counted(answer, started)

    async def _later(self, request: Request, wait: Wait, started: float) -> Reply:
        await _patiently(wait)
        return self._counted(self._desk.after_waiting(request), started)

    def _counted(self, answer: Answer, started: float) -> Reply:
        self._traffic.answered(
            self._name, answer.endpoint, answer.reply.status, answer.profile, perf_counter() - started
        )
        if answer.denied:
            self._traffic.denied[answer.denied] += 1
            self._denied(self._name, answer.denied)
        return answer.reply


async def _patiently(wait: Wait) -> None:
    try:
        async with asyncio.timeout(wait.patience):
            await wait.refresher.settled()
    except TimeoutError:
        return
