"""The dispatcher: waiting, counting, the audit, and repeated requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from app.core.values import Credentials
from app.observe.counters import RequestCounters
from app.serve.dispatch import Dispatcher, Outcome
from app.serve.handlers.credential_endpoint import CredentialEndpoint
from app.serve.handlers.credentials import CredentialHandler
from app.serve.handlers.outcome import NEVER, Grant, LabelledResponse, Pending
from app.serve.peers.peer import UNKNOWN_PEER, Peer, no_process
from app.serve.request import Request
from app.serve.responses import NOT_FOUND, THROTTLED, Response, document

from ..simulated_loop import simulated

PEER = Peer(lambda: None, no_process)
REQUEST = Request(b"GET", b"/credentials", [(b"host", b"a")], PEER)
HEAD = b"GET /credentials HTTP/1.1\r\nHost: a\r\n\r\n"
SESSION = Credentials("STS.id", "secret", "token", 0.0, 3600.0)
SERVED = LabelledResponse(document(200, {}), "credentials", "p2", "", False, SESSION)
NOW = 1_000.0


class Handler:
    """A handler that gives the answers of a test in turn, and records what it was asked."""

    def __init__(self, *answers: LabelledResponse | Pending) -> None:
        self.answers = list(answers)
        self.throttled: LabelledResponse | None = None
        self.resolved: LabelledResponse | Pending | Grant = SERVED
        self.still_valid = True
        self.asked: list[Any] = []

    def throttle(self, target: bytes, peer: Peer) -> LabelledResponse | None:
        """Return the refusal, if any."""
        self.asked.append(("throttle", target, peer))
        return self.throttled

    def decide(self, request: Request, *, waited: bool = False) -> LabelledResponse | Pending:
        """Return the next answer."""
        self.asked.append(("answer", request, waited))
        return self.answers.pop(0)

    def redeem(self, grant: Grant, peer: Peer) -> LabelledResponse | Pending:
        """Return the next answer."""
        self.asked.append(("redeem", grant, peer))
        return self.answers.pop(0)

    def resolve(self, request: Request) -> LabelledResponse | Pending | Grant:
        """Return what the test says."""
        self.asked.append(("resolve", request))
        return self.resolved

    def replace(self, endpoint: CredentialEndpoint) -> None:
        """Record."""
        self.asked.append(("replace", endpoint))

    def valid(self, grant: Grant) -> bool:
        """Return what the test says."""
        self.asked.append(("valid", grant))
        return self.still_valid


class Audit:
    """Records what the audit log would."""

    def __init__(self) -> None:
        self.lines: list[Any] = []

    def served(self, *line: Any) -> None:
        """Record."""
        self.lines.append(("served", *line))

    def denied(self, *line: Any) -> None:
        """Record."""
        self.lines.append(("denied", *line))


@pytest.fixture
def counters() -> RequestCounters:
    """Counters at a time."""
    return RequestCounters(lambda: NOW)


@pytest.fixture
def audit() -> Audit:
    """An audit without lines."""
    return Audit()


@pytest.fixture
def dispatcher(counters: RequestCounters, audit: Audit) -> Callable[[Handler], Dispatcher]:
    """Make the dispatcher of a handler."""
    return lambda handler: Dispatcher("metadata", cast(CredentialHandler, handler), counters, audit)


def grant(*, is_get: bool = True, not_after: float = NEVER) -> Grant:
    """Return a grant."""
    return Grant(cast(CredentialEndpoint, None), "credentials", 4.0, is_get, not_after)


async def outcome_of(outcome: Outcome) -> Response:
    """Return the response, waiting for it if that is needed."""
    return outcome if isinstance(outcome, Response) else await outcome


# --- counting and the audit -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("below_horizon", [False, True])
@pytest.mark.parametrize("first_use", [SESSION, None])
def test_served_credentials(
    dispatcher: Callable[[Handler], Dispatcher],
    counters: RequestCounters,
    audit: Audit,
    below_horizon: bool,
    first_use: Credentials | None,
) -> None:
    """Served credentials are counted, and the first use of a session is in the audit."""
    answer = SERVED._replace(below_horizon=below_horizon, first_use=first_use)

    assert dispatcher(Handler(answer))(REQUEST) is SERVED.response
    assert counters.requests == {("metadata", "credentials", 200, "p2"): 1}
    assert counters.last_served == {"p2": NOW}
    assert counters.violations == ({"p2": 1} if below_horizon else {})
    assert counters.denied == {}
    assert audit.lines == ([("served", "metadata", "p2", SESSION, PEER)] if first_use else [])
    (histogram,) = counters.durations.values()
    assert counters.durations.keys() == {("metadata", "credentials")}
    assert sum(histogram.counts) == 1
    assert 0 < histogram.total < 60


def test_refusal(dispatcher: Callable[[Handler], Dispatcher], counters: RequestCounters, audit: Audit) -> None:
    """A refusal is counted and in the audit."""
    refusal = LabelledResponse(NOT_FOUND, "denied", "p2", denied="Caller")

    assert dispatcher(Handler(refusal, refusal))(REQUEST) is NOT_FOUND
    assert counters.requests == {("metadata", "denied", 404, "p2"): 1}
    assert counters.denied == {"Caller": 1}
    assert counters.last_served == {}
    assert audit.lines == [("denied", "metadata", "p2", "Caller", PEER)]


def test_other_answer(dispatcher: Callable[[Handler], Dispatcher], counters: RequestCounters, audit: Audit) -> None:
    """An answer that is neither a refusal nor credentials is only counted as a request."""
    assert dispatcher(Handler(LabelledResponse(NOT_FOUND, "other")))(REQUEST) is NOT_FOUND
    assert counters.requests == {("metadata", "other", 404, ""): 1}
    assert (counters.denied, counters.last_served, audit.lines) == ({}, {}, [])


def test_throttled_request(dispatcher: Callable[[Handler], Dispatcher], counters: RequestCounters) -> None:
    """A request above the caller's rate costs no further work."""
    handler = Handler()
    handler.throttled = LabelledResponse(THROTTLED, "throttled", denied="Rate")
    at = dispatcher(handler)

    assert at(REQUEST) is THROTTLED
    assert counters.denied == {"Rate": 1}
    assert handler.asked == [("throttle", b"/credentials", PEER)]


