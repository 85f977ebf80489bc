"""The sidecar's own credential handler as the server under test, in this process, with the faults of a test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace

import pytest

from app.conformance.checker import Checker, Result
from app.conformance.models.client import Verdict
from app.conformance.rules.rule import Finding
from app.conformance.wire.budget import Budget
from app.conformance.wire.response import InvalidResponse, NoResponse, Outcome, parse_response
from app.conformance.wire.url import HttpUrl, parse_url
from app.serve.handlers.credentials import CredentialHandler
from app.serve.handlers.outcome import LabelledResponse, Pending
from app.serve.request import Request

from ..clock import Clock
from ..conftest import Offline, running

Change = Callable[[Request, bytes], bytes]
"""Returns the changed bytes of a response to the request."""


def unchanged(_request: Request, raw: bytes) -> bytes:
    """Return the response as it is."""
    return raw


def request_of(raw: bytes) -> Request:
    """Parse a request's head into what the listener passes to the handler."""
    first, *lines = raw.partition(b"\r\n\r\n")[0].split(b"\r\n")
    method, target, _ = first.split(b" ")
    pairs = (line.partition(b":") for line in lines)
    return Request(method, target, [(name.lower(), value.strip()) for name, _, value in pairs])


@dataclass
class InProcessSender:
    """
    Send requests to a handler without a socket.

    Each response takes `seconds`. `idle` is the number of seconds after which an idle connection is closed.
    """

    handler: CredentialHandler
    budget: Budget
    change: Change = unchanged
    idle: float | None = 5.0
    seconds: float = 0.0
    requests: list[Request] = field(default_factory=list)

    def send(self, raw: bytes, *, bodyless: bool = False) -> Outcome:
        self.budget.take()
        request = request_of(raw)
        self.requests.append(request)
        answer = self.handler.decide(request)
        answer = self.handler.decide(request, waited=True) if isinstance(answer, Pending) else answer
        assert isinstance(answer, LabelledResponse)
        raw = answer.response.bytes_for(b"GET", keep_alive=False)
        # The listener, which is not part of this test, removes the body of a response to HEAD.
        raw = raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if request.method == b"HEAD" else raw
        try:
            response = parse_response(self.change(request, raw), closed=True, bodyless=bodyless)
        except InvalidResponse as error:
            return NoResponse(str(error))
        assert response is not None
        return replace(response, first_byte_seconds=self.seconds, total_seconds=self.seconds)

    def idle_seconds(self, _raw: bytes, _limit: float) -> float | None:
        return self.idle


@dataclass
class Checked:
    """The result of a check, and the requests that the server got."""

    result: Result
    requests: list[Request]

    def broken(self) -> set[str]:
        """Return `protocol number name` of each broken rule, those of advice in brackets."""
        return {
            f"({name(finding)})" if finding.verdict == "advice" else name(finding)
            for finding in self.result.findings
            if finding.verdict not in ("ok", "not seen")
        }

    def failing(self) -> dict[str, set[str]]:
        """Return the unmet needs of each failing client."""
        return {
            f"{verdict.protocol} {verdict.client}": {unmet.need for unmet in verdict.unmet}
            for verdict in self.result.verdicts
            if verdict.state == "fails"
        }

    def client(self, protocol: str, client: str) -> Verdict:
        """Return the verdict on one client."""
        return next(item for item in self.result.verdicts if (item.protocol, item.client) == (protocol, client))

    def finding(self, wanted: str) -> Finding:
        """Return the finding for the rule `protocol number name`."""
        return next(item for item in self.result.findings if name(item) == wanted)


def name(finding: Finding) -> str:
    """Return the rule of a finding as `protocol number name`."""
    return f"{finding.protocol} {finding.number} {finding.name}"


Check = Callable[..., Checked]


@pytest.fixture
async def sidecar(offline: Callable[..., Offline], clock: Clock) -> AsyncIterator[Offline]:
    """A sidecar with its first credentials."""
    offline_sidecar = offline()
    async with running(*offline_sidecar.refreshers.values()):
        await clock.asleep()
        yield offline_sidecar


@pytest.fixture
def check(sidecar: Offline, clock: Clock) -> Check:
    """Check the sidecar's own handler, or another one, with the responses changed by `change`."""

    def checked(
        change: Change = unchanged,
        *,
        url: str = "http://127.0.0.1:7117/credentials",
        handler: CredentialHandler | None = None,
        slow: bool = False,
        idle: float | None = 5.0,
        max_requests: int = 150,
        seconds: float = 0.0,
    ) -> Checked:
        budget = Budget(now=clock.time, max_requests=max_requests)
        sender = InProcessSender(handler or sidecar.handler, budget, change, idle, seconds)
        checker = Checker(budget, now=clock.time, sleep=clock.jump, slow=slow, connect=lambda _url, _budget: sender)
        return Checked(checker.check(parse_url(url), HttpUrl("127.0.0.1", 7117, "/")), sender.requests)

    return checked
