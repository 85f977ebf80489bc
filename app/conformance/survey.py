"""One whole look at a server: its rules, and every client's way to its credentials."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from .models.client import FAILS, UNKNOWN, Verdict
from .models.ecs_clients import ECS_CLIENTS
from .models.uri_clients import URI_CLIENTS
from .probe.target import NOBODY, ROLES, EcsTarget, Once, UriTarget
from .probe.walk import ECS, URI, Scene, walk_ecs, walk_uri
from .rules.bodies import one_line
from .rules.ecs_rules import ECS_RULES, Ecs
from .rules.rule import BROKEN, NOT_ASKED, Finding, judge
from .rules.slow_rules import expired_token, idle
from .rules.uri_rules import LENGTH_RULE, URI_RULES, Uri, times
from .wire.address import Address, Ask
from .wire.answer import Answer, NotAsked, Reply, Silence
from .wire.exchange import Budget, Wire


class NobodyAnswers(Exception):
    """Nobody answers in HTTP at the first question; `str()` names the server and says why."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What a look found. Nothing in it is secret: no value of an answer, and of the URLs host and port only."""

    origin: str
    ecs_origin: str | None
    requests: int
    seconds: float
    left: float | None
    life: float | None
    findings: tuple[Finding, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def conforms(self) -> bool:
        """Everything was asked, no rule is broken, no client fails; clients that nobody can serve do not count."""
        wrong = any(finding.verdict in (BROKEN, NOT_ASKED) for finding in self.findings)
        return not wrong and not any(verdict.state in (FAILS, UNKNOWN) for verdict in self.verdicts)


class Line(Protocol):
    """What a look needs of the wire to one server."""

    def ask(self, raw: bytes, *, bodyless: bool = False) -> Reply: ...

    def idle_seconds(self, raw: bytes, limit: float) -> float | None: ...


class Surveyor:
    """
    Looks at one server, one request after the other, within a budget; what leads to another server is not followed.

    `now` is the wall clock, `sleep` waits; `slow` adds the rules that take seconds.
    """

    def __init__(
        self,
        budget: Budget,
        *,
        now: Callable[[], float],
        sleep: Callable[[float], None],
        slow: bool = False,
        connect: Callable[[Address, Budget], Line] = Wire,
    ) -> None:
        self._budget = budget
        self._connect = connect
        self._now = now
        self._sleep = sleep
        self._slow = slow

    def look(self, address: Address, ecs: Address | None) -> Survey:
        """The whole look. Raises NobodyAnswers."""
        line = self._connect(address, self._budget)
        target = UriTarget(address, Once(_sending(line)), self._now())
        _must_answer(target.get(), address)
        left, life = times(target.get(), target.now)
        findings, verdicts = self._uri(target, line)
        if ecs is not None:
            more_findings, more_verdicts = self._ecs(ecs)
            findings, verdicts = (*findings, *more_findings), (*verdicts, *more_verdicts)
        origins = address.origin, None if ecs is None else ecs.origin
        return Survey(*origins, self._budget.spent, self._budget.seconds, left, life, findings, verdicts)

    def _uri(self, target: UriTarget, line: Line) -> tuple[tuple[Finding, ...], tuple[Verdict, ...]]:
        scene = Scene(target.once, target.now, *times(target.get(), target.now), error=_error(target.unknown()))
        verdicts = tuple(walk_uri(client, target.address, scene) for client in URI_CLIENTS)
        rules: tuple[Uri, ...] = (*URI_RULES, *((idle(line.idle_seconds),) if self._slow else ()), LENGTH_RULE)
        return tuple(judge(rule, target, URI) for rule in rules), verdicts

    def _ecs(self, where: Address) -> tuple[tuple[Finding, ...], tuple[Verdict, ...]]:
        once = Once(_sending(self._connect(where, self._budget)))
        try:
            target = settled(EcsTarget(once, self._now()), where)
            scene = _scene(target)
        except NotAsked as why:
            return (), tuple(Verdict(client.name, ECS, UNKNOWN, remarks=(str(why),)) for client in ECS_CLIENTS)
        verdicts = tuple(walk_ecs(client, scene) for client in ECS_CLIENTS)
        rules: tuple[Ecs, ...] = (*ECS_RULES, *((expired_token(self._sleep),) if self._slow else ()))
        findings = tuple(judge(rule, target, ECS) for rule in rules)
        whole = UriTarget(where, once, target.now)
        return (*findings, judge(LENGTH_RULE, whole, ECS)), verdicts


def settled(target: EcsTarget, where: Address) -> EcsTarget:
    """The target with its first role's name, and with a token if the server requires one. Raises NobodyAnswers."""
    bare = target.get(f"{ROLES}/")
    _must_answer(bare, where)
    token = _token(target.put())
    listed = target if _fine(bare) or token is None else replace(target, token=token)
    role = _first_line(listed.get(f"{ROLES}/")) or target.role
    open_target = replace(target, role=role)
    if token is None or _fine(open_target.get(open_target.role_path)):
        return open_target
    required = replace(open_target, token=token)
    return required if _fine(required.get(required.role_path)) else open_target


def _scene(target: EcsTarget) -> Scene:
    error = _error(target.get(f"{ROLES}/{NOBODY}"))
    left, life = times(target.get(target.role_path), target.now)
    return Scene(target.once, target.now, left, life, target.role, error, target.token is not None)


def _token(reply: Reply) -> str | None:
    """The token, if it can stand in a header."""
    if not isinstance(reply, Answer) or reply.status != 200 or one_line(reply):
        return None
    return reply.body.decode("latin-1")


def _first_line(reply: Reply) -> str:
    if not isinstance(reply, Answer) or reply.status != 200:
        return ""
    line = reply.body.decode("latin-1").partition("\n")[0].strip()
    return line if re.fullmatch(r"[!-~]{1,128}", line) else ""


def _fine(reply: Reply) -> bool:
    return isinstance(reply, Answer) and reply.status == 200


def _error(reply: Reply) -> Answer | None:
    return reply if isinstance(reply, Answer) and reply.status >= 400 else None


def _must_answer(reply: Reply, where: Address) -> None:
    if isinstance(reply, Silence):
        raise NobodyAnswers(f"{where.origin}: {reply.why}; does a server listen there?")


def _sending(line: Line) -> Callable[[Ask], Reply]:
    return lambda ask: line.ask(ask.raw, bodyless=ask.method == "HEAD")
