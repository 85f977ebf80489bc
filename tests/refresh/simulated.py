"""
A sidecar without sockets on the loop of `tests/simulated_loop.py`.

Time-outs, pauses and the refreshers' sleep run on simulated time. A test can step the machine's wall clock, make it
drift, and suspend the machine. It can also make the cloud's clock wrong.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import rsa

from app.config.loader import Loaded
from app.core.clocks import Clocks, CloudClock, watch_jumps
from app.core.events import Event
from app.core.values import Credentials
from app.emulator import Emulator, World
from app.observe.counters import RefreshCounters, RequestCounters
from app.refresh.pipeline import Pipeline
from app.refresh.profiles import Profiles
from app.serve.access import Guard
from app.serve.dispatch import Dispatcher
from app.serve.ecs_metadata import SessionTokens
from app.serve.handlers.credential_endpoint import CredentialEndpoint
from app.serve.handlers.credentials import CredentialHandler, ListenerRules
from app.serve.peers.peer import Peer
from app.serve.request import Request
from app.serve.responses import Response

from ..conftest import ENVIRON
from ..simulated_loop import START_MONOTONIC

START = 1_767_323_045.0
"""Seconds since the epoch when a simulation begins."""


class Time:
    """`true` is the real time. `cloud` is the cloud's clock. `wall` and `monotonic` are this machine's clocks."""

    def __init__(self) -> None:
        self._suspended = 0.0
        self._wall_offset = 0.0
        self._drift = 0.0
        self.cloud_ahead = 0.0

    def monotonic(self) -> float:
        """Return the monotonic clock, which stands still while the machine is suspended."""
        return asyncio.get_running_loop().time()

    def true(self) -> float:
        """Return the real time, in seconds since the epoch."""
        return START + self.monotonic() - START_MONOTONIC + self._suspended

    def cloud(self) -> float:
        """Return the cloud's clock, in seconds since the epoch."""
        return self.true() + self.cloud_ahead

    def wall(self) -> float:
        """Return this machine's wall clock, in seconds since the epoch."""
        return self.true() + self._wall_offset + self._drift * (self.monotonic() - START_MONOTONIC)

    @property
    def clocks(self) -> Clocks:
        """The machine's two clocks in the form that the program takes."""
        return Clocks(self.wall, self.monotonic)

    def step_wall_clock(self, seconds: float) -> None:
        """Step the wall clock by `seconds`, as an administrator or NTP does."""
        self._wall_offset += seconds

    def suspend(self, seconds: float) -> None:
        """Suspend the machine for `seconds`. Only the monotonic clock stands still."""
        self._suspended += seconds

    def drift(self, rate: float) -> None:
        """Make the wall clock gain `rate` seconds in each second from now on."""
        self._wall_offset = self.wall() - self.true() - rate * (self.monotonic() - START_MONOTONIC)
        self._drift = rate

    @staticmethod
    async def advance(seconds: float) -> None:
        """Let `seconds` pass for all tasks."""
        await asyncio.sleep(seconds)


def emulated_cloud(time: Time, signing_key: rsa.RSAPrivateKey, *profiles: str) -> Emulator:
    """Return the emulated cloud with `profiles`, on the cloud's clock."""
    return Emulator(World.default(profiles=profiles), now=time.cloud, sleep=asyncio.sleep, signing_key=signing_key)


Interceptor = Callable[[httpx.Request, httpx.AsyncBaseTransport], Any]
"""A coroutine that replaces the response to a request: it returns a response or raises an error of httpx."""


class InterceptedTransport(httpx.AsyncBaseTransport):
    """The transport to the emulated cloud. `interceptors` replace responses, by the name of the endpoint."""

    def __init__(self, emulator: Emulator, interceptors: Mapping[str, Interceptor]) -> None:
        self._inner = httpx.ASGITransport(emulator)  # type: ignore[arg-type]
        self._interceptors = interceptors

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.02)  # a round trip
        interceptor = self._interceptors.get(endpoint_of(request))
        if interceptor is not None:
            response: httpx.Response = await interceptor(request, self._inner)
            return response
        return await self._inner.handle_async_request(request)


