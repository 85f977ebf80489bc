"""A failing profile affects no other: the others keep their schedule, no loop ends, and memory does not grow."""

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
from app.emulator import Emulator
from app.observe.event_log import EventLog
from app.observe.log import Log
from app.refresh.fetch_slots import MOST_AT_ONCE, TURN_SECONDS

from ..conftest import ENVIRON, configuration, exchange, identity
from ..simulated_loop import START_MONOTONIC, simulated
from .simulated import START, Interceptor, Sidecar, Time, emulated_cloud, sidecar

HOUR = 3_600.0


# --- fifty profiles, five of them broken ------------------------------------------------------------------------------

BROKEN_PROFILES: dict[str, dict[str, Any]] = {
    "refused": {"exchange": {"roleArn": "acs:ram::1234567890123456:role/not-there"}},
    "wrong-secret": {"identity": {"authnConfiguration": {"clientSecretEnvVarName": "WRONG"}}},
    "missing-file": {"identity": {"type": "tokenFile", "tokenFile": "/nonexistent/token"}},
    "hangs": {"exchange": {"endpoints": ["http://127.0.0.1:7091"]}},
    "html-response": {"exchange": {"endpoints": ["http://127.0.0.1:7092"]}},
}


def fifty_profiles() -> dict[str, Any]:
    """Return 45 valid profiles, each with an identity of its own, and 5 that are broken in different ways."""
    profiles: dict[str, Any] = {}
    for number in range(45):
        profiles[f"p{number}"] = {
            "identity": identity(httpConfiguration={"readTimeout": 10_000 + number}),
            "exchange": exchange("default"),
        }
        if number % 9 == 4:
            name = list(BROKEN_PROFILES)[number // 9]
            profiles[name] = {"identity": identity(), "exchange": exchange("default"), "required": False}
            for part, members in BROKEN_PROFILES[name].items():
                profiles[name][part] = members if members.get("type") else profiles[name][part] | members
    authentication = {"authnMethod": "CLIENT_SECRET_POST", "clientSecretEnvVarName": "WRONG"}
    profiles["wrong-secret"]["identity"]["authnConfiguration"] = authentication
    return configuration(profiles=profiles)


async def misdirected_sts(request: httpx.Request, inner: httpx.AsyncBaseTransport) -> httpx.Response:
    """Forward to STS, except for two endpoints: one that never responds, and one with an invalid response."""
    match request.url.port:
        case 7091:
            await asyncio.sleep(1_000_000)
        case 7092:
            return httpx.Response(200, stream=httpx.ByteStream(b"<html>"))
    return await inner.handle_async_request(request)


EXPECTED_ERRORS = {
    "refused": "EntityNotExist.Role",
    "wrong-secret": "invalid_client",
    "missing-file": "/nonexistent/token",
    "hangs": "no complete answer within",
    "html-response": "bytes of HTML or XML",
}
"""The error that each broken profile must report, so that it is broken in the way that its name says."""

MAX_CALLS_PER_HOUR = 200
"""Of one profile, whatever fails: tests/refresh/test_refresher.py allows 186 attempts, and a few make two calls."""


def allocated_bytes() -> int:
    """Return the bytes that `app` without the emulator has allocated; the emulator keeps a journal."""
    gc.collect()
    app_files = tracemalloc.Filter(True, f"{Path(app.__file__).parent}/*")
    emulator_files = tracemalloc.Filter(False, f"{Path(app.__file__).parent}/emulator/*")
    return sum(
        item.size
        for item in tracemalloc.take_snapshot().filter_traces((app_files, emulator_files)).statistics("filename")
    )


MAX_REFRESH_DELAY = TURN_SECONDS + 1
"""Seconds from the planned refresh of a valid profile to its new session: the wait for a turn, and round trips."""


def refresh_delays(running: Sidecar) -> list[float]:
    """Return by how many seconds each refresh of a valid profile was later than planned."""
    delays, planned = [], dict[str, float]()
    for item in running.timed_events:
        if isinstance(item.event, Refreshed):
            now = START + item.at - START_MONOTONIC  # the wall clock is correct in this test
            if item.event.profile in planned:
                delays.append(now - planned[item.event.profile])
            planned[item.event.profile] = item.event.next_refresh_at
    return delays


@simulated
async def test_five_broken_profiles_do_not_affect_45_others(
    loaded: Callable[..., Loaded], time: Time, signing_key: rsa.RSAPrivateKey
) -> None:
    """In six hours 45 valid profiles are always served and refreshed on time, and 5 broken ones make few calls."""
    environ = ENVIRON | {"WRONG": "wrong"}
    cloud = emulated_cloud(time, signing_key, "default")
    async with sidecar(loaded(fifty_profiles(), environ), cloud, time, environ=environ) as running:
        running.interceptors["sts"] = misdirected_sts
        await time.advance(60)
        valid = [f"p{number}" for number in range(45)]
        memory: list[int] = []
        delays: list[float] = []
        tracemalloc.start()
        for _ in range(6):
            before = cloud.totals.copy()
            for _ in range(60):
                await time.advance(60)
                reads = [await running.read(name) for name in valid]
                assert {(read.status, read.waited) for read in reads} == {(200, 0)}
                assert min(item.left() for item in running.profiles.refreshers if item.profile in valid) >= 1860
            assert sum((cloud.totals - before).values()) < 5 * MAX_CALLS_PER_HOUR + 45 * 10
            delays += refresh_delays(running)
            running.timed_events.clear()
            memory.append(allocated_bytes())
        tracemalloc.stop()

        assert [name for name in valid if running.profiles.refresher(name).status.state != "fresh"] == []
        assert {running.profiles.refresher(name).status.state for name in BROKEN_PROFILES} == {"starting", "denied"}
        errors = {name: str(running.profiles.refresher(name).status.last_error) for name in BROKEN_PROFILES}
        assert [name for name, error in EXPECTED_ERRORS.items() if error not in errors[name]] == []
        assert running.profiles.dead() == []
        assert len(delays) > 45 * 6
        assert max(delays) < MAX_REFRESH_DELAY
        assert memory[-1] - memory[1] < 50_000


@simulated
async def test_concurrent_calls_are_limited_when_the_cloud_is_slow(
    loaded: Callable[..., Loaded], time: Time, signing_key: rsa.RSAPrivateKey
) -> None:
    """However many profiles wait for a slow cloud, at most `MOST_AT_ONCE` calls run at a time; all are served."""
    names = [f"p{number}" for number in range(4 * MOST_AT_ONCE)]
    active, most = 0, 0

    async def respond_slowly(request: httpx.Request, inner: httpx.AsyncBaseTransport) -> httpx.Response:
        nonlocal active, most
        active += 1
        most = max(most, active)
        await asyncio.sleep(5)
        active -= 1
        return await inner.handle_async_request(request)

    cloud = emulated_cloud(time, signing_key, *names)
    async with sidecar(loaded(configuration(*names)), cloud, time) as running:
        running.interceptors["sts"] = respond_slowly
        await time.advance(120)

        assert most == MOST_AT_ONCE
        assert {(await running.read(name)).status for name in names} == {200}


# --- no exception ends a loop -----------------------------------------------------------------------------------------


def fail_once(error: BaseException) -> Interceptor:
    """Return an interceptor that raises `error` for the first request and forwards the others."""
    errors = [error]

    async def intercept(request: httpx.Request, inner: httpx.AsyncBaseTransport) -> httpx.Response:
        if errors:
            raise errors.pop()
        return await inner.handle_async_request(request)

    return intercept


UNEXPECTED_ERRORS = [
    RuntimeError("the-secret"),
    KeyError("the-secret"),
    MemoryError(),
    RecursionError(),
    OverflowError("int too large to convert to float"),
    asyncio.InvalidStateError(),
    ExceptionGroup("the-secret", [ValueError("the-secret")]),
    asyncio.CancelledError(),
]


@pytest.mark.parametrize("endpoint", ["token", "sts"])
@pytest.mark.parametrize("error", UNEXPECTED_ERRORS, ids=lambda error: type(error).__name__)
@simulated
async def test_unexpected_exception_is_logged_by_its_type(
    error: BaseException, endpoint: str, loaded: Callable[..., Loaded], cloud: Emulator, time: Time
) -> None:
    """An unexpected exception is logged once by its type without its text, and counted; the next attempt succeeds."""
    stream = io.StringIO()
    log = EventLog(Log(stream, level="info", json_lines=True, now=time.wall), lambda _profile: {})
    async with sidecar(loaded(), cloud, time, listener=log.observe) as running:
        await running.read()
        running.interceptors[endpoint] = fail_once(error)
        await running.profiles.renew("default")
        await time.advance(60)

        failed = [line for line in map(json.loads, stream.getvalue().splitlines()) if line["event"] == "refresh_failed"]
        assert [line["error"] for line in failed] == [type(error).__name__.replace("CancelledError", "FetchCancelled")]
        assert "the-secret" not in stream.getvalue()
        assert running.refreshes.refreshes["default", "internal"] == 1
        assert running.profiles.dead() == []
        assert running.profiles.refresher("default").status.state == "fresh"
        assert (await running.read()).status == 200


@pytest.mark.parametrize("kind", [Refreshed, RefreshFailed, StageTimed, ClockRead])
@simulated
async def test_failing_event_listener_ends_no_loop(
    kind: type[Event], loaded: Callable[..., Loaded], cloud: Emulator, time: Time
) -> None:
    """A listener that raises at every event of a kind ends no loop and loses no session that was issued."""
    reported: list[BaseException] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context["exception"]))

    def fail_on_kind(event: Event) -> None:
        if isinstance(event, kind):
            raise LookupError("a bug")

    async with sidecar(loaded(), cloud, time, listener=fail_on_kind) as running:
        running.interceptors["sts"] = fail_once(httpx.ConnectError("down"))
        await time.advance(2 * HOUR)

        assert running.profiles.dead() == []
        # An error at another event fails the attempt, and is reported as a failure of the refresh.
        if kind in (Refreshed, RefreshFailed):
            assert [type(error) for error in reported] == [LookupError] * len(running.events(kind))
            assert (await running.read()).status == 200
            assert 3 < len(running.events(Refreshed)) < 9


