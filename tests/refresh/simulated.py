"""Everything but the sockets, on an event loop whose time passes as soon as nobody has anything to do.

Time-outs, pauses and the refreshers' own sleep all run on it, so an hour of a hanging upstream takes milliseconds:

    @simulated
    async def test_a_day(time: Time) -> None: …

The machine's wall clock can be set, can drift, and jumps when the machine slept; the cloud's can be wrong.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any

import httpx

from app.config.loader import Loaded
from app.core.clocks import Clocks, CloudClock, watch_jumps
from app.core.events import Event
from app.core.values import Credentials
from app.emulator import Emulator
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

START = 1_767_323_045.0
"""Seconds since the epoch when a simulation begins."""

BOOTED = 1_000.0
"""The monotonic clock then."""

STUCK = 30.0
"""Seconds of real time in which a thread has to answer where nothing else is left to do."""


def simulated(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """The test on such a loop of its own."""

    @wraps(test)
    def run(*arguments: Any, **fixtures: Any) -> None:
        with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
            runner.run(test(*arguments, **fixtures))

    return run


class SimulatedLoop(asyncio.SelectorEventLoop):
    """Where nothing is ready it moves its time to the next timer. What is to be done in a thread is done at once."""

    def __init__(self) -> None:
        self.now = BOOTED
        super().__init__(_Selector(self))
        self.set_default_executor(_AtOnce())

    def time(self) -> float:
        return self.now


class _Selector(selectors.DefaultSelector):  # type: ignore[misc,valid-type]
    def __init__(self, loop: SimulatedLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            found: list[Any] = super().select(STUCK)
            assert found, "everybody waits for something that will never happen"
            return found
        self._loop.now += max(0.0, timeout)
        return list(super().select(0))


class _AtOnce(ThreadPoolExecutor):
    def submit(self, call: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(call(*arguments, **named))
        except Exception as error:
            done.set_exception(error)
        return done


class Time:
    """`true`: what time it is. `cloud`: the cloud's clock. `wall` and `monotonic`: this machine's."""

    def __init__(self) -> None:
        self._slept = 0.0
        self._wrong = 0.0
        self._drift = 0.0
        self.cloud_ahead = 0.0

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def true(self) -> float:
        return START + self.monotonic() - BOOTED + self._slept

    def cloud(self) -> float:
        return self.true() + self.cloud_ahead

    def wall(self) -> float:
        return self.true() + self._wrong + self._drift * (self.monotonic() - BOOTED)

    @property
    def clocks(self) -> Clocks:
        return Clocks(self.wall, self.monotonic)

    def set(self, seconds: float) -> None:
        """Somebody sets the wall clock by so much."""
        self._wrong += seconds

    def suspend(self, seconds: float) -> None:
        """The machine sleeps: the world goes on, and only the monotonic clock stands still."""
        self._slept += seconds

    def drift(self, share: float) -> None:
        """From now on the wall clock gains so much of each second."""
        self._wrong = self.wall() - self.true() - share * (self.monotonic() - BOOTED)
        self._drift = share

    @staticmethod
    async def passes(seconds: float) -> None:
        """Lets so much time pass for everybody."""
        await asyncio.sleep(seconds)


Break = Callable[[httpx.Request, httpx.AsyncBaseTransport], Any]
"""What happens to a request in the answer's place: a coroutine that returns a response or raises what httpx raises."""


class Wire(httpx.AsyncBaseTransport):
    """The way to the emulated cloud. `broken`: what happens on a leg, by the last part of the URL's path."""

    def __init__(self, emulator: Emulator, broken: Mapping[str, Break]) -> None:
        self._inner = httpx.ASGITransport(emulator)  # type: ignore[arg-type]
        self._broken = broken

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.02)  # a round trip
        happens = self._broken.get(leg(request))
        if happens is not None:
            answer: httpx.Response = await happens(request, self._inner)
            return answer
        return await self._inner.handle_async_request(request)


def leg(request: httpx.Request) -> str:
    """`token`, `developerapi` or `sts`."""
    path = request.url.path
    return "token" if path.endswith("/token") else "developerapi" if path.endswith("AccessCredential") else "sts"


@dataclass(frozen=True, slots=True)
class Read:
    """What one client got, and how long it waited."""

    response: Response
    waited: float

    @property
    def status(self) -> int:
        return self.response.status

    @property
    def retry_after(self) -> int:
        """Whole seconds of Retry-After. Fails where there is none."""
        return int(dict(self.response.headers)[b"Retry-After"])


@dataclass(frozen=True, slots=True)
class Heard:
    """An event, and the monotonic clock when it came."""

    at: float
    event: Event


@dataclass
class Sidecar:
    """A sidecar without its sockets: the profiles as the service keeps them, and the dispatcher that clients ask."""

    time: Time
    emulator: Emulator
    profiles: Profiles
    dispatcher: Dispatcher
    refreshes: RefreshCounters
    broken: dict[str, Break]
    heard: list[Heard]

    async def read(self, profile: str = "default") -> Read:
        """One client's GET."""
        began = self.time.monotonic()
        found = self.dispatcher(Request(b"GET", b"/credentials/" + profile.encode(), [(b"host", b"127.0.0.1")]))
        answer = found if isinstance(found, Response) else await found
        return Read(answer, self.time.monotonic() - began)

    def seen(self, kind: type[Event]) -> list[Any]:
        """All events of one kind so far."""
        return [item.event for item in self.heard if isinstance(item.event, kind)]


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
    listen: Callable[[Event], None] = lambda _event: None,
    environ: Mapping[str, str] = ENVIRON,
    making: Sequence[Exception] = (),
) -> AsyncIterator[Sidecar]:
    """
    A running one for the length of a block.

    `listen` hears each event after everybody else; `making` is what goes wrong when the outbound half is first made.
    """
    settings, clocks, broken = loaded.settings, time.clocks, dict[str, Break]()
    cloud_clock, counters, refreshes = CloudClock(clocks), RequestCounters(clocks.wall), RefreshCounters(clocks.wall)
    heard: list[Heard] = []
    errors = list(making)

    def observe(event: Event) -> None:
        refreshes.observe(event)
        heard.append(Heard(time.monotonic(), event))
        listen(event)

    def make_cloud(_settings: Any) -> Pipeline:
        if errors:
            raise errors.pop(0)
        return Pipeline(
            settings,
            environ,
            clocks=clocks,
            observe=observe,
            cloud_clock=cloud_clock,
            transport=lambda _way: Wire(emulator, broken),
        )

    profiles = Profiles(
        settings, make_cloud, clocks=clocks, observe=observe, replaced=lambda: None, sleep=asyncio.sleep, chance=chance
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
    looks = asyncio.create_task(watch_jumps(clocks, lambda _seconds: profiles.clock_jumped()))
    try:
        yield Sidecar(time, emulator, profiles, dispatcher, refreshes, broken, heard)
    finally:
        looks.cancel()
        await profiles.stop()
