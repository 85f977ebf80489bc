"""Any bytes from a client: no exception, no 500, well-formed responses, and credentials only for permitted requests."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import find, given

from app.core.events import Event
from app.core.schedule import Schedule
from app.core.values import Credentials
from app.observe.counters import RequestCounters
from app.refresh.refresher import Policy, Refresher
from app.serve.access import Guard
from app.serve.connection import Context
from app.serve.connection_table import ConnectionTable
from app.serve.dispatch import Dispatcher
from app.serve.handlers.gate import Gate
from app.serve.handlers.ops import OpsHandler
from app.serve.handlers.shared_pages import SharedPages
from app.serve.peers.peer import UNKNOWN_PEER, Peer
from app.serve.protocol import BoundedProtocol
from app.serve.request import Request
from app.serve.responses import Response, document
from app.serve.turns import Turns

from ..clock import Clock
from ..conftest import handler
from ..e2e.processes import Demo, demo
from ..e2e.wire import Connection, fetch
from ..transport import RecordingTransport
from .requests import FORWARDED, HOSTS, conversations

pytestmark = pytest.mark.fuzz

SECRETS = {name: f"canary-secret-of-{name}" for name in ("default", "p2")}
RESPONSE = re.compile(rb"HTTP/1\.1 ([0-9]{3}) [A-Za-z ]+\r\n((?:[A-Za-z-]+: [^\r\n]*\r\n)*)\r\n")
LENGTH = re.compile(rb"Content-Length: ([0-9]+)\r\n")
PERMITTED = re.compile(
    rb"GET (/credentials(/default|/p2)?|/latest/meta-data/ram/security-credentials/(default|p2))/?(\?[^ ]*)? HTTP/1",
    re.I,
)


class AuditChecks:
    """An audit that checks its arguments."""

    def served(self, listener: str, profile: str, credentials: Credentials, peer: Peer) -> None:
        """Check the profile of a served session."""
        assert profile in SECRETS

    def denied(self, listener: str, profile: str, reason: str, peer: Peer) -> None:
        """Check that a refusal has a reason."""
        assert reason


async def refreshers(clock: Clock) -> dict[str, Refresher]:
    """Return the refreshers of two profiles that have credentials."""

    def fetch(name: str) -> Credentials:
        return Credentials("STS.id", SECRETS[name], "canary-token", clock.time(), clock.time() + 3600)

    found = {}
    for name in SECRETS:

        async def fetched(name: str = name) -> Credentials:
            return fetch(name)

        item = Refresher(
            name,
            fetched,
            policy=Policy(Schedule()),
            observe=ignore,
            clocks=clock.clocks,
            sleep=clock.sleep,
            random=lambda: 0.5,
        )
        task = asyncio.create_task(item.run())
        await item.settled()
        task.cancel()
        found[name] = item
    return found


def ignore(_event: Event) -> None:
    """Ignore an event."""


async def empty() -> Response:
    """Return an empty scrape or status."""
    return document(200, {})


async def page(_request: Request) -> Response:
    """Return an empty page."""
    return document(200, {})


async def responses_to(segments: list[bytes], listener: str) -> bytes:
    """Return all bytes that the listener sends in response to the segments."""
    clock = Clock()
    profiles = await refreshers(clock)
    counters = RequestCounters(clock.time)
    loop = asyncio.get_running_loop()
    table, queue = ConnectionTable(16, loop), Turns().queue()
    if listener == "credentials":
        dispatcher = Dispatcher("credentials", handler(profiles, clock), counters, AuditChecks())
        context = Context(
            loop, dispatcher, lambda _: UNKNOWN_PEER, ConnectionTable(16, loop), Turns().queue(), repeats=dispatcher
        )
    else:
        items = list(profiles.values())
        ops = OpsHandler(
            items,
            gate=Gate("listening", timeout=1, started_at=0, sources=items, now=clock.time),
            dead_loops=list,
            scrape=empty,
            status=empty,
            status_page=lambda _: empty(),
            page_guard=lambda: Guard(allowed_hosts=("127.0.0.1",), refuse_forwarded=True, refuse_browsers=False),
        )
        context = Context(loop, SharedPages(ops, page), lambda _: UNKNOWN_PEER, table, queue)
    transport = RecordingTransport()
    connection = BoundedProtocol(context)
    connection.connection_made(transport)
    for segment in segments:
        if transport.closing:
            break
        connection.data_received(segment)
        while not transport.closing and connection.owes:  # noqa: ASYNC110 - turns of the loop, not time
            await asyncio.sleep(0)
    connection.expire()
    connection.connection_lost(None)
    return transport.written


def statuses(responses: bytes, methods: bytes) -> list[int]:
    """Return the status of each response. Fails if the bytes are not a sequence of complete responses."""
    found = []
    at = 0
    while at < len(responses):
        head = RESPONSE.match(responses, at)
        assert head is not None, responses[at : at + 200]
        at = head.end()
        found.append(int(head[1]))
        if head[1] == b"100":
            continue
        length = LENGTH.search(head[2])
        assert length is not None
        if responses[at : at + 5] != b"HTTP/" or b"HEAD" not in methods:  # a response to HEAD has no body
            at += int(length[1])
    assert at == len(responses) or b"HEAD" in methods
    return found


@pytest.mark.parametrize("listener", ["credentials", "ops"])
@given(segments=conversations())
def test_any_bytes(listener: str, segments: list[bytes]) -> None:
    """No bytes raise an exception or give anything but complete responses, none of them 500."""
    raw = b"".join(segments)
    responses = asyncio.run(responses_to(segments, listener))

    assert 500 not in statuses(responses, raw)
    if b"canary-" in responses:
        assert listener == "credentials"
        assert PERMITTED.search(raw)
        assert any(host in raw.lower() for host in HOSTS)


def test_examples_reach_credentials() -> None:
    """The generated requests include some that get a credential; this is the control of the other tests."""
    found = find(conversations(), lambda segments: b"canary-" in asyncio.run(responses_to(segments, "credentials")))

    assert PERMITTED.search(b"".join(found))


@given(segments=conversations())
def test_forbidden_headers(segments: list[bytes]) -> None:
    """If every Host is foreign, or each request has a forwarding header, no credential is sent."""
    raw = b"".join(segments)
    for host in HOSTS:
        raw = raw.replace(host, b"evil.example")
    proxied = re.sub(rb"(?i)host:", FORWARDED[0] + b": x\r\nHost:", b"".join(segments))

    assert b"canary-" not in asyncio.run(responses_to([raw], "credentials"))
    if b"host:" in proxied.lower() and proxied.lower().count(b"http/1") == proxied.lower().count(b"\nhost:"):
        assert b"canary-" not in asyncio.run(responses_to([proxied], "credentials"))


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A running demo."""
    with demo("--profiles", "2", home=tmp_path_factory.mktemp("fuzz")) as running:
        yield running


@pytest.mark.parametrize("listener", ["credentials", "ops"])
def test_any_bytes_on_a_real_socket(sidecar: Demo, listener: str) -> None:
    """With the same bytes a real process closes each connection, lives on, sends no 500 and logs no error."""
    base = sidecar.metadata_url if listener == "credentials" else sidecar.ops_url
    descriptors = Path(f"/proc/{sidecar.process.pid}/fd")

    @given(segments=conversations())
    def once(segments: list[bytes]) -> None:
        responses = b""
        with Connection(base) as client, suppress(ConnectionError):
            with suppress(OSError):  # the server may have closed the connection
                for segment in segments:
                    client.send(segment)
                client.socket.shutdown(socket.SHUT_WR)
            while piece := client.socket.recv(65_536):
                responses += piece
        assert b"HTTP/1.1 500" not in responses

    once()
    assert fetch(sidecar.ops_url, "/livez").status == 200
    assert not [line for line in sidecar.process.stderr.lines() if "failed" in line or "Traceback" in line]
    assert len(list(descriptors.iterdir())) < 200
