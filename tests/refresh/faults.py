"""Faults of the connection to the cloud and of its responses, which a simulated test switches on and off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import httpx

from app.core.schedule import LONGEST_PAUSE_WITHOUT_SESSION, Schedule
from app.emulator import Fault

from .simulated import Interceptor, Sidecar, Time


def raise_error(error: Callable[[str], httpx.TransportError], message: str, after: float = 0.0) -> Interceptor:
    """Return an interceptor that raises an error of httpx after `after` seconds."""

    async def intercept(_request: httpx.Request, _inner: httpx.AsyncBaseTransport) -> httpx.Response:
        await asyncio.sleep(after)
        raise error(message)

    return intercept


class Trickle(httpx.AsyncByteStream):
    """Half of a body, and then one byte before each time-out, without end."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b'{"access_token": "'
        while True:
            await asyncio.sleep(9)
            yield b"e"


class StallHalfway(httpx.AsyncByteStream):
    """Half of a body, and then nothing until httpx gives up."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b'{"Credentials": {"AccessKeyId": "STS.half'
        await asyncio.sleep(10)
        raise httpx.ReadTimeout("")


async def respond_with_a_trickle(_request: httpx.Request, _inner: httpx.AsyncBaseTransport) -> httpx.Response:
    """Respond with a body that never ends."""
    return httpx.Response(200, stream=Trickle())


async def respond_with_half_a_body(_request: httpx.Request, _inner: httpx.AsyncBaseTransport) -> httpx.Response:
    """Respond with a body that stops in the middle."""
    return httpx.Response(200, stream=StallHalfway())


async def never_respond(_request: httpx.Request, _inner: httpx.AsyncBaseTransport) -> httpx.Response:
    """Leave the request without a response; no time-out of httpx ends it."""
    await asyncio.Event().wait()
    raise AssertionError


async def raise_a_bug(_request: httpx.Request, _inner: httpx.AsyncBaseTransport) -> httpx.Response:
    """Raise an error that is not one of httpx."""
    raise RuntimeError("a bug in a library")


CONNECTION_FAULTS: dict[str, Interceptor] = {
    "connection refused": raise_error(httpx.ConnectError, "[Errno 111] Connection refused"),
    "name resolution fails": raise_error(httpx.ConnectError, "[Errno -3] Temporary failure in name resolution"),
    "untrusted certificate": raise_error(
        httpx.ConnectError, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"
    ),
    "TLS fails": raise_error(httpx.ConnectError, "[SSL: WRONG_VERSION_NUMBER] wrong version number"),
    "connection times out": raise_error(httpx.ConnectTimeout, "", after=5),
    "read times out": raise_error(httpx.ReadTimeout, "", after=10),
    "no response and no time-out": never_respond,
    "stall in the middle": respond_with_half_a_body,
    "trickle": respond_with_a_trickle,
    "connection reset": raise_error(httpx.ReadError, ""),
    "not HTTP": raise_error(httpx.RemoteProtocolError, "illegal status line"),
    "proxy refuses": raise_error(httpx.ProxyError, "407 Proxy Authentication Required"),
    "a bug": raise_a_bug,
}


Action = Callable[[Sidecar], None]
Switch = tuple[Action, Action]
"""Two functions: the first starts a fault, the second ends it."""


def response_fault(kind: str, members: Mapping[str, Any]) -> Switch:
    """Return the switch of a fault of the emulated cloud. `kind` and `members` are those of a `Fault`."""
    fault = Fault(kind, times=None, **members)  # type: ignore[arg-type]

    def start(sidecar: Sidecar) -> None:
        sidecar.emulator.faults.add(fault)

    def stop(sidecar: Sidecar) -> None:
        sidecar.emulator.faults.clear()

    return start, stop


def connection_fault(endpoint: str, intercept: Interceptor) -> Switch:
    """Return the switch of a fault of the connection to one endpoint."""

    def start(sidecar: Sidecar) -> None:
        sidecar.interceptors[endpoint] = intercept

    def stop(sidecar: Sidecar) -> None:
        sidecar.interceptors.clear()

    return start, stop


def longest_pause(kind: str, *, served: bool) -> float:
    """
    Return the longest pause in seconds, with a request's complete time-out and a second look at the clock.

    `kind` is `permanent` or `transient`; `served`: whether there is a session to serve.
    """
    longest = Schedule().max_retry if served else LONGEST_PAUSE_WITHOUT_SESSION
    return (Schedule().permanent_retry if kind == "permanent" else longest) + 30


def server_clock(time: Time, ahead: float) -> Interceptor:
    """Return an interceptor: the real response, from a server whose clock is ahead by `ahead` seconds."""

    async def intercept(request: httpx.Request, inner: httpx.AsyncBaseTransport) -> httpx.Response:
        time.cloud_ahead = ahead
        try:
            return await inner.handle_async_request(request)
        finally:
            time.cloud_ahead = 0.0

    return intercept
