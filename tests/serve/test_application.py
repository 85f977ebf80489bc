"""The FastAPI application over handlers that only record: every route hands over the raw request."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest

from app.serve import pages
from app.serve.application import Handlers, create_app, openapi_document
from app.serve.peers.peer import UNKNOWN_PEER, Peer, PeerCredentials, no_process
from app.serve.request import Request
from app.serve.responses import NOT_FOUND, Response, document, response

Outcome = Response | Coroutine[Any, Any, Response] | None


@dataclass
class Recorded:
    """Four handlers that record the requests; each answers with the name of its listener, or with `answer`."""

    answer: Callable[[str], Outcome] = lambda listener: response(200, listener.encode(), b"text/x", ((b"X-A", b"1"),))
    requests: list[tuple[str, Request]] = field(default_factory=list)

    def __post_init__(self) -> None:
        handlers = Handlers(*(self._handle(name) for name in LISTENERS))
        self.app = create_app(handlers, version="1.2")

    def _handle(self, listener: str) -> Callable[[Request], Outcome]:
        def handle(request: Request) -> Outcome:
            self.requests.append((listener, request))
            return self.answer(listener)

        return handle

    async def call(self, method: str, target: str, **changes: Any) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of the response to a request; `changes` are members of its scope."""
        path, _, query = target.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [],
            "client": ("192.0.2.7", 1),
            "server": ("127.0.0.1", 7117),
            **changes,
        }
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(dict(message))

        await self.app({name: value for name, value in scope.items() if value != "absent"}, receive, send)
        headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:])


LISTENERS = ("credentials", "metadata", "ops", "admin")

ROUTES = {
    "credentials": [
        ("GET", "/credentials"),
        ("GET", "/credentials/p2"),
        ("GET", "/path-token/credentials"),
        ("GET", "/path-token/credentials/p2"),
    ],
    "metadata": [
        ("PUT", "/latest/api/token"),
        ("GET", "/latest/meta-data/ram/security-credentials/"),
        ("GET", "/latest/meta-data/ram/security-credentials/p2"),
        ("GET", "/latest/meta-data/region-id"),
        ("GET", "/latest/meta-data/tags/instance/a"),
        ("GET", "/latest/dynamic/instance-identity/document"),
    ],
    "ops": [
        ("GET", "/livez"),
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/startupz"),
        ("GET", "/metrics"),
        ("GET", "/status.json"),
        ("GET", "/status"),
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
    ],
    "admin": [
        ("POST", "/refresh"),
        ("POST", "/refresh/p2"),
        ("POST", "/purge"),
        ("POST", "/purge/p2"),
        ("PUT", "/log-level/debug"),
    ],
}
UNROUTED = [
    ("GET", "/nowhere"),
    ("DELETE", "/credentials"),
    ("GET", "/credentials/"),
    ("GET", "/credentials/a/b/c"),
    ("POST", "/latest/api/token"),
    ("GET", "/redoc"),
    ("GET", "/docs/oauth2-redirect"),
    ("PATCH", "/refresh"),
    ("GET", "/livez/"),
]


@pytest.mark.parametrize(
    ("listener", "method", "path"),
    [
        *((name, *route) for name, routes in ROUTES.items() for route in routes),
        *((name, *route) for name in LISTENERS for route in UNROUTED),
    ],
)
async def test_handlers_answer(listener: str, method: str, path: str) -> None:
    """Every request, with a route or without one, is answered by the handler of its listener."""
    recorded = Recorded()
    peer = Peer(lambda: PeerCredentials(1001, 1), no_process)
    status, headers, body = await recorded.call(
        method, f"{path}?a=b", state={"listener": listener, "peer": peer}, headers=[(b"X-Upper", b"V")]
    )

    assert (status, body) == (200, listener.encode())
    assert headers == {
        "content-type": "text/x",
        "content-length": str(len(listener)),
        "cache-control": "no-store",
        "x-a": "1",
    }
    assert recorded.requests == [
        (listener, Request(method.encode(), f"{path}?a=b".encode(), [(b"x-upper", b"V")], peer))
    ]


