"""Check one server: the rules that the clients imply, and the requests of every client."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .models.client import ECS, FAILS, UNKNOWN, URI, Verdict
from .models.ecs_clients import ECS_CLIENTS
from .models.uri_clients import URI_CLIENTS
from .probe.caching_sender import CachingSender
from .probe.context import Context
from .probe.ecs_discovery import discover
from .probe.ecs_sequence import run_ecs_client
from .probe.endpoint import EcsEndpoint, UriEndpoint
from .probe.uri_sequence import run_uri_client
from .rules.body_checks import session_times
from .rules.ecs_rules import ECS_RULES, EcsRule
from .rules.rule import BROKEN, NOT_ASKED, Finding, evaluate
from .rules.slow_rules import expired_token, idle
from .rules.uri_rules import LENGTH_AND_TYPE, URI_RULES, UriRule
from .wire.budget import Budget, BudgetExhausted
from .wire.request import Request
from .wire.response import NoResponse, Outcome, Response
from .wire.sender import Sender, SocketSender
from .wire.url import HttpUrl


class ServerUnreachable(Exception):
    """The first request got no HTTP response. The message names the server and the reason."""


@dataclass(frozen=True, slots=True)
class Result:
    """
    What a check found. Nothing in it is secret: no value of a response, and of the URLs only host and port.

    `seconds` is the duration of the check. `seconds_left` and `session_seconds` are those of the session; None: the
    timestamps are missing or not in the format that every client accepts.
    """

    origin: str
    ecs_origin: str | None
    requests: int
    seconds: float
    seconds_left: float | None
    session_seconds: float | None
    findings: tuple[Finding, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def conforms(self) -> bool:
        """Whether every request was sent, no rule is broken, and every client works that works with any server."""
        wrong = any(finding.verdict in (BROKEN, NOT_ASKED) for finding in self.findings)
        return not wrong and not any(verdict.state in (FAILS, UNKNOWN) for verdict in self.verdicts)


class Checker:
    """
    Check one server, one request after the other, within a budget. No redirect to another server is followed.

    `now` is the wall clock, `sleep` waits. `slow` adds the rules whose check takes seconds.
    """

    def __init__(
        self,
        budget: Budget,
        *,
        now: Callable[[], float],
        sleep: Callable[[float], None],
        slow: bool = False,
        connect: Callable[[HttpUrl, Budget], Sender] = SocketSender,
    ) -> None:
        self._budget = budget
        self._connect = connect
        self._now = now
        self._sleep = sleep
        self._slow = slow

    def check(self, url: HttpUrl, ecs_url: HttpUrl | None) -> Result:
        """Check the credentials URI `url` and, if it is given, the ECS metadata service. Raises ServerUnreachable."""
        sender = self._connect(url, self._budget)
        endpoint = UriEndpoint(url, CachingSender(_send_with(sender)), self._now())
        _require_response(endpoint.get(), url)
        findings, verdicts = self._check_uri(endpoint, sender)
        if ecs_url is not None:
            ecs_findings, ecs_verdicts = self._check_ecs(ecs_url)
            findings, verdicts = (*findings, *ecs_findings), (*verdicts, *ecs_verdicts)
        return Result(
            url.origin,
            None if ecs_url is None else ecs_url.origin,
            self._budget.requests,
            self._budget.seconds,
            *session_times(endpoint.get(), endpoint.now),
            findings,
            verdicts,
        )

    def _check_uri(self, endpoint: UriEndpoint, sender: Sender) -> tuple[tuple[Finding, ...], tuple[Verdict, ...]]:
        times = session_times(endpoint.get(), endpoint.now)
        context = Context(endpoint.sender, endpoint.now, *times, error=_error(endpoint.get_missing()))
        verdicts = tuple(run_uri_client(client, endpoint.url, context) for client in URI_CLIENTS)
        slow: tuple[UriRule, ...] = (idle(sender.idle_seconds),) if self._slow else ()
        rules = (*URI_RULES, *slow, LENGTH_AND_TYPE)
        return tuple(evaluate(rule, endpoint, URI) for rule in rules), verdicts

    def _check_ecs(self, url: HttpUrl) -> tuple[tuple[Finding, ...], tuple[Verdict, ...]]:
        sender = CachingSender(_send_with(self._connect(url, self._budget)))
        try:
            endpoint = EcsEndpoint(sender, self._now())
            _require_response(endpoint.get_list(), url)
            endpoint = discover(endpoint)
            context = _ecs_context(endpoint)
        except BudgetExhausted as error:
            return (), tuple(Verdict(client.name, ECS, UNKNOWN, remarks=(str(error),)) for client in ECS_CLIENTS)
        verdicts = tuple(run_ecs_client(client, context) for client in ECS_CLIENTS)
        slow: tuple[EcsRule, ...] = (expired_token(self._sleep),) if self._slow else ()
        findings = tuple(evaluate(rule, endpoint, ECS) for rule in (*ECS_RULES, *slow))
        every_response = UriEndpoint(url, sender, endpoint.now)
        return (*findings, evaluate(LENGTH_AND_TYPE, every_response, ECS)), verdicts


def _ecs_context(endpoint: EcsEndpoint) -> Context:
    error = _error(endpoint.get_missing_role())
    times = session_times(endpoint.get_role(), endpoint.now)
    return Context(endpoint.sender, endpoint.now, *times, endpoint.role, error, endpoint.token is not None)


def _error(outcome: Outcome) -> Response | None:
    return outcome if isinstance(outcome, Response) and outcome.status >= 400 else None


def _require_response(outcome: Outcome, url: HttpUrl) -> None:
    if isinstance(outcome, NoResponse):
        raise ServerUnreachable(f"{url.origin}: {outcome.reason}; start an HTTP server there, or correct the URL")


def _send_with(sender: Sender) -> Callable[[Request], Outcome]:
    return lambda request: sender.send(request.raw, bodyless=request.method == "HEAD")
