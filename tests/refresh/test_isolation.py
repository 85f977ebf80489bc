"""One profile's trouble is its own: the others keep their schedule, no loop ends, and nothing grows."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import tracemalloc
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

import app
from app.config.loader import Loaded
from app.core.events import ClockRead, Event, Refreshed, RefreshFailed, StageTimed
from app.emulator import Emulator, World
from app.observe.event_log import EventLog
from app.observe.log import Log
from app.refresh.pipeline import MOST_AT_ONCE, TURN_SECONDS

from ..conftest import ENVIRON, configuration, exchange, identity
from .simulated import BOOTED, START, Break, Sidecar, Time, sidecar, simulated

HOUR = 3_600.0


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def cloud(time: Time, signing_key: rsa.RSAPrivateKey) -> Emulator:
    return emulated(time, signing_key, "default")


def emulated(time: Time, key: rsa.RSAPrivateKey, *profiles: str) -> Emulator:
    return Emulator(World.default(profiles=profiles), now=time.cloud, sleep=asyncio.sleep, signing_key=key)


# --- fifty profiles, five of them broken ------------------------------------------------------------------------------

BROKEN: dict[str, dict[str, Any]] = {
    "refused": {"exchange": {"roleArn": "acs:ram::1234567890123456:role/not-there"}},
    "wrong-secret": {"identity": {"authnConfiguration": {"clientSecretEnvVarName": "WRONG"}}},
    "missing-file": {"identity": {"type": "tokenFile", "tokenFile": "/nonexistent/token"}},
    "hangs": {"exchange": {"endpoints": ["http://127.0.0.1:7091"]}},
    "nonsense": {"exchange": {"endpoints": ["http://127.0.0.1:7092"]}},
}


def fifty() -> dict[str, Any]:
    """Forty-five good profiles, each with an identity of its own, between five that are broken in five ways."""
    profiles: dict[str, Any] = {}
    for number in range(45):
        profiles[f"p{number}"] = {
            "identity": identity(httpConfiguration={"readTimeout": 10_000 + number}),
            "exchange": exchange("default"),
        }
        if number % 9 == 4:
            name = list(BROKEN)[number // 9]
            profiles[name] = {"identity": identity(), "exchange": exchange("default"), "required": False}
            for leg, members in BROKEN[name].items():
                whole = members if members.get("type") else profiles[name][leg] | members
                profiles[name][leg] = whole
    authentication = {"authnMethod": "CLIENT_SECRET_POST", "clientSecretEnvVarName": "WRONG"}
    profiles["wrong-secret"]["identity"]["authnConfiguration"] = authentication
    return configuration(profiles=profiles)


async def astray(request: httpx.Request, inner: httpx.AsyncBaseTransport) -> httpx.Response:
    """STS, but for two of its endpoints: one that never answers, and one that answers nonsense."""
    match request.url.port:
        case 7091:
            await asyncio.sleep(1_000_000)
        case 7092:
            return httpx.Response(200, stream=httpx.ByteStream(b"<html>"))
    return await inner.handle_async_request(request)


WHY = {
    "refused": "EntityNotExist.Role",
    "wrong-secret": "invalid_client",
    "missing-file": "/nonexistent/token",
    "hangs": "no complete answer within",
    "nonsense": "bytes of HTML or XML",
}
"""What each of them is to say: else it is broken in another way than its name says."""

MOST_CALLS = 200
"""Of one profile in an hour, whatever fails: tests/refresh/test_refresher.py has 186 attempts, and a few ask twice."""


def ours() -> int:
    """Bytes that the serving half has allocated and keeps; the emulated cloud remembers what it was asked."""
    gc.collect()
    here = tracemalloc.Filter(True, f"{Path(app.__file__).parent}/*")
    cloud = tracemalloc.Filter(False, f"{Path(app.__file__).parent}/emulator/*")
    return sum(item.size for item in tracemalloc.take_snapshot().filter_traces((here, cloud)).statistics("filename"))


LATEST = TURN_SECONDS + 1
"""Seconds after its time at which a good profile has its new session: a turn's longest wait, and the round trips."""


