"""The desk behind a listener: times and counts its answers, and waits where there is something to wait for.

`lane` is what the protocol calls; the ASGI callable is the same desk for requests that must wait, and for tests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from time import perf_counter
from typing import Any

from .desk import Answer, Desk, Wait
from .guard import Request
from .replies import Reply
from .telemetry import Traffic

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Denied = Callable[[str, str], None]
"""Told of each refusal: the listener's name and the reason."""


class Front:
    """One credentials or metadata listener."""

    def __init__(self, name: str, desk: Desk, traffic: Traffic, denied: Denied) -> None:
        self._name = name
        self._desk = desk
        self._traffic = traffic
        self._denied = denied

    def lane(self, request: Request) -> Reply | None:
        """The answer, or None where it has to be waited for."""
        started = perf_counter()
        answer = self._desk.answer(request)
        return None if isinstance(answer, Wait) else self._counted(answer, started)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = request_of(scope)
        started = perf_counter()
        answer = self._desk.answer(request)
        if isinstance(answer, Wait):
            await _patiently(answer)
            answer = self._desk.answer(request, waited=True)
        if isinstance(answer, Answer):
            await send_reply(self._counted(answer, started), scope, send)

    def _counted(self, answer: Answer, started: float) -> Reply:
        self._traffic.answered(
            self._name, answer.endpoint, answer.reply.status, answer.profile, perf_counter() - started
        )
        if answer.denied:
            self._traffic.denied[answer.denied] += 1
            self._denied(self._name, answer.denied)
        return answer.reply


def request_of(scope: Scope) -> Request:
    """The request as it came; the listener keeps the raw target, which ASGI's `path` would have decoded."""
    query = scope.get("query_string", b"")
    raw = scope.get("raw_path") or scope["path"].encode()
    target = scope.get("state", {}).get("target") or (raw + b"?" + query if query else raw)
    headers = [(name.lower(), value) for name, value in scope["headers"]]
    return Request(scope["method"].encode(), target, headers)


async def send_reply(reply: Reply, scope: Scope, send: Send) -> None:
    """`reply` as ASGI messages."""
    await send({"type": "http.response.start", "status": reply.status, "headers": list(reply.headers)})
    body = b"" if scope["method"] == "HEAD" else reply.body
    await send({"type": "http.response.body", "body": body})


async def _patiently(wait: Wait) -> None:
    try:
        async with asyncio.timeout(wait.patience):
            await wait.refresher.settled()
    except TimeoutError:
        return
