"""The operations listener without a socket: the gate, the probes, shared answers, and who may have the status."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from app import __version__
from app.core.error_index.index import INDEX
from app.core.values import STATES
from app.emulator import Emulator, Fault
from app.serve.access import Guard
from app.serve.handlers.gate import Gate
from app.serve.handlers.ops import OpsHandler
from app.serve.peers.peer import Peer, no_process
from app.serve.request import Request
from app.serve.responses import NOT_FOUND, Response, document

from ..clock import Clock
from ..conftest import Offline, running
from .sources import FakeSource

LOCALHOST = [(b"host", b"localhost:7118")]


def from_host(host: str) -> Peer:
    """Return a peer that connects from an address."""
    return Peer(lambda: None, no_process, host=host)


async def empty() -> Response:
    """Return a status without members."""
    return document(200, {})


async def page(refresh: bool) -> Response:
    """Return a status page that says whether it reloads itself."""
    return document(200, {"refresh": refresh})


async def scrape() -> Response:
    """Return a scrape with one metric."""
    return document(200, {"metric": 1})


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
        scrape=scrape,
        status=status,
        status_page=page,
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
    assert json.loads(response.body) == {"status": "dead", "loops": ["p2"], "error_code": "IDS-901"}


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
    elif path in (b"/status.json", b"/status"):
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


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
async def test_metrics_and_status_have_bodies_of_their_own(offline: Callable[..., Offline], method: bytes) -> None:
    """`/metrics` answers everyone with the scrape, `/status.json` this machine with the status."""
    at = ops(offline())
    metrics = at(Request(method, b"/metrics", [], from_host("10.0.0.7")))
    status = at(Request(method, b"/status.json", LOCALHOST, from_host("127.0.0.1")))

    assert asyncio.iscoroutine(metrics)
    assert (await metrics).body == b'{"metric":1}'
    assert asyncio.iscoroutine(status)
    assert (await status).body == b"{}"


@pytest.mark.parametrize(
    ("target", "refresh"),
    [
        (b"/status", False),
        (b"/status?", False),
        (b"/status?refresh=on", True),
        (b"/status?refresh=off", False),
        (b"/status?a=b&refresh=on", True),
        (b"/status?norefresh=on", False),
    ],
)
async def test_the_reload_of_the_status_page_can_be_turned_on(
    offline: Callable[..., Offline], target: bytes, refresh: bool
) -> None:
    """`/status` reloads itself only if the query has `refresh=on`; each of the two pages is shared by itself."""
    at = ops(offline())
    for _ in range(2):
        outcome = at(Request(b"GET", target, LOCALHOST, from_host("127.0.0.1")))
        response = outcome if isinstance(outcome, Response) else await outcome  # type: ignore[misc]
        assert json.loads(response.body) == {"refresh": refresh}


async def test_the_errors_page(offline: Callable[..., Offline]) -> None:
    """`/errors` has every entry of the index with its anchor and every state; it is for callers on loopback alone."""
    at = ops(offline())
    made = at(Request(b"GET", b"/errors", LOCALHOST, from_host("127.0.0.1")))
    refused = at(Request(b"GET", b"/errors", LOCALHOST, from_host("10.0.0.1")))
    posted = at(Request(b"POST", b"/errors", LOCALHOST, from_host("127.0.0.1")))

    assert asyncio.iscoroutine(made)
    page = (await made).body.decode()
    assert re.findall(r'<h3 id="(IDS-[0-9]{3})">', page) == list(INDEX)
    assert [state for state in STATES if f"<dt>{state}</dt>" not in page] == []
    assert __version__ in page
    assert [each.status for each in (refused, posted) if isinstance(each, Response)] == [403, 405]


@pytest.mark.parametrize("path", [b"/", b"/livez/", b"/Livez", b"/credentials", b"/metrics/x", b"/refresh"])
async def test_other_paths(offline: Callable[..., Offline], path: bytes) -> None:
    """Every other path of the listener is 404, whatever the method."""
    assert ops(offline())(Request(b"GET", path, LOCALHOST)) is NOT_FOUND
    assert ops(offline())(Request(b"POST", path, LOCALHOST)) is NOT_FOUND


@pytest.mark.parametrize(
    "path", [b"/status", b"/status/", b"/errors", b"/docs", b"/openapi.json", b"/metrics", b"/livez"]
)
@pytest.mark.parametrize("method", [b"POST", b"OPTIONS"])
async def test_paths_name_their_methods(offline: Callable[..., Offline], path: bytes, method: bytes) -> None:
    """Every path of the listener accepts GET and HEAD only, and says so."""
    response = ops(offline())(Request(method, path, LOCALHOST, from_host("127.0.0.1")))

    assert isinstance(response, Response)
    assert (response.status, response.headers[-1]) == (405, (b"Allow", b"GET, HEAD"))


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        (b"/livez", 503, {"status": "dead", "loops": ["p2"], "error_code": "IDS-901"}),
        (b"/healthz", 503, {"status": "dead", "loops": ["p2"], "error_code": "IDS-901"}),
        (
            b"/readyz",
            503,
            {
                "status": "not ready",
                "profiles": [
                    {
                        "profile": "new",
                        "state": "starting",
                        "reason": "no answer from the cloud yet",
                        "error_code": "IDS-501",
                    },
                    {"profile": "bad", "state": "denied", "reason": "HTTP 403", "error_code": "IDS-501"},
                ],
            },
        ),
        (
            b"/startupz",
            503,
            {
                "status": "starting",
                "profiles": [
                    {
                        "profile": "new",
                        "state": "starting",
                        "reason": "no answer from the cloud yet",
                        "error_code": "IDS-501",
                    },
                    {"profile": "bad", "state": "denied", "reason": "HTTP 403", "error_code": "IDS-501"},
                ],
            },
        ),
    ],
)
async def test_failing_probes(clock: Clock, method: bytes, path: bytes, status: int, body: object) -> None:
    """A probe that fails names what is dead or missing, and why; GET and HEAD get the same response."""
    sources = [
        FakeSource("good"),
        FakeSource("new", state="starting"),
        FakeSource("bad", state="denied", last_error="HTTP 403"),
        FakeSource("optional", state="denied", required=False),
    ]
    at = probes(clock, sources, dead=["p2"])
    response = at(Request(method, path, []))

    assert isinstance(response, Response)
    assert (response.status, json.loads(response.body)) == (status, body)


@pytest.mark.parametrize("path", [b"/livez", b"/healthz", b"/readyz", b"/startupz", b"/readyz?verbose"])
async def test_passing_probes(clock: Clock, path: bytes) -> None:
    """A probe that passes says only that."""
    response = probes(clock, [FakeSource()], dead=[])(Request(b"GET", path, []))

    assert isinstance(response, Response)
    assert (response.status, response.body) == (200, b'{"status":"ok"}')


async def test_readiness_is_not_the_gate(clock: Clock) -> None:
    """With the gate `listening`, start-up is over at once, and readiness waits for the credentials."""
    at = probes(clock, [FakeSource(state="starting")], dead=[], kind="listening")

    assert [code(at, path) for path in (b"/startupz", b"/readyz")] == [200, 503]


def probes(clock: Clock, sources: list[FakeSource], *, dead: list[str], kind: str = "credentials") -> OpsHandler:
    """Return a handler over fake sources."""
    return OpsHandler(
        sources,
        gate=Gate(kind, timeout=60, started_at=clock.time(), sources=sources, now=clock.time),
        dead_loops=lambda: dead,
        scrape=scrape,
        status=empty,
        status_page=page,
        page_guard=lambda: Guard(allowed_hosts=("localhost",), refuse_forwarded=True, refuse_browsers=False),
    )


@pytest.mark.parametrize("path", [b"/status", b"/errors", b"/docs"])
async def test_slash_at_the_end_of_a_page(offline: Callable[..., Offline], path: bytes) -> None:
    """A page that is requested with a slash is at the path without it; the rules for callers come first."""
    at = ops(offline())
    found = at(Request(b"GET", path + b"/", LOCALHOST, from_host("127.0.0.1")))
    remote = at(Request(b"GET", path + b"/", LOCALHOST, from_host("10.0.0.7")))
    twice = at(Request(b"GET", path + b"//", LOCALHOST, from_host("127.0.0.1")))

    assert isinstance(found, Response)
    assert (found.status, dict(found.headers)[b"Location"]) == (308, path)
    assert isinstance(remote, Response)
    assert remote.status == 403
    assert twice is NOT_FOUND