async def test_head_has_no_body() -> None:
    """The answer to HEAD has the headers of the handler's response, and no body."""
    status, headers, body = await Recorded().call("HEAD", "/livez", state={"listener": "ops", "peer": UNKNOWN_PEER})

    assert (status, headers["content-length"], body) == (200, "3", b"")


async def test_handlers_may_wait() -> None:
    """A handler that returns a coroutine is waited for."""

    async def later() -> Response:
        return document(503, {})

    assert (await Recorded(lambda _: later()).call("GET", "/credentials"))[0] == 503


async def test_no_answer_is_404() -> None:
    """A route that no handler answers, and that is no page, is 404."""
    status, _, body = await Recorded(lambda _: None).call("GET", "/credentials")

    assert (status, body) == (404, NOT_FOUND.body)


@pytest.mark.parametrize("state", ["absent", {}])
@pytest.mark.parametrize(
    ("path", "listener"),
    [
        ("/credentials", "credentials"),
        ("/latest/meta-data/region-id", "credentials"),
        ("/livez", "ops"),
        ("/readyz", "ops"),
        ("/startupz", "ops"),
        ("/metrics", "ops"),
        ("/status", "ops"),
        ("/status.json", "ops"),
        ("/docs", "ops"),
        ("/openapi.json", "ops"),
        ("/healthz", "credentials"),
        ("/refresh", "admin"),
        ("/refresh/p2", "admin"),
        ("/purge/p2", "admin"),
        ("/log-level/debug", "admin"),
        ("/log-level", "credentials"),
    ],
)
async def test_listener_by_path(path: str, listener: str, state: Any) -> None:
    """On a server that does not tell the listener, the path selects it; the peer is the address and no user."""
    recorded = Recorded()
    await recorded.call("GET", path, state=state)
    (found, request), *others = recorded.requests

    assert (found, others) == (listener, [])
    assert (request.target, request.peer.host, request.peer.credentials) == (path.encode(), "192.0.2.7", None)


async def test_server_without_raw_path_and_address() -> None:
    """A server may leave out the raw path and the client's address; the path is used, and the host is empty."""
    recorded = Recorded()
    await recorded.call("GET", "/credentials?a=b", raw_path="absent", client=None)
    _, request = recorded.requests[0]

    assert (request.target, request.peer.host) == (b"/credentials?a=b", "")


async def test_path_is_not_decoded() -> None:
    """The raw path is handed over, not the decoded one."""
    recorded = Recorded()
    await recorded.call("GET", "/credentials", raw_path=b"/%63redentials")

    assert recorded.requests[0][1].target == b"/%63redentials"


@pytest.mark.parametrize("path", ["/docs", "/openapi.json"])
async def test_pages(path: str) -> None:
    """A page that the handler allows is made by the application, and is not cached."""
    recorded = Recorded(lambda _: None)
    status, headers, body = await recorded.call("GET", path)
    expected = {
        "/docs": pages.docs_page(openapi_document("1.2")),
        "/openapi.json": openapi_document("1.2"),
    }[path]

    assert (status, headers["cache-control"]) == (200, "no-store")
    if isinstance(expected, str):
        assert (headers["content-type"], body.decode()) == ("text/html; charset=utf-8", expected)
    else:
        assert (headers["content-type"], json.loads(body)) == ("application/json", expected)


def test_openapi_document() -> None:
    """The document has the version, every route, no answer that no handler gives, and is made once."""
    app, made = Recorded().app, openapi_document("1.2")

    assert app.openapi() == made
    assert app.openapi() is app.openapi()
    assert made["info"]["version"] == "1.2"
    assert len([method for methods in made["paths"].values() for method in methods]) == 42
    text = json.dumps(made)
    assert [word for word in ("422", "HTTPValidationError", "ValidationError") if word in text] == []


def test_options_are_those_of_fastapi() -> None:
    """Further options go to FastAPI."""
    handlers = Handlers(*([lambda _: None] * 4))  # type: ignore[arg-type]

    assert create_app(handlers, version="1", debug=True).debug is True
