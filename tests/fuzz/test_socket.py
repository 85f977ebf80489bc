"""Whatever bytes arrive: no exception, no 500, well-formed answers, and a credential only for those who may have it."""

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
from app.serve.connection_table import ConnectionTable
from app.serve.dispatch import Dispatcher
from app.serve.handlers.gate import Gate
from app.serve.handlers.ops import OpsHandler
from app.serve.peers.peer import UNKNOWN_PEER, Peer
from app.serve.protocol import BoundedProtocol, Context
from app.serve.responses import Response, document

from ..clock import Clock
from ..conftest import handler
from ..e2e.processes import Demo, demo
from ..e2e.wire import Connection as Wire
from ..e2e.wire import fetch
from .requests import FORWARDED, HOSTS, conversations

pytestmark = pytest.mark.fuzz

SECRETS = {name: f"canary-secret-of-{name}" for name in ("default", "p2")}
ANSWER = re.compile(rb"HTTP/1\.1 ([0-9]{3}) [A-Za-z ]+\r\n((?:[A-Za-z-]+: [^\r\n]*\r\n)*)\r\n")
LENGTH = re.compile(rb"Content-Length: ([0-9]+)\r\n")
MAY = re.compile(
    rb"GET (/credentials(/default|/p2)?|/latest/meta-data/ram/security-credentials/(default|p2))/?(\?[^ ]*)? HTTP/1",
    re.I,
)


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def write_eof(self) -> None:
        pass

    def close(self) -> None:
        self.closing = True

    abort = close

    def is_closing(self) -> bool:
        return self.closing

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class Witness:
    """Hears what the audit hears."""

    def served(self, listener: str, profile: str, credentials: Credentials, peer: Peer) -> None:
        assert profile in SECRETS

    def denied(self, listener: str, profile: str, reason: str, peer: Peer) -> None:
        assert reason


async def refreshers(clock: Clock) -> dict[str, Refresher]:
    """Two profiles with credentials."""

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
    """Nobody listens."""


async def nothing() -> Response:
    """Return an empty scrape or status."""
    return document(200, {})


async def said(segments: list[bytes], listener: str) -> bytes:
    """All that the listener answers to them."""
    clock = Clock()
    profiles = await refreshers(clock)
    counters = RequestCounters(clock.time)
    loop = asyncio.get_running_loop()
    if listener == "credentials":
        dispatcher = Dispatcher("credentials", handler(profiles, clock), counters, Witness())
        context = Context(loop, dispatcher, lambda _: UNKNOWN_PEER, ConnectionTable(16, loop), repeats=dispatcher)
    else:
        items = list(profiles.values())
        ops = OpsHandler(
            items,
            gate=Gate("listening", timeout=1, started_at=0, sources=items, now=clock.time),
            dead_loops=list,
            scrape=nothing,
            status=nothing,
            page_guard=lambda: Guard(allowed_hosts=("127.0.0.1",), refuse_forwarded=True, refuse_browsers=False),
        )
        context = Context(loop, ops, lambda _: UNKNOWN_PEER, ConnectionTable(16, loop))
    transport = Transport()
    connection = BoundedProtocol(context)
    connection.connection_made(transport)
    for segment in segments:
        if transport.closing:
            break
        connection.data_received(segment)
        if connection.task is not None:
            await connection.task
    connection.expire()
    connection.connection_lost(None)
    return transport.written


def statuses(answers: bytes, methods: bytes) -> list[int]:
    """The status of each answer; fails where the bytes are anything but whole answers one behind the other."""
    found = []
    at = 0
    while at < len(answers):
        head = ANSWER.match(answers, at)
        assert head is not None, answers[at : at + 200]
        at = head.end()
        found.append(int(head[1]))
        if head[1] == b"100":
            continue
        length = LENGTH.search(head[2])
        assert length is not None
        if answers[at : at + 5] != b"HTTP/" or b"HEAD" not in methods:  # the answer to a HEAD has no body
            at += int(length[1])
    assert at == len(answers) or b"HEAD" in methods
    return found


@pytest.mark.parametrize("listener", ["credentials", "ops"])
@given(segments=conversations())
def test_any_bytes(listener: str, segments: list[bytes]) -> None:
    """Nothing that is sent raises, or makes us say anything but whole answers, none of them 500."""
    raw = b"".join(segments)
    answers = asyncio.run(said(segments, listener))

    assert 500 not in statuses(answers, raw)
    if b"canary-" in answers:
        assert listener == "credentials"
        assert MAY.search(raw)
        assert any(host in raw.lower() for host in HOSTS)


def test_the_bytes_are_good_enough() -> None:
    """Among them are requests that do get a credential: tests that only ever see refusals would show nothing."""
    found = find(conversations(), lambda segments: b"canary-" in asyncio.run(said(segments, "credentials")))

    assert MAY.search(b"".join(found))


@given(segments=conversations())
def test_one_request_with_a_forbidden_header(segments: list[bytes]) -> None:
    """Where every Host is foreign, or a proxy's or browser's header stands in each request, no credential goes out."""
    raw = b"".join(segments)
    for host in HOSTS:
        raw = raw.replace(host, b"evil.example")
    proxied = re.sub(rb"(?i)host:", FORWARDED[0] + b": x\r\nHost:", b"".join(segments))

    assert b"canary-" not in asyncio.run(said([raw], "credentials"))
    if b"host:" in proxied.lower() and proxied.lower().count(b"http/1") == proxied.lower().count(b"\nhost:"):
        assert b"canary-" not in asyncio.run(said([proxied], "credentials"))


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with demo("--profiles", "2", home=tmp_path_factory.mktemp("fuzz")) as running:
        yield running


@pytest.mark.parametrize("listener", ["credentials", "ops"])
def test_any_bytes_on_a_real_socket(sidecar: Demo, listener: str) -> None:
    """A real process takes the same bytes: each connection ends, the process lives, says no 500 and logs no bug."""
    base = sidecar.metadata_url if listener == "credentials" else sidecar.ops_url
    descriptors = Path(f"/proc/{sidecar.process.pid}/fd")

    @given(segments=conversations())
    def once(segments: list[bytes]) -> None:
        answers = b""
        with Wire(base, 15) as wire, suppress(ConnectionError):
            with suppress(OSError):  # it may have hung up already, which is an answer too
                for segment in segments:
                    wire.send(segment)
                wire.socket.shutdown(socket.SHUT_WR)
            while piece := wire.socket.recv(65_536):
                answers += piece
        assert b"HTTP/1.1 500" not in answers

    once()
    assert fetch(sidecar.ops_url, "/livez").status == 200
    assert not [line for line in sidecar.process.stderr.lines() if "failed" in line or "Traceback" in line]
    assert len(list(descriptors.iterdir())) < 200