def endpoint_of(request: httpx.Request) -> str:
    """Return the endpoint that a request is for: `token`, `developerapi` or `sts`."""
    path = request.url.path
    return "token" if path.endswith("/token") else "developerapi" if path.endswith("AccessCredential") else "sts"


@dataclass(frozen=True, slots=True)
class Read:
    """The response to one client's GET, and the seconds that the client waited for it."""

    response: Response
    waited: float

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.response.status

    @property
    def retry_after(self) -> int:
        """The whole seconds of Retry-After. Fails if the header is missing."""
        return int(dict(self.response.headers)[b"Retry-After"])


@dataclass(frozen=True, slots=True)
class TimedEvent:
    """An event, and the monotonic clock when it was observed."""

    at: float
    event: Event


@dataclass
class Sidecar:
    """A sidecar without sockets: the profiles as the service runs them, and the dispatcher of its listener."""

    time: Time
    emulator: Emulator
    profiles: Profiles
    dispatcher: Dispatcher
    refreshes: RefreshCounters
    interceptors: dict[str, Interceptor]
    timed_events: list[TimedEvent]

    async def read(self, profile: str = "default") -> Read:
        """Send one GET for the profile's credentials."""
        started = self.time.monotonic()
        outcome = self.dispatcher(Request(b"GET", b"/credentials/" + profile.encode(), [(b"host", b"127.0.0.1")]))
        response = outcome if isinstance(outcome, Response) else await outcome
        return Read(response, self.time.monotonic() - started)

    def events(self, kind: type[Event]) -> list[Any]:
        """Return all events of one kind, oldest first."""
        return [item.event for item in self.timed_events if isinstance(item.event, kind)]


class _NoAudit:
    def served(self, listener: str, profile: str, credentials: Credentials, peer: Peer) -> None:
        pass

    def denied(self, listener: str, profile: str, reason: str, peer: Peer) -> None:
        pass


@asynccontextmanager
async def sidecar(
    loaded: Loaded,
    emulator: Emulator,
    time: Time,
    *,
    chance: Callable[[], float] = lambda: 0.5,
    listener: Callable[[Event], None] = lambda _event: None,
    environ: Mapping[str, str] = ENVIRON,
    creation_errors: Sequence[Exception] = (),
) -> AsyncIterator[Sidecar]:
    """
    Run a sidecar for the length of the block.

    `listener` gets each event after the counters. `creation_errors` are raised, one per attempt, when the pipeline is
    built.
    """
    settings, clocks, interceptors = loaded.settings, time.clocks, dict[str, Interceptor]()
    cloud_clock, counters, refreshes = CloudClock(clocks), RequestCounters(clocks.wall), RefreshCounters(clocks.wall)
    timed_events: list[TimedEvent] = []
    pending_errors = list(creation_errors)

    def observe(event: Event) -> None:
        refreshes.observe(event)
        timed_events.append(TimedEvent(time.monotonic(), event))
        listener(event)

    def make_pipeline(_settings: Any) -> Pipeline:
        if pending_errors:
            raise pending_errors.pop(0)
        return Pipeline(
            settings,
            environ,
            clocks=clocks,
            observe=observe,
            cloud_clock=cloud_clock,
            transport=lambda _route: InterceptedTransport(emulator, interceptors),
        )

    profiles = Profiles(
        settings,
        make_pipeline,
        clocks=clocks,
        observe=observe,
        replaced=lambda _name: None,
        sleep=asyncio.sleep,
        chance=chance,
    )
    handler = CredentialHandler(
        {item.profile: CredentialEndpoint(item, clocks) for item in profiles.refreshers},
        ListenerRules(
            guard=Guard(allowed_hosts=("127.0.0.1",), refuse_forwarded=True, refuse_browsers=True),
            sessions=SessionTokens(b"k" * 32, clocks.monotonic),
            sessions_required=False,
            path_token=None,
            now=clocks.monotonic,
        ),
    )
    dispatcher = Dispatcher("credentials", handler, counters, _NoAudit())
    profiles.start()
    jump_watch = asyncio.create_task(watch_jumps(clocks, lambda _seconds: profiles.clock_jumped()))
    try:
        yield Sidecar(time, emulator, profiles, dispatcher, refreshes, interceptors, timed_events)
    finally:
        jump_watch.cancel()
        await profiles.stop()