def late(running: Sidecar) -> list[float]:
    """By how much each refresh of a good profile came after the instant that was planned for it."""
    found, planned = [], dict[str, float]()
    for item in running.heard:
        if isinstance(item.event, Refreshed):
            now = START + item.at - BOOTED  # the wall clock is right here
            if item.event.profile in planned:
                found.append(now - planned[item.event.profile])
            planned[item.event.profile] = item.event.next_refresh_at
    return found


@simulated
async def test_fifty_profiles(loaded: Callable[..., Loaded], time: Time, signing_key: rsa.RSAPrivateKey) -> None:
    """Six hours: the good ones are always served, keep their pace and miss no refresh; the broken ones call seldom."""
    environ = ENVIRON | {"WRONG": "wrong"}
    cloud = emulated(time, signing_key, "default")
    async with sidecar(loaded(fifty(), environ), cloud, time, environ=environ) as running:
        running.broken["sts"] = astray
        await time.passes(60)
        good = [f"p{number}" for number in range(45)]
        grown: list[int] = []
        paces: list[float] = []
        tracemalloc.start()
        for _ in range(6):
            before = cloud.totals.copy()
            for _ in range(60):
                await time.passes(60)
                reads = [await running.read(name) for name in good]
                assert {(read.status, read.waited) for read in reads} == {(200, 0)}
                assert min(item.left() for item in running.profiles.refreshers if item.profile in good) >= 1860
            assert sum((cloud.totals - before).values()) < 5 * MOST_CALLS + 45 * 10
            paces += late(running)
            running.heard.clear()
            grown.append(ours())
        tracemalloc.stop()

        assert [name for name in good if running.profiles.refresher(name).status.state != "fresh"] == []
        assert {running.profiles.refresher(name).status.state for name in BROKEN} == {"starting", "denied"}
        said = {name: str(running.profiles.refresher(name).status.last_error) for name in BROKEN}
        assert [name for name, why in WHY.items() if why not in said[name]] == []
        assert running.profiles.dead() == []
        assert len(paces) > 45 * 6
        assert max(paces) < LATEST
        assert grown[-1] - grown[1] < 50_000


@simulated
async def test_a_crowd_that_hangs(loaded: Callable[..., Loaded], time: Time, signing_key: rsa.RSAPrivateKey) -> None:
    """However many profiles lose patience with a cloud that hangs, only so many ask at once; later all are served."""
    names = [f"p{number}" for number in range(4 * MOST_AT_ONCE)]
    under_way, most = 0, 0

    async def slowly(request: httpx.Request, inner: httpx.AsyncBaseTransport) -> httpx.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(5)
        under_way -= 1
        return await inner.handle_async_request(request)

    cloud = emulated(time, signing_key, *names)
    async with sidecar(loaded(configuration(*names)), cloud, time) as running:
        running.broken["sts"] = slowly
        await time.passes(120)

        assert most == MOST_AT_ONCE
        assert {(await running.read(name)).status for name in names} == {200}


# --- no exception ends a loop -----------------------------------------------------------------------------------------


def once(error: BaseException) -> Break:
    """The first request ends in `error`, and the others in what they ask for."""
    errors = [error]

    async def happens(request: httpx.Request, inner: httpx.AsyncBaseTransport) -> httpx.Response:
        if errors:
            raise errors.pop()
        return await inner.handle_async_request(request)

    return happens


BUGS = [
    RuntimeError("the-secret"),
    KeyError("the-secret"),
    MemoryError(),
    RecursionError(),
    OverflowError("int too large to convert to float"),
    asyncio.InvalidStateError(),
    ExceptionGroup("the-secret", [ValueError("the-secret")]),
    asyncio.CancelledError(),
]