# --- waiting ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("patience", "took"), [(None, 10), (4.0, 4), (20.0, 10)])
@simulated
async def test_wait(patience: float | None, took: float) -> None:
    """A request waits until it can be answered, but no longer than its client; it is counted once."""
    loop, counters = asyncio.get_running_loop(), RequestCounters(lambda: NOW)
    handler = Handler(Pending(lambda: asyncio.sleep(10), patience, cold=True), SERVED)
    start = loop.time()
    outcome = Dispatcher("metadata", cast(CredentialHandler, handler), counters, Audit())(REQUEST)
    assert counters.requests == {}
    assert await outcome_of(outcome) is SERVED.response

    assert loop.time() - start == took
    assert counters.requests == {("metadata", "credentials", 200, "p2"): 1}
    assert 0 < counters.durations["metadata", "credentials"].total < 60


@pytest.mark.parametrize(
    ("cold", "waited"),
    [([False], [False]), ([True], [True]), ([False, True], [False, True]), ([True, False], [True, True])],
)
async def test_cold_start_is_waited_for_once(
    dispatcher: Callable[[Handler], Dispatcher], audit: Audit, cold: list[bool], waited: list[bool]
) -> None:
    """After each wait the handler is asked again; it learns whether the first credentials were waited for."""
    handler = Handler(*(Pending(lambda: asyncio.sleep(0), None, cold=value) for value in cold), SERVED)
    await outcome_of(dispatcher(handler)(REQUEST))

    assert [asked[2] for asked in handler.asked if asked[0] == "answer"] == [False, *waited]
    assert audit.lines == [("served", "metadata", "p2", SESSION, PEER)]


# --- repeated requests ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep_alive", [False, True])
def test_remembered_request(dispatcher: Callable[[Handler], Dispatcher], audit: Audit, keep_alive: bool) -> None:
    """A remembered request is answered for the caller that repeats it; the first caller is not remembered."""
    handler = Handler(SERVED)
    handler.resolved = granted = grant()
    at = dispatcher(handler)
    at.remember(HEAD, REQUEST, keep_alive=keep_alive)
    found = at.recall(HEAD)

    assert at.recall(HEAD + b"x") is None
    assert found is not None
    assert (found.grant, found.keep_alive) == (granted, keep_alive)
    assert found.request == REQUEST._replace(peer=UNKNOWN_PEER)
    other = Peer(lambda: None, no_process)
    assert at.repeat(found, other) is SERVED.response
    assert handler.asked[1:] == [("throttle", b"", other), ("redeem", granted, other)]
    assert audit.lines == [("served", "metadata", "p2", SESSION, other)]


