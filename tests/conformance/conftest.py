"""A server for the conformance package that is no process: our own desk, with whatever a test makes worse."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace

import pytest

from app.conformance.models.client import Verdict
from app.conformance.rules.rule import Finding
from app.conformance.survey import Survey, Surveyor
from app.conformance.wire.address import Address, address
from app.conformance.wire.answer import NotHttp, Reply, Silence, take_apart
from app.conformance.wire.exchange import Budget
from app.serve.access import Request
from app.serve.handlers.credentials import CredentialHandler
from app.serve.handlers.outcome import Answer, Pending

from ..clock import Clock
from ..conftest import Offline, running

Change = Callable[[Request, bytes], bytes]
"""What becomes of an answer's bytes on their way to whoever asked."""


def as_it_is(_request: Request, raw: bytes) -> bytes:
    return raw


def request_of(raw: bytes) -> Request:
    """A request's head as the listener hands it on."""
    first, *lines = raw.partition(b"\r\n\r\n")[0].split(b"\r\n")
    method, target, _ = first.split(b" ")
    pairs = (line.partition(b":") for line in lines)
    return Request(method, target, [(name.lower(), value.strip()) for name, _, value in pairs])


@dataclass
class Served:
    """The desk's answers as bytes, each after `seconds`; `idle` is how long it lets a connection idle."""

    handler: CredentialHandler
    budget: Budget
    change: Change = as_it_is
    idle: float | None = 5.0
    seconds: float = 0.0
    asked: list[Request] = field(default_factory=list)

    def ask(self, raw: bytes, *, bodyless: bool = False) -> Reply:
        self.budget.take()
        request = request_of(raw)
        self.asked.append(request)
        given = self.handler.answer(request)
        given = self.handler.answer(request, waited=True) if isinstance(given, Pending) else given
        assert isinstance(given, Answer)
        raw = given.response.bytes_for(b"GET", keep_alive=False)
        # The listener, which is not here, takes a HEAD's body off.
        raw = raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if request.method == b"HEAD" else raw
        try:
            answer = take_apart(self.change(request, raw), ended=True, bodyless=bodyless)
        except NotHttp as error:
            return Silence(str(error))
        assert answer is not None
        return replace(answer, first_byte=self.seconds, seconds=self.seconds)

    def idle_seconds(self, _raw: bytes, _limit: float) -> float | None:
        return self.idle


@dataclass
class Look:
    """A survey, and what to ask of it."""

    survey: Survey
    asked: list[Request]

    def broken(self) -> set[str]:
        """`protocol number name` of each rule that is not kept, advice in brackets."""
        return {
            f"({name(finding)})" if finding.verdict == "advice" else name(finding)
            for finding in self.survey.findings
            if finding.verdict not in ("ok", "not seen")
        }

    def failing(self) -> dict[str, set[str]]:
        """The needs that each failing client has."""
        return {
            f"{verdict.protocol} {verdict.client}": {refusal.need for refusal in verdict.unmet}
            for verdict in self.survey.verdicts
            if verdict.state == "fails"
        }

    def client(self, protocol: str, client: str) -> Verdict:
        return next(item for item in self.survey.verdicts if (item.protocol, item.client) == (protocol, client))

    def finding(self, wanted: str) -> Finding:
        return next(item for item in self.survey.findings if name(item) == wanted)


def name(finding: Finding) -> str:
    return f"{finding.protocol} {finding.number} {finding.name}"


Looker = Callable[..., Look]


@pytest.fixture
async def served(bench: Callable[..., Offline], clock: Clock) -> AsyncIterator[Offline]:
    """Our own sidecar with its first credentials."""
    sidecar = bench()
    async with running(*sidecar.refreshers.values()):
        await clock.asleep()
        yield sidecar


@pytest.fixture
def look(served: Offline, clock: Clock) -> Looker:
    """Looks at our own desk, as a test changes its answers, or at another desk."""

    def looker(
        change: Change = as_it_is,
        *,
        url: str = "http://127.0.0.1:7117/credentials",
        at: CredentialHandler | None = None,
        slow: bool = False,
        idle: float | None = 5.0,
        requests: int = 150,
        seconds: float = 0.0,
    ) -> Look:
        budget = Budget(now=clock.time, requests=requests)
        line = Served(at or served.handler, budget, change, idle, seconds)
        surveyor = Surveyor(budget, now=clock.time, sleep=clock.jump, slow=slow, connect=lambda _address, _budget: line)
        return Look(surveyor.look(address(url), Address("127.0.0.1", 7117, "/")), line.asked)

    return looker