@pytest.mark.parametrize("leg", ["token", "sts"])
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: type(bug).__name__)
@simulated
async def test_a_bug_on_the_way(
    bug: BaseException, leg: str, loaded: Callable[..., Loaded], cloud: Emulator, time: Time
) -> None:
    """Whatever a leg raises is told once, by its type and without its words, and counted; the next attempt mends it."""
    said = io.StringIO()
    log = EventLog(Log(said, level="info", json_lines=True, now=time.wall), lambda _profile: {})
    async with sidecar(loaded(), cloud, time, listen=log.observe) as running:
        await running.read()
        running.broken[leg] = once(bug)
        await running.profiles.renew("default")
        await time.passes(60)

        failed = [line for line in map(json.loads, said.getvalue().splitlines()) if line["event"] == "refresh_failed"]
        assert [line["error"] for line in failed] == [type(bug).__name__.replace("CancelledError", "FetchCancelled")]
        assert "the-secret" not in said.getvalue()
        assert running.refreshes.refreshes["default", "internal"] == 1
        assert running.profiles.dead() == []
        assert running.profiles.refresher("default").status.state == "fresh"
        assert (await running.read()).status == 200


@pytest.mark.parametrize("kind", [Refreshed, RefreshFailed, StageTimed, ClockRead])
@simulated
async def test_a_bug_in_who_listens(
    kind: type[Event], loaded: Callable[..., Loaded], cloud: Emulator, time: Time
) -> None:
    """A listener that fails at every event of a kind ends no loop and costs no session that was issued."""
    told: list[BaseException] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context["exception"]))

    def listen(event: Event) -> None:
        if isinstance(event, kind):
            raise LookupError("a bug")

    async with sidecar(loaded(), cloud, time, listen=listen) as running:
        running.broken["sts"] = once(httpx.ConnectError("down"))
        await time.passes(2 * HOUR)

        assert running.profiles.dead() == []
        if kind in (Refreshed, RefreshFailed):  # the others fail an attempt, which is told as such
            assert [type(error) for error in told] == [LookupError] * len(running.seen(kind))
            assert (await running.read()).status == 200
            assert 3 < len(running.seen(Refreshed)) < 9


@simulated
async def test_a_cloud_that_could_not_be_made(loaded: Callable[..., Loaded], cloud: Emulator, time: Time) -> None:
    """That the outbound half could not be made (no more files, no memory) is no reason never to try it again."""
    errors: list[Exception] = [OSError(24, "Too many open files"), MemoryError()]
    async with sidecar(loaded(), cloud, time, making=errors) as running:
        await time.passes(30)

        assert [type(event.error) for event in running.seen(RefreshFailed)] == [OSError, MemoryError]
        assert (await running.read()).status == 200


# --- what profiles share ----------------------------------------------------------------------------------------------


def unevenly() -> Break:
    """The true answer, after 1 to 3 s, each after another time."""
    number = count()

    async def happens(request: httpx.Request, inner: httpx.AsyncBaseTransport) -> httpx.Response:
        answer = await inner.handle_async_request(request)
        await asyncio.sleep(1 + (next(number) * 7 % 20) / 10)
        return answer

    return happens


@simulated
async def test_a_token_that_is_refused_to_many(
    loaded: Callable[..., Loaded], time: Time, signing_key: rsa.RSAPrivateKey
) -> None:
    """Thirty profiles of one identity whose token STS refuses to all of them ask for one new token, not for thirty."""
    names = [f"p{number}" for number in range(30)]
    cloud = emulated(time, signing_key, *names)
    async with sidecar(loaded(configuration(*names)), cloud, time) as running:
        await time.passes(30)
        before = cloud.totals["token"]
        running.broken["sts"] = unevenly()
        cloud.rotate(retire=True)
        for refresher in running.profiles.refreshers:
            refresher.refresh_now()
        await time.passes(30)

        assert running.seen(RefreshFailed) == []
        assert len(running.seen(Refreshed)) == 60
        assert cloud.totals["token"] - before == 1