@simulated
async def test_pipeline_creation_is_retried(loaded: Callable[..., Loaded], cloud: Emulator, time: Time) -> None:
    """An error while the pipeline is built (no file descriptor, no memory) is retried."""
    errors: list[Exception] = [OSError(24, "Too many open files"), MemoryError()]
    async with sidecar(loaded(), cloud, time, creation_errors=errors) as running:
        await time.advance(30)

        assert [type(event.error) for event in running.events(RefreshFailed)] == [OSError, MemoryError]
        assert (await running.read()).status == 200


# --- what profiles share ----------------------------------------------------------------------------------------------


def respond_unevenly() -> Interceptor:
    """Return an interceptor: the real response, after a different delay of 1 to 3 s each time."""
    number = count()

    async def intercept(request: httpx.Request, inner: httpx.AsyncBaseTransport) -> httpx.Response:
        response = await inner.handle_async_request(request)
        await asyncio.sleep(1 + (next(number) * 7 % 20) / 10)
        return response

    return intercept


@simulated
async def test_shared_refused_token_is_replaced_once(
    loaded: Callable[..., Loaded], time: Time, signing_key: rsa.RSAPrivateKey
) -> None:
    """When STS refuses the token that thirty profiles share, they request one new token and not thirty."""
    names = [f"p{number}" for number in range(30)]
    cloud = emulated_cloud(time, signing_key, *names)
    async with sidecar(loaded(configuration(*names)), cloud, time) as running:
        await time.advance(30)
        before = cloud.totals["token"]
        running.interceptors["sts"] = respond_unevenly()
        cloud.rotate(retire=True)
        for refresher in running.profiles.refreshers:
            refresher.refresh_now()
        await time.advance(30)

        assert running.events(RefreshFailed) == []
        assert len(running.events(Refreshed)) == 60
        assert cloud.totals["token"] - before == 1
