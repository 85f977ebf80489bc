"""Both doors give the same answer: the bounded protocol, with a cold and a warm memo, and the FastAPI application.

Every route of every listener is requested with every method and every set of headers. What HTTP alone can express
(framing, absolute-form targets, limits) has no ASGI form and is tested in tests/serve and tests/e2e.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.routing import Match

from app import __version__
from app.core.errors import NoCredentials
from app.core.values import Credentials
from app.observe.counters import RequestCounters
from app.serve import status_page
from app.serve.access import Guard
from app.serve.application import Handlers, create_app, openapi_document
from app.serve.asgi import respond
from app.serve.callers import AllowedCallers
from app.serve.connection import Context
from app.serve.connection_table import ConnectionTable
from app.serve.dispatch import Dispatcher
from app.serve.ecs_metadata import MetadataValues, SessionTokens
from app.serve.handlers.admin import AdminHandler
from app.serve.handlers.credential_endpoint import CredentialEndpoint
from app.serve.handlers.credentials import CredentialHandler, ListenerRules
from app.serve.handlers.gate import Gate
from app.serve.handlers.ops import OpsHandler
from app.serve.handlers.shared_pages import SharedPages
from app.serve.peers.peer import Peer, PeerCredentials, no_process
from app.serve.protocol import BoundedProtocol
from app.serve.responses import Response, document, response
from app.serve.turns import Turns

from .clock import Clock
from .conftest import Offline, configuration, running
from .status_sample import STATUS
from .transport import RecordingTransport

HOP_BY_HOP = ("connection", "keep-alive")
"""Headers about the connection, which are the server's and not the application's."""

PATH_TOKEN = b"path-token-0123456789"
ROLES = b"/latest/meta-data/ram/security-credentials"
METHODS = (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH")
LISTENERS = ("credentials", "metadata", "ops", "admin")
PEERS = {
    "unknown": Peer(lambda: None, no_process, "127.0.0.1"),
    "uid 1001": Peer(lambda: PeerCredentials(1001, 1), no_process, "127.0.0.1"),
    "uid 1002": Peer(lambda: PeerCredentials(1002, 2), no_process, "127.0.0.1"),
    "root": Peer(lambda: PeerCredentials(0, 3), no_process, "127.0.0.1"),
    "remote": Peer(lambda: None, no_process, "10.0.0.7"),
}

Headers = tuple[tuple[bytes, bytes], ...]
Answer = tuple[int, tuple[tuple[str, str], ...], bytes]
"""Status, headers by name without Connection, body."""


@dataclass(frozen=True, slots=True)
class Doors:
    """The two doors of each listener over the same handlers."""

    app: FastAPI
    handlers: Handlers
    token: bytes

    async def protocol(
        self, listener: str, method: bytes, target: bytes, headers: Headers, peer: Peer, *, times: int = 1
    ) -> list[Answer]:
        """Return the answers of the bounded protocol to the same bytes on one connection after another."""
        loop = asyncio.get_running_loop()
        handle = getattr(self.handlers, listener)
        pages = SharedPages(handle, lambda request: respond(self.app, request, listener)) if listener == "ops" else None
        context = Context(
            loop,
            pages or handle,
            lambda _: peer,
            ConnectionTable(16, loop),
            Turns().queue(),
            repeats=handle if isinstance(handle, Dispatcher) else None,
        )
        raw = b"%b %b HTTP/1.1\r\n" % (method, target)
        raw += b"".join(b"%b: %b\r\n" % header for header in headers) + b"\r\n"
        answers = []
        for _ in range(times):
            transport = RecordingTransport({"peername": (peer.host, 1), "sockname": ("127.0.0.1", 7117)})
            connection = BoundedProtocol(context)
            connection.connection_made(transport)
            connection.data_received(raw)
            if connection.task is not None:
                await connection.task
            connection.connection_lost(None)
            answers.append(parsed(transport.written, method))
        return answers

    async def asgi(self, listener: str, method: bytes, target: bytes, headers: Headers, peer: Peer) -> Answer:
        """Return the answer of the application to one request."""
        path, _, query = target.partition(b"?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method.decode(),
            "scheme": "http",
            "path": path.decode("latin-1"),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": list(headers),
            "client": (peer.host, 1),
            "server": ("127.0.0.1", 7117),
            "state": {"listener": listener, "peer": peer},
        }
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(dict(message))

        await self.app(scope, receive, send)
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return sent[0]["status"], by_name(sent[0]["headers"]), body


def by_name(headers: Any) -> tuple[tuple[str, str], ...]:
    found = ((name.decode().lower(), value.decode()) for name, value in headers)
    return tuple(sorted((name, value) for name, value in found if name not in HOP_BY_HOP))


def parsed(raw: bytes, method: bytes) -> Answer:
    """Return one HTTP response; fails for anything but exactly one."""
    head, _, body = raw.partition(b"\r\n\r\n")
    start, *lines = head.split(b"\r\n")
    headers = by_name(line.split(b": ", 1) for line in lines)
    length = int(dict(headers)["content-length"])
    assert len(body) == (0 if method == b"HEAD" else length), raw
    return int(start.split()[1]), headers, body


@pytest.fixture
async def doors(offline: Callable[..., Offline], clock: Clock) -> AsyncIterator[Doors]:
    """Two profiles with credentials; `p2` is for uid 1001. Four listeners with and without a path token."""
    sidecar = offline(configuration("default", "p2"))
    async with running(*sidecar.refreshers.values()):
        await clock.asleep(2)
        yield make_doors(sidecar, clock)


def make_doors(sidecar: Offline, clock: Clock) -> Doors:
    counters, sources = RequestCounters(clock.time), list(sidecar.refreshers.values())
    sessions = SessionTokens(b"k" * 32, clock.time)
    endpoints = {
        "default": CredentialEndpoint(sidecar.refreshers["default"], clock.clocks),
        "p2": CredentialEndpoint(
            sidecar.refreshers["p2"], clock.clocks, AllowedCallers(frozenset({1001}), frozenset())
        ),
    }
    guard = Guard(allowed_hosts=("127.0.0.1", "localhost"), refuse_forwarded=True, refuse_browsers=True)

    def dispatcher(listener: str, path_token: bytes | None) -> Dispatcher:
        rules = ListenerRules(
            guard=guard,
            sessions=sessions,
            sessions_required=listener == "metadata",
            path_token=path_token,
            now=clock.time,
            values=MetadataValues({"region-id": "cn-hangzhou"}, document=listener == "metadata"),
            metadata_only=listener == "metadata",
        )
        return Dispatcher(listener, CredentialHandler(endpoints, rules), counters, NoAudit())

    async def empty() -> Response:
        return document(200, {})

    async def page(refresh: bool) -> Response:
        return response(
            200, status_page.render(STATUS, refresh=refresh).encode(), status_page.HTML, status_page.HEADERS
        )

    async def renew(names: Sequence[str], _purge: bool, _uid: int) -> list[dict[str, Any]]:
        return [{"profile": name, "last_error": None} for name in names]

    async def held(name: str, _uid: int) -> Credentials:
        raise NoCredentials(f"profile {name}: none", retry_after=1.0)

    def level(name: str, _uid: int) -> None:
        if name != "debug":
            raise ValueError("there is no such level")

    handlers = Handlers(
        credentials=dispatcher("credentials", PATH_TOKEN),
        metadata=dispatcher("metadata", None),
        ops=OpsHandler(
            sources,
            gate=Gate("credentials", timeout=60, started_at=clock.time(), sources=sources, now=clock.time),
            dead_loops=list,
            scrape=empty,
            status=empty,
            status_page=page,
            page_guard=lambda: guard,
        ),
        admin=AdminHandler(
            lambda: ["default", "p2"], uid=1001, renew=renew, set_level=level, give_credentials=held, status=empty
        ),
    )
    return Doors(create_app(handlers, version="1"), handlers, sessions.issue(3600))


class NoAudit:
    """An audit that records nothing."""

    def served(self, listener: str, profile: str, credentials: Credentials, peer: Peer) -> None:
        pass

    def denied(self, listener: str, profile: str, reason: str, peer: Peer) -> None:
        pass


TARGETS: dict[str, tuple[bytes, ...]] = {
    "credentials": (
        *tuple(
            prefix + path
            for prefix, path in product(
                (b"", b"/" + PATH_TOKEN, b"/wrong-token-012345678"),
                (b"/credentials", b"/credentials/", b"/credentials/p2", b"/credentials/nobody", b"/credentials?a=b"),
            )
        ),
        b"/",
        b"//credentials",
        b"/aws/p2",
        b"/aws/nobody",
        b"/" + PATH_TOKEN + b"/aws/default",
        b"/%63redentials",
        b"/Credentials",
        b"/healthz",
        b"/metrics",
        b"/status",
        b"/docs",
        ROLES,
        ROLES + b"/p2",
        b"/latest/api/token",
    ),
    "metadata": (
        ROLES,
        ROLES + b"/",
        ROLES + b"/default",
        ROLES + b"/p2?x",
        ROLES + b"/nobody",
        b"/Latest/Meta-Data/RAM/Security-Credentials/default",
        b"/latest/meta-data/region-id",
        b"/latest/meta-data/",
        b"/latest/meta-data/zone-id",
        b"/2016-01-01/meta-data/region-id",
        b"/2016-01-01/meta-data/ram/security-credentials/default",
        b"/2016-01-01/api/token",
        b"/latest/dynamic/instance-identity/document",
        b"/latest/api/token",
        b"/credentials",
        b"/healthz",
        b"/",
    ),
    "ops": (
        b"/livez",
        b"/healthz",
        b"/readyz",
        b"/startupz",
        b"/metrics",
        b"/status.json",
        b"/status",
        b"/status?refresh=on",
        b"/errors",
        b"/docs",
        b"/openapi.json",
        b"/status/",
        b"/status/?refresh=on",
        b"/status//",
        b"/errors/",
        b"/docs/",
        b"/status.json/",
        b"/credentials",
        b"/livez/",
        b"/",
    ),
    "admin": (
        b"/refresh",
        b"/refresh/default",
        b"/refresh/nobody",
        b"/purge",
        b"/purge/p2",
        b"/log-level/debug",
        b"/log-level/loud",
        b"/log-level",
        b"/session/default",
        b"/status.json",
        b"/status.json/x",
        b"/session/nobody",
        b"/session/",
        b"/credentials",
        b"/",
    ),
}

HOST = (b"host", b"127.0.0.1:7117")
COMMON: tuple[Headers, ...] = (
    (HOST,),
    (),
    ((b"host", b"evil.example"),),
    (HOST, HOST),
    (HOST, (b"x-forwarded-for", b"")),
    (HOST, (b"origin", b"https://evil.example")),
    (HOST, (b"x-aliyun-parameters-secrets-token", PATH_TOKEN)),
    (HOST, (b"connection", b"close")),
)
TTLS = (b"60", b"0", b" 60", b"21601")


def header_sets(listener: str, token: bytes) -> Iterator[Headers]:
    """Yield the sets of headers that matter to a listener."""
    yield from COMMON
    if listener in ("credentials", "metadata"):
        secret = (b"x-aliyun-parameters-secrets-token", PATH_TOKEN)
        for value in (token, b"wrong"):
            yield (HOST, secret, (b"x-aliyun-ecs-metadata-token", value))
        yield (HOST, (b"x-aliyun-ecs-metadata-token", token), (b"x-aliyun-ecs-metadata-token", token))
        for ttl in TTLS:
            yield (HOST, secret, (b"x-aliyun-ecs-metadata-token-ttl-seconds", ttl))


def cases(listener: str, token: bytes) -> Iterator[tuple[bytes, bytes, Headers, str]]:
    """Yield method, target, headers and peer: every combination for two peers, every peer for plain requests."""
    others = ("uid 1002", "root", "remote")
    for target, method in product(TARGETS[listener], METHODS):
        for headers, peer in product(header_sets(listener, token), ("unknown", "uid 1001")):
            yield method, target, headers, peer
        for peer in others:
            yield method, target, (HOST,), peer


@pytest.mark.parametrize("listener", LISTENERS)
async def test_both_doors_give_the_same_answers(doors: Doors, listener: str) -> None:
    """Status, headers and body are equal for every route, method, header set and peer, also from a warm memo."""
    compared = 0
    for method, target, headers, peer in cases(listener, doors.token):
        request = (listener, method, target, headers, PEERS[peer])
        cold, warm = await doors.protocol(*request, times=2)

        assert cold == warm == await doors.asgi(*request), (method, target, headers, peer)
        compared += 1

    assert compared >= 500


async def test_head_is_get_without_the_body(doors: Doors) -> None:
    """On the operations listener HEAD has the status and the headers of GET, pages and redirects included."""
    peer = PEERS["unknown"]
    for target in TARGETS["ops"]:
        ((status, headers, _),) = await doors.protocol("ops", b"GET", target, (HOST,), peer)

        assert await doors.protocol("ops", b"HEAD", target, (HOST,), peer) == [(status, headers, b"")], target


async def test_the_memo_is_warm(doors: Doors) -> None:
    """A request for credentials is remembered: the comparison above did exercise the memo."""
    target = b"/" + PATH_TOKEN + b"/credentials"
    await doors.protocol("credentials", b"GET", target, (HOST,), PEERS["unknown"])
    dispatcher = doors.handlers.credentials
    assert isinstance(dispatcher, Dispatcher)

    assert dispatcher.recall(b"GET %b HTTP/1.1\r\nhost: 127.0.0.1:7117\r\n\r\n" % target) is not None


async def test_any_asgi_client_can_use_the_application(doors: Doors) -> None:
    """With no listener given the path selects it, and an unknown caller is refused where it matters."""
    transport = httpx.ASGITransport(doors.app, client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:7117") as client:
        good = await client.get(f"/{PATH_TOKEN.decode()}/credentials")
        restricted = await client.get(f"/{PATH_TOKEN.decode()}/credentials/p2")
        probe, status, order = await client.get("/livez"), await client.get("/status"), await client.post("/refresh")

    assert (good.status_code, good.json()["Code"]) == (200, "Success")
    assert restricted.json()["Code"] == "AccessDenied.CallerUnknown"
    assert (probe.status_code, status.status_code) == (200, 200)
    assert order.json()["Code"] == "AccessDenied.Admin"


async def test_every_route_is_declared(doors: Doors) -> None:
    """The routes of FastAPI are those that the handlers answer, so that no route exists at one door alone."""
    by_tag: dict[str, set[str]] = {"operations": set(), "admin": set()}
    for path, methods in openapi_document("1")["paths"].items():
        for tag in (tag for operation in methods.values() for tag in operation["tags"]):
            by_tag.get(tag, set()).add(path)
    ops, admin = doors.handlers.ops, doors.handlers.admin
    assert isinstance(ops, OpsHandler)
    assert isinstance(admin, AdminHandler)

    assert by_tag["operations"] == {path.decode() for path in ops.paths}
    assert {path.split("/")[1] for path in by_tag["admin"]} == admin.orders


LISTENER_OF = {"credentials": "credentials", "ECS metadata": "metadata", "operations": "ops", "admin": "admin"}
"""The listener of each tag of the OpenAPI document."""


async def test_every_declared_route_is_compared(doors: Doors) -> None:
    """Each declared route has a target above that its handler knows: another one would be answered with 404."""
    headers = (
        HOST,
        (b"x-aliyun-parameters-secrets-token", PATH_TOKEN),
        (b"x-aliyun-ecs-metadata-token", doors.token),
        (b"x-aliyun-ecs-metadata-token-ttl-seconds", b"60"),
    )
    unknown = []
    for path, methods in openapi_document("1")["paths"].items():
        pattern = re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)).encode())
        for method, operation in methods.items():
            listener = LISTENER_OF[operation["tags"][0]]
            targets = [target for target in TARGETS[listener] if pattern.fullmatch(target.partition(b"?")[0])]
            request = (method.upper().encode(), headers, PEERS["uid 1001"])
            statuses = {await status_at(doors, listener, target, *request) for target in targets}
            if not statuses - {404}:
                unknown.append(f"{method} {path}: {statuses}")

    assert unknown == []


UNDECLARED = {
    *((method, path + b"/") for method, path in product((b"GET", b"HEAD"), (b"/status", b"/errors", b"/docs"))),
    *((b"GET", prefix + b"/credentials/") for prefix in (b"", b"/" + PATH_TOKEN)),
    (b"GET", b"/Latest/Meta-Data/RAM/Security-Credentials/default"),
}
"""Methods and paths that are answered without a declared route, by the handler of unmatched requests: redirects to the
page without a final slash, a final slash, and mixed case in the ECS prefix."""


@pytest.mark.parametrize("listener", LISTENERS)
async def test_no_other_request_is_answered_without_a_route(doors: Doors, listener: str) -> None:
    """A request that no declared route matches gets an error, but for the listed ones."""
    answered = set()
    for method, target, headers, peer in cases(listener, doors.token):
        path = target.partition(b"?")[0]
        if not is_declared(doors.app, method, path):
            status, _, _ = await doors.asgi(listener, method, target, headers, PEERS[peer])
            answered |= {(method, path)} if status < 400 else set()

    targets = {target.partition(b"?")[0] for target in TARGETS[listener]}
    assert answered - UNDECLARED == set()
    assert {each for each in UNDECLARED - answered if each[1] in targets} == set()


def is_declared(app: FastAPI, method: bytes, path: bytes) -> bool:
    """Return whether a route of the application matches method and path."""
    scope = {"type": "http", "method": method.decode(), "path": path.decode("latin-1"), "root_path": "", "headers": []}
    return any(route.matches(scope)[0] is Match.FULL for route in app.routes)


async def test_a_missing_route_is_noticed(doors: Doors) -> None:
    """Requests that the application answers through its routes count as declared, and others do not."""
    assert is_declared(doors.app, b"HEAD", b"/livez")
    assert is_declared(doors.app, b"GET", b"/2016-01-01/meta-data/region-id")
    assert not is_declared(doors.app, b"POST", b"/livez")
    assert not is_declared(doors.app, b"GET", b"/status/")


async def status_at(doors: Doors, listener: str, target: bytes, method: bytes, headers: Headers, peer: Peer) -> int:
    """Return the status of the bounded protocol's answer."""
    return (await doors.protocol(listener, method, target, headers, peer))[0][0]


def test_the_openapi_document_is_committed() -> None:
    """docs/openapi.json is the document of the application (`python docs/reference/generate.py` writes it)."""
    committed = json.loads((Path(__file__).parents[1] / "docs" / "openapi.json").read_text())

    assert committed == openapi_document(__version__)


async def test_pages_have_no_foreign_assets(doors: Doors) -> None:
    """Status and documentation pages load nothing from elsewhere and contain no script."""
    for path in (b"/status", b"/docs"):
        status, headers, body = await doors.asgi("ops", b"GET", path, (HOST,), PEERS["unknown"])

        assert (status, dict(headers)["content-type"]) == (200, "text/html; charset=utf-8")
        assert not any(word in body.lower() for word in (b"<script", b"src=", b"//cdn", b"@import", b"url("))
