"""A day of a fleet: thousands of real refreshers before one account's STS quota."""

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
from app.upstream.errors import error_of
from app.upstream.response import UpstreamResponse
from bench.virtual import Errand, VirtualTime, pause

LATENCY = 0.2
"""Seconds that a call takes, refused or not: a nearby region's round trip with TLS; of no weight in the figures."""

RESTART = 10.0
"""Seconds until a process that has left is started again; it doubles each time (kubelet's CrashLoopBackOff)."""

THROTTLED = UpstreamResponse(
    400, b'{"Code":"Throttling.User","Message":"Request was denied due to user flow control."}'
)
"""What is known of the answer: its code and its words. Its status is documented nowhere, and Retry-After neither."""

Span = tuple[float, float]


@dataclass(frozen=True)
class Day:
    """
    What happens to the fleet, in seconds from the start of the roll-out.

    `quota`: calls a second, shared by all, in a fixed window as the emulator counts them; one too many is
    `Throttling.User` without a Retry-After, because no reference promises one. `cut`: when half of that is left.
    `outage`: when no call is answered at all. `gate`: a process that has nothing after so long leaves with exit 4
    (`startup.timeoutSeconds`), and whoever started it starts it again.
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
        return self.quota // 2 if _within(now, self.cut) else self.quota

    def down_at(self, now: float) -> bool:
        return _within(now, self.outage)


@dataclass
class Record:
    """What was seen: calls by their second, and what became of each sidecar."""

    day: Day
    calls: list[int] = field(default_factory=list)
    throttled: list[int] = field(default_factory=list)
    started: dict[str, float] = field(default_factory=dict)
    """When a sidecar was rolled out; restarts do not change it."""
    ready: dict[str, float] = field(default_factory=dict)
    restarts: int = 0
    without: list[tuple[float, float]] = field(default_factory=list)
    """From when to when a sidecar that had been ready held nothing valid."""
    low: list[tuple[float, float]] = field(default_factory=list)
    """From when to when a sidecar held less than promise 2 says."""


class Fleet:
    """The sidecars of one account, and the account."""

    def __init__(self, day: Day, schedule: Schedule) -> None:
        seconds = int(day.ends) + 1
        self.record = Record(day, calls=[0] * seconds, throttled=[0] * seconds)
        self._day = day
        self._schedule = schedule
        self._time = VirtualTime()
        self._quota = Quota()
        self._held: dict[str, Credentials] = {}

    def live(self) -> Record:
        """Plays the day, and says what was seen."""
        chance = random.Random(self._day.seed)
        for index in range(self._day.sidecars):
            at = chance.uniform(0.0, self._day.rollout)
            self.record.started[str(index)] = at
            self._begin(str(index), at, random.Random(chance.random()))
        self._time.run(self._day.ends)
        for name in self._held:
            self._look(name, self._day.ends)
        return self.record

    def _begin(self, name: str, at: float, chance: random.Random, restart: float = RESTART) -> None:
        process = self._refresher(name, chance).run()
        self._time.begin(at, process)
        self._time.begin(at + self._day.gate, self._gate(name, process, chance, restart))

    async def _gate(self, name: str, process: Errand, chance: random.Random, restart: float) -> None:
        if name in self.record.ready:
            return
        self._time.end(process)
        self.record.restarts += 1
        self._begin(name, self._time.now() + restart, chance, 2 * restart)

    def _refresher(self, name: str, chance: random.Random) -> Refresher:
        return Refresher(
            name,
            self._fetch,
            policy=Policy(self._schedule),
            observe=self._observe,
            clocks=Clocks(self._time.now, self._time.now),
            sleep=pause,
            random=chance.random,
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
            return error_of(THROTTLED, "sts")
        return None

    def _observe(self, event: Event) -> None:
        if not isinstance(event, Refreshed):
            return
        name = event.profile
        now = self._time.now()
        self.record.ready.setdefault(name, now)
        self._look(name, now)
        self._held[name] = event.credentials

    def _look(self, name: str, now: float) -> None:
        """At the end of a session's service: whether a reader went without, or saw less life than promised."""
        held = self._held.get(name)
        if held is None:
            return
        if now > held.expires_at:
            self.record.without.append((held.expires_at, now))
        low_from = held.expires_at - horizon(self._day.life)
        if now > low_from:
            self.record.low.append((low_from, now))


def _within(now: float, span: Span) -> bool:
    return span[0] <= now < span[1]
