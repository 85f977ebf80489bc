"""The operations listener without a socket: the gate, the probes, and who may see the status."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from app.emulator import Emulator, Fault
from app.serve.access import Guard, Request
from app.serve.application import create_api
from app.serve.handlers.ops import Gate, Ops
from app.serve.responses import Reply

from ..clock import Clock
from ..conftest import Bench, running


def ops(sidecar: Bench, kind: str = "credentials", *, timeout: float = 60, dead: list[str] | None = None) -> Ops:
    refreshers = list(sidecar.refreshers.values())
    clock = sidecar.clock
    return Ops(
        refreshers,
        gate=Gate(kind, timeout=timeout, started_at=clock.time(), refreshers=refreshers, now=clock.time),
        dead_loops=lambda: dead or [],
        scrape=lambda: (b"", b""),
        page_guard=lambda: Guard(allowed_hosts=("localhost",), refuse_forwarded=True, refuse_browsers=False),
    )


def status(at: Ops, path: bytes) -> int:
    reply = at.lane(Request(b"GET", path, []))
    assert isinstance(reply, Reply)
    return reply.status


@pytest.mark.parametrize(
    ("kind", "before", "after"), [("listening", 200, 200), ("credentials", 503, 503), ("timeout", 503, 200)]
)
async def test_gates_without_credentials(
    bench: Callable[..., Bench], clock: Clock, kind: str, before: int, after: int
) -> None:
    """`listening` is green at once, `timeout` when time is up, `credentials` not before there are any."""
    at = ops(bench(), kind)
    assert status(at, b"/startupz") == before

    clock.skip(60)

    assert status(at, b"/startupz") == after


async def test_a_gate_stays_open(bench: Callable[..., Bench], emulator: Emulator, clock: Clock) -> None:
    """Start-up is over once: a later outage turns readiness red, not the start-up probe."""
    sidecar = bench()
    at = ops(sidecar)
    async with running(*sidecar.refreshers.values()):
        await clock.asleep()
        assert status(at, b"/startupz") == 200
        emulator.faults.add(Fault("*", times=None, status=503))
        await clock.advance(1800)
        assert status(at, b"/readyz") == 200
        await clock.advance(1801)

        assert [status(at, path) for path in (b"/startupz", b"/readyz", b"/livez")] == [200, 503, 200]


async def test_a_dead_loop_is_not_alive(bench: Callable[..., Bench]) -> None:
    """If a loop has ended, liveness says which, so that kubelet restarts us."""
    reply = ops(bench(), dead=["p2"]).lane(Request(b"GET", b"/livez", []))

    assert isinstance(reply, Reply)
    assert reply.status == 503
    assert json.loads(reply.body) == {"status": "dead", "loops": ["p2"]}


async def test_probes_are_for_reading(bench: Callable[..., Bench]) -> None:
    """A probe's path takes GET and HEAD."""
    reply = ops(bench()).lane(Request(b"POST", b"/livez", []))

    assert isinstance(reply, Reply)
    assert reply.status == 405


@pytest.mark.parametrize(("client", "expected"), [("127.0.0.1", 200), ("::1", 200), ("10.0.0.7", 403)])
@pytest.mark.parametrize("path", ["/status.json", "/status"])
async def test_status_is_for_this_machine(client: str, expected: int, path: str) -> None:
    """The status page answers callers on loopback and nobody else, though the listener may be on every address."""
    state: dict[str, Any] = {"version": "1", "profiles": [{"profile": "<b>", "state": "fresh"}]}
    transport = httpx.ASGITransport(create_api(lambda: state), client=(client, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://10.0.0.1:7118") as http:
        answer = await http.get(path)

    assert answer.status_code == expected
    assert "<b>" not in answer.text or path == "/status.json"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ([(b"host", b"evil.example")], 403),
        ([], 400),
        ([(b"host", b"localhost"), (b"x-forwarded-for", b"10.0.0.7")], 403),
    ],
)
@pytest.mark.parametrize("path", [b"/status.json", b"/status"])
async def test_status_is_for_who_asks_directly(
    bench: Callable[..., Bench], path: bytes, headers: list[tuple[bytes, bytes]], code: int
) -> None:
    """A rebound web page and a proxy are not the machine's owner; his browser is; and probes go by nothing of this."""
    at = ops(bench())
    refused = at.lane(Request(b"GET", path, headers))

    assert isinstance(refused, Reply)
    assert refused.status == code
    assert at.lane(Request(b"GET", path, [(b"host", b"localhost:7118"), (b"sec-fetch-mode", b"navigate")])) is None
    probe = at.lane(Request(b"GET", b"/livez", headers))
    assert isinstance(probe, Reply)
    assert probe.status == 200


async def test_the_page_tells_all() -> None:
    """What a reload left undone, and what is on trial, is on the page as it is in the JSON."""
    state: dict[str, Any] = {
        "version": "1",
        "config_error": "profiles: <required>",
        "restart_needed": ["server.bind"],
        "profiles": [{"profile": "default", "state": "fresh", "on_trial": "HTTP 404"}],
    }
    transport = httpx.ASGITransport(create_api(lambda: state), client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:7118") as http:
        page = (await http.get("/status")).text

    for words in ("profiles: &lt;required&gt;", "server.bind", "HTTP 404"):
        assert words in page
