"""The requests of one credentials or metadata listener: passes them to the handler, waits, counts and audits."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from time import perf_counter
from typing import Any, Protocol

from ..core.values import Credentials
from ..observe.counters import RequestCounters
from .handlers.credential_endpoint import CredentialEndpoint
from .handlers.credentials import CredentialHandler
from .handlers.outcome import NEVER, Grant, LabelledResponse, Pending
from .memo import Decision, DecisionMemo
from .peers.peer import UNKNOWN_PEER, Peer
from .request import Request
from .responses import Response

Outcome = Response | Coroutine[Any, Any, Response]


class AuditSink(Protocol):
    """Receives the events of the audit log."""

    def served(self, listener: str, profile: str, credentials: Credentials, peer: Peer) -> None:
        """Record that a caller received these credentials for the first time."""

    def denied(self, listener: str, profile: str, reason: str, peer: Peer) -> None:
        """Record that a request was refused."""


class Dispatcher:
    """
    Answers the requests of one listener; the object stays while `apply` replaces the handler behind it.

    The HTTP protocol of the production listeners and the routes of the FastAPI application both use this class.
    """

    def __init__(self, listener: str, handler: CredentialHandler, counters: RequestCounters, audit: AuditSink) -> None:
        self._listener = listener
        self._handler = handler
        self._counters = counters
        self._audit = audit
        self._memo = DecisionMemo()

    def apply(self, handler: CredentialHandler) -> None:
        """Use another handler from the next request on. Remembered decisions of the previous one are dropped."""
        self._handler = handler
        self._memo.clear()

    def replace(self, endpoint: CredentialEndpoint) -> None:
        """Serve a profile from another endpoint. With a thousand profiles a new handler would take milliseconds."""
        self._handler.replace(endpoint)
        self._memo.clear()

    def forget_decisions(self) -> None:
        """Drop all remembered decisions: the key of the metadata session tokens was replaced."""
        self._memo.clear()

    def __call__(self, request: Request) -> Outcome:
        """Return the response, or a coroutine that waits for the response no longer than the client does."""
        started = perf_counter()
        answer = self._handler.throttle(request.target, request.peer) or self._handler.decide(request)
        if isinstance(answer, Pending):
            return self._later(answer, request, started)
        return self._record(answer, request.peer, started)

    # --- repeated requests --------------------------------------------------------------------------------------------

    def recall(self, head: bytes) -> Decision | None:
        """Return the decision that was remembered for exactly these bytes, or None."""
        found = self._memo.recall(head)
        if found is not None and found.grant.not_after != NEVER and not self._handler.valid(found.grant):
            self._memo.forget(head)
            return None
        return found

    def repeat(self, decision: Decision, peer: Peer) -> Outcome:
        """Return what `__call__` returns for a request with the remembered decision."""
        started = perf_counter()
        answer = self._handler.throttle(b"", peer) or self._handler.redeem(decision.grant, peer)
        if isinstance(answer, Pending):
            return self._later(answer, decision.request._replace(peer=peer), started)
        return self._record(answer, peer, started)

    def remember(self, head: bytes, request: Request, *, keep_alive: bool) -> None:
        """Remember the decision for a complete GET answered 200, if the decision depends on the bytes alone."""
        found = self._handler.resolve(request)
        if isinstance(found, Grant) and found.is_get:
            self._memo.remember(head, Decision(found, keep_alive, request._replace(peer=UNKNOWN_PEER)))

    # --- waiting, counting --------------------------------------------------------------------------------------------

    async def _later(self, answer: LabelledResponse | Pending, request: Request, started: float) -> Response:
        waited = False
        while isinstance(answer, Pending):
            await _wait(answer)
            waited = waited or answer.cold
            answer = self._handler.decide(request, waited=waited)  # the rules may have changed meanwhile
        return self._record(answer, request.peer, started)

    def _record(self, answer: LabelledResponse, peer: Peer, started: float) -> Response:
        counters = self._counters
        counters.answered(
            self._listener, answer.label, answer.response.status, answer.profile, perf_counter() - started
        )
        if answer.denied:
            counters.denied[answer.denied] += 1
            self._audit.denied(self._listener, answer.profile, answer.denied, peer)
        elif answer.below_horizon is not None:
            counters.served(answer.profile, answer.below_horizon)
            if answer.first_use is not None:
                self._audit.served(self._listener, answer.profile, answer.first_use, peer)
        return answer.response


async def _wait(pending: Pending) -> None:
    try:
        async with asyncio.timeout(pending.patience):
            await pending.ready()
    except TimeoutError:
        return
