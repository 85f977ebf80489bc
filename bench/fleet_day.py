"""The simulation of a fleet for a day: thousands of real refreshers that share the STS quota of one account."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from app.core.clocks import Clocks
from app.core.errors import SidecarError, Unreachable
from app.core.events import Event, Refreshed
from app.core.schedule import Schedule, horizon
from app.core.values import Credentials
from app.emulator.sts.quota import Quota
from app.refresh.refresher import Policy, Refresher
from app.upstream.answers.errors import error_of
from app.upstream.response import UpstreamResponse
from bench.virtual import Task, VirtualTime, pause

LATENCY = 0.2
"""Seconds that a call takes, refused or not: a round trip with TLS to a nearby region. It hardly affects figures."""

RESTART = 10.0
"""Seconds until a process that has exited is restarted. They double each time (kubelet's CrashLoopBackOff)."""

THROTTLED = UpstreamResponse(
    400, b'{"Code":"Throttling.User","Message":"Request was denied due to user flow control."}'
)
"""The response of STS: its code and message are documented; its status and Retry-After are not."""

Span = tuple[float, float]


@dataclass(frozen=True)
class Day:
    """
    The events of the simulated day, in seconds from the start of the roll-out.

    `quota`: calls per second of the account, in a fixed window as the emulator counts them. A call above the quota gets
    `Throttling.User` without Retry-After, because no reference promises one. `cut`: when half of the quota is left.
    `outage`: when no call is answered. `gate`: a process without credentials after this time exits with 4
    (`startup.timeoutSeconds`) and is restarted.
    """

    sidecars: int = 10_000
    quota: int = 100
    rollout: float = 60.0
    gate: float = 60.0
    life: float = 3600.0
    cut: Span = (14_400.0, 15_000.0)
    outage: Span = (21_600.0, 23_400.0)
    ends: float = 86_400.0
    seed: int = 1

    def quota_at(self, now: float) -> int:
        """Return the quota at an instant."""
        return self.quota // 2 if _within(now, self.cut) else self.quota

    def down_at(self, now: float) -> bool:
        """Return whether the cloud is down at an instant."""
        return _within(now, self.outage)


@dataclass
class Record:
    """The record of a simulation: calls per second, and the sidecars' times."""

    day: Day
    calls: list[int] = field(default_factory=list)
    throttled: list[int] = field(default_factory=list)
    started: dict[str, float] = field(default_factory=dict)
    """The time at which a sidecar was rolled out. A restart does not change it."""
    ready: dict[str, float] = field(default_factory=dict)
    restarts: int = 0
    without: list[tuple[float, float]] = field(default_factory=list)
    """The spans in which a sidecar that had been ready had no valid session."""
    low: list[tuple[float, float]] = field(default_factory=list)
    """The spans in which the session of a sidecar had less life than promise 2 guarantees."""


class Fleet:
    """The sidecars of one account, and the account's quota."""

    def __init__(self, day: Day, schedule: Schedule) -> None:
        seconds = int(day.ends) + 1
        self.record = Record(day, calls=[0] * seconds, throttled=[0] * seconds)
        self._day = day
        self._schedule = schedule
        self._time = VirtualTime()
        self._quota = Quota()
        self._sessions: dict[str, Credentials] = {}

    def live(self) -> Record:
        """Simulate the day and return its record."""
        rng = random.Random(self._day.seed)
        for index in range(self._day.sidecars):
            at = rng.uniform(0.0, self._day.rollout)
            self.record.started[str(index)] = at
            self._begin(str(index), at, random.Random(rng.random()))
        self._time.run(self._day.ends)
        for name in self._sessions:
            self._check_service(name, self._day.ends)
        return self.record

    def _begin(self, name: str, at: float, rng: random.Random, restart: float = RESTART) -> None:
        process = self._refresher(name, rng).run()
        self._time.begin(at, process)
        self._time.begin(at + self._day.gate, self._gate(name, process, rng, restart))

    async def _gate(self, name: str, process: Task, rng: random.Random, restart: float) -> None:
        if name in self.record.ready:
            return
        self._time.end(process)
        self.record.restarts += 1
        self._begin(name, self._time.now() + restart, rng, 2 * restart)

    def _refresher(self, name: str, rng: random.Random) -> Refresher:
        return Refresher(
            name,
            self._fetch,
            policy=Policy(self._schedule),
            observe=self._observe,
            clocks=Clocks(self._time.now, self._time.now),
            sleep=pause,
            random=rng.random,
        )

    async def _fetch(self) -> Credentials:
        error = self._refusal(self._time.now())
        await pause(LATENCY)
        if error is not None:
            raise error
        now = self._time.now()
        return Credentials("STS.x", "secret", "token", issued_at=now, expires_at=now + self._day.life)

    def _refusal(self, now: float) -> SidecarError | None:
        self.record.calls[int(now)] += 1
        if self._day.down_at(now):
            return Unreachable("could not connect")
        if self._quota.exceeded("account", limit=self._day.quota_at(now), now=now):
            self.record.throttled[int(now)] += 1
            return error_of(THROTTLED, "sts", asked="STS")
        return None

    def _observe(self, event: Event) -> None:
        if not isinstance(event, Refreshed):
            return
        name = event.profile
        now = self._time.now()
        self.record.ready.setdefault(name, now)
        self._check_service(name, now)
        self._sessions[name] = event.credentials

    def _check_service(self, name: str, now: float) -> None:
        """At the end of a session's service, record if a reader had no session, or less life than promised."""
        session = self._sessions.get(name)
        if session is None:
            return
        if now > session.expires_at:
            self.record.without.append((session.expires_at, now))
        low_from = session.expires_at - horizon(self._day.life)
        if now > low_from:
            self.record.low.append((low_from, now))


def _within(now: float, span: Span) -> bool:
    return span[0] <= now < span[1]