@pytest.mark.parametrize("resolved", [SERVED, Pending(lambda: asyncio.sleep(0), None, cold=True), grant(is_get=False)])
def test_what_is_not_remembered(
    dispatcher: Callable[[Handler], Dispatcher], resolved: LabelledResponse | Pending | Grant
) -> None:
    """Only a GET that its bytes alone decide is remembered."""
    handler = Handler()
    handler.resolved = resolved
    at = dispatcher(handler)
    at.remember(HEAD, REQUEST, keep_alive=True)

    assert at.recall(HEAD) is None


def test_session_token_that_expires(dispatcher: Callable[[Handler], Dispatcher]) -> None:
    """A decision is dropped when the metadata session token in its request has expired."""
    handler = Handler()
    handler.resolved = grant(not_after=5.0)
    at = dispatcher(handler)
    at.remember(HEAD, REQUEST, keep_alive=True)
    assert at.recall(HEAD) is not None
    handler.still_valid = False
    assert at.recall(HEAD) is None
    handler.still_valid = True
    assert at.recall(HEAD) is None


def test_replaced_endpoint(dispatcher: Callable[[Handler], Dispatcher]) -> None:
    """The handler serves another endpoint of a profile, and decisions about the previous one are dropped."""
    handler = Handler()
    handler.resolved = grant()
    at = dispatcher(handler)
    at.remember(HEAD, REQUEST, keep_alive=True)
    endpoint = cast(CredentialEndpoint, object())
    at.replace(endpoint)

    assert handler.asked[-1] == ("replace", endpoint)
    assert at.recall(HEAD) is None


def test_decision_without_session_token(dispatcher: Callable[[Handler], Dispatcher]) -> None:
    """A decision without a session token does not expire."""
    handler = Handler()
    handler.resolved = grant()
    handler.still_valid = False
    at = dispatcher(handler)
    at.remember(HEAD, REQUEST, keep_alive=True)

    assert at.recall(HEAD) is not None


def test_throttled_repetition(dispatcher: Callable[[Handler], Dispatcher], counters: RequestCounters) -> None:
    """The caller's rate holds for repeated requests too."""
    handler = Handler()
    handler.resolved = grant()
    at = dispatcher(handler)
    at.remember(HEAD, REQUEST, keep_alive=True)
    found = at.recall(HEAD)
    assert found is not None
    handler.throttled = LabelledResponse(THROTTLED, "throttled", denied="Rate")

    assert at.repeat(found, PEER) is THROTTLED
    assert counters.denied == {"Rate": 1}


async def test_repetition_that_waits(dispatcher: Callable[[Handler], Dispatcher], counters: RequestCounters) -> None:
    """A repeated request that has to wait is judged as the same request of its own caller."""
    handler = Handler(Pending(lambda: asyncio.sleep(0), None, cold=True), SERVED)
    handler.resolved = grant()
    at = dispatcher(handler)
    at.remember(HEAD, REQUEST, keep_alive=True)
    found = at.recall(HEAD)
    assert found is not None
    other = Peer(lambda: None, no_process)

    assert await outcome_of(at.repeat(found, other)) is SERVED.response
    assert handler.asked[-1] == ("answer", REQUEST._replace(peer=other), True)
    assert counters.requests == {("metadata", "credentials", 200, "p2"): 1}
    assert 0 < counters.durations["metadata", "credentials"].total < 60


@pytest.mark.parametrize(
    "change",
    [lambda at, handler: at.apply(handler), lambda at, _handler: at.forget_decisions()],
    ids=["handler", "session key"],
)
def test_decisions_are_dropped(
    dispatcher: Callable[[Handler], Dispatcher], change: Callable[[Dispatcher, Any], None]
) -> None:
    """A new handler or a new session key drops every decision."""
    handler = Handler()
    handler.resolved = grant()
    at = dispatcher(handler)
    at.remember(HEAD, REQUEST, keep_alive=True)
    change(at, handler)

    assert at.recall(HEAD) is None


def test_new_handler(dispatcher: Callable[[Handler], Dispatcher]) -> None:
    """Another handler answers from the next request on."""
    at = dispatcher(Handler(SERVED))
    at.apply(cast(CredentialHandler, Handler(LabelledResponse(NOT_FOUND, "other"))))

    assert at(REQUEST) is NOT_FOUND
