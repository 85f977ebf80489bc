"""The operations listener without a socket: the gate, the probes, shared answers, and who may have the status."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from app.emulator import Emulator, Fault
from app.serve import pages
from app.serve.access import Guard
from app.serve.handlers.gate import Gate
from app.serve.handlers.ops import OpsHandler
from app.serve.peers.peer import Peer, no_process
from app.serve.request import Request
from app.serve.responses import Response, document

from ..clock import Clock
from ..conftest import Offline, running

LOCALHOST = [(b"host", b"localhost:7118")]


def from_host(host: str) -> Peer:
    """Return a peer that connects from an address."""
    return Peer(lambda: None, no_process, host=host)


async def empty() -> Response:
    """Return a scrape without metrics."""
    return document(200, {})


def ops(
    sidecar: Offline,
    kind: str = "credentials",
    *,
    timeout: float = 60,
    dead: list[str] | None = None,
    status: Callable[[], Coroutine[Any, Any, Response]] = empty,
) -> OpsHandler:
    refreshers = list(sidecar.refreshers.values())
    clock = sidecar.clock
    return OpsHandler(
        refreshers,
        gate=Gate(kind, timeout=timeout, started_at=clock.time(), sources=refreshers, now=clock.time),
        dead_loops=lambda: dead or [],
        scrape=empty,
        status=status,
        page_guard=lambda: Guard(allowed_hosts=("localhost",), refuse_forwarded=True, refuse_browsers=False),
    )


def code(at: OpsHandler, path: bytes) -> int:
    """Return the status of a probe."""
    response = at(Request(b"GET", path, []))
    assert isinstance(response, Response)
    return response.status


@pytest.mark.parametrize(
    ("kind", "before", "after"), [("listening", 200, 200), ("credentials", 503, 503), ("timeout", 503, 200)]
)
async def test_gates_without_credentials(
    offline: Callable[..., Offline], clock: Clock, kind: str, before: int, after: int
) -> None:
    """`listening` is green at once, `timeout` when the time is up, `credentials` not before there are any."""
    at = ops(offline(), kind)
    assert code(at, b"/startupz") == before

    clock.skip(60)

    assert code(at, b"/startupz") == after


async def test_a_gate_stays_open(offline: Callable[..., Offline], emulator: Emulator, clock: Clock) -> None:
    """A later outage turns readiness red, not the start-up probe."""
    sidecar = offline()
    at = ops(sidecar)
    async with running(*sidecar.refreshers.values()):
        await clock.asleep()
        assert code(at, b"/startupz") == 200
        emulator.faults.add(Fault("*", times=None, status=503))
        await clock.advance(1800)
        assert code(at, b"/readyz") == 200
        await clock.advance(1801)

        assert [code(at, path) for path in (b"/startupz", b"/readyz", b"/livez")] == [200, 503, 200]


async def test_a_dead_loop_turns_liveness_red(offline: Callable[..., Offline]) -> None:
    """If a loop has ended, liveness fails and names it, so that kubelet restarts the sidecar."""
    response = ops(offline(), dead=["p2"])(Request(b"GET", b"/livez", []))

    assert isinstance(response, Response)
    assert response.status == 503
    assert json.loads(response.body) == {"status": "dead", "loops": ["p2"]}


@pytest.mark.parametrize("path", [b"/livez", b"/readyz", b"/startupz", b"/healthz", b"/metrics", b"/status.json"])
async def test_paths_are_for_reading(offline: Callable[..., Offline], path: bytes) -> None:
    """Probes, metrics and status accept GET and HEAD only."""
    response = ops(offline())(Request(b"POST", path, LOCALHOST, from_host("127.0.0.1")))

    assert isinstance(response, Response)
    assert response.status == 405


@pytest.mark.parametrize("path", [b"/status.json", b"/status", b"/docs", b"/openapi.json"])
@pytest.mark.parametrize(
    ("host", "refused"),
    [("127.0.0.1", False), ("::1", False), ("::ffff:127.0.0.1", False), ("10.0.0.7", True), ("", True)],
)
async def test_status_and_pages_are_for_this_machine(
    offline: Callable[..., Offline], path: bytes, host: str, refused: bool
) -> None:
    """Status and pages answer callers on loopback only, although the listener may be on every address."""
    outcome = ops(offline())(Request(b"GET", path, LOCALHOST, from_host(host)))

    if refused:
        assert isinstance(outcome, Response)
        assert json.loads(outcome.body)["Code"] == "AccessDenied.Remote"
    elif path == b"/status.json":
        assert asyncio.iscoroutine(outcome)
        assert (await outcome).status == 200
    else:
        assert outcome is None  # the application makes the page


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([(b"host", b"evil.example")], 403),
        ([], 400),
        ([(b"host", b"localhost"), (b"x-forwarded-for", b"10.0.0.7")], 403),
    ],
)
@pytest.mark.parametrize("path", [b"/status.json", b"/status", b"/docs"])
async def test_status_refuses_rebound_pages_and_proxies(
    offline: Callable[..., Offline], path: bytes, headers: list[tuple[bytes, bytes]], status: int
) -> None:
    """A rebound web page and a proxy get no status, the owner's browser does; probes have no such rules."""
    at = ops(offline())
    refused = at(Request(b"GET", path, headers, from_host("127.0.0.1")))

    assert isinstance(refused, Response)
    assert refused.status == status
    browser = [*LOCALHOST, (b"sec-fetch-mode", b"navigate")]
    allowed = at(Request(b"GET", path, browser, from_host("127.0.0.1")))
    assert not isinstance(allowed, Response)
    if allowed is not None:
        allowed.close()
    probe = at(Request(b"GET", b"/livez", headers))
    assert isinstance(probe, Response)
    assert probe.status == 200


async def test_status_requests_at_the_same_time_share_one_answer(offline: Callable[..., Offline]) -> None:
    """A thousand requests for the status build it once."""
    built = 0

    async def build() -> Response:
        nonlocal built
        built += 1
        await asyncio.sleep(0)
        return document(200, {"n": built})

    at = ops(offline(), status=build)
    request = Request(b"GET", b"/status.json", LOCALHOST, from_host("127.0.0.1"))
    outcomes = [at(request) for _ in range(1000)]
    bodies = {response.body for response in await asyncio.gather(*(item for item in outcomes if item is not None))}  # type: ignore[arg-type]

    assert len(bodies) <= 2  # the loop's clock may pass the end of its freshness once
    assert built <= 2


def test_the_status_page_shows_everything() -> None:
    """The page shows what a reload left undone and what is on trial, and escapes all text."""
    page = pages.status_page(
        {
            "version": "1",
            "config_error": "profiles: <required>",
            "restart_needed": ["server.bind"],
            "profiles": [{"profile": "<b>", "state": "fresh", "on_trial": "HTTP 404"}],
        }
    )

    for words in ("profiles: &lt;required&gt;", "server.bind", "HTTP 404", "&lt;b&gt;"):
        assert words in page
    assert "<b>" not in page
