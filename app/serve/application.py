"""The FastAPI application: every route of every listener, typed and documented.

The routes decide nothing. Each route passes the raw request to the handlers that the production listeners call
directly. So FastAPI and the fast path give the same answers (tests/test_equivalence.py). This module makes only the
documentation of the routes.

The application is complete by itself and runs on any ASGI server. A production listener puts its name and the
request's peer into the ASGI state. Without this state, the path selects the listener and the peer is unknown:
profiles with a caller rule and the admin routes then refuse the request.

Redirects from a final slash, a final slash after `/credentials`, and mixed case in the ECS prefix have no declared
route: they are other spellings of declared paths, which FastAPI cannot express. FastAPI's handler of unmatched requests
passes them to the same handlers.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi import Request as HttpRequest
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response as HttpResponse

from ..core.record import Record
from . import pages, routes
from .peers.peer import Peer, no_process
from .request import Request
from .responses import NOT_FOUND, Response

Handle = Callable[[Request], Response | Coroutine[Any, Any, Response] | None]

_NO_STORE = {"Cache-Control": "no-store"}


class Handlers(Record, frozen=True):
    """The handler of each listener."""

    credentials: Handle
    metadata: Handle
    ops: Handle
    admin: Handle


def create_app(handlers: Handlers, *, version: str, **options: Any) -> FastAPI:
    """Return the application. `options` are FastAPI's own, such as `lifespan`."""
    app = FastAPI(
        title="idaas-credential-sidecar",
        version=version,
        summary="Short-lived Alibaba Cloud STS credentials for every process on localhost.",
        description=routes.DESCRIPTION,
        openapi_tags=routes.TAGS,
        # Served below, after the access rules. None also turns off FastAPI's pages, which load foreign scripts.
        openapi_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        **options,
    )

    async def decide(http: HttpRequest) -> Response | None:
        return await _decide(handlers, http, listener)

    async def respond(http: HttpRequest) -> HttpResponse:
        return _http(http, await decide(http) or NOT_FOUND)

    async def respond_unmatched(http: HttpRequest, _error: Exception) -> HttpResponse:
        return await respond(http)

    async def page(http: HttpRequest, make: Callable[[], HttpResponse]) -> HttpResponse:
        decided = await decide(http)
        if decided is not None:
            return _http(http, decided)
        made = make()
        return HttpResponse(b"", made.status_code, made.headers) if http.method == "HEAD" else made

    async def docs_page(http: HttpRequest) -> HttpResponse:
        return await page(http, lambda: HTMLResponse(pages.docs_page(app.openapi()), headers=_NO_STORE))

    async def openapi(http: HttpRequest) -> HttpResponse:
        return await page(http, lambda: JSONResponse(app.openapi(), headers=_NO_STORE))

    def document() -> dict[str, Any]:
        return _without_validation_errors(FastAPI.openapi(app))  # made once

    app.openapi = document  # type: ignore[method-assign]  # as FastAPI documents it
    # The handlers also write the answers for unknown paths and methods.
    app.add_exception_handler(HTTPException, respond_unmatched)
    app.include_router(routes.credentials(respond))
    app.include_router(routes.ecs_metadata(respond))
    ops, admin = routes.ops(respond, docs_page=docs_page, openapi=openapi), routes.admin(respond)
    app.include_router(ops)
    app.include_router(admin)
    ops_paths = _paths(ops) - {"/healthz"}  # the credentials listener has it, too
    orders = tuple(path.partition("{")[0] for path in _paths(admin))

    def listener(path: str) -> str:
        """Return the name of the listener that serves a path, for an ASGI server with one port for all listeners."""
        return "ops" if path.removesuffix("/") in ops_paths else "admin" if path.startswith(orders) else "credentials"

    return app


def openapi_document(version: str) -> dict[str, Any]:
    """Return the OpenAPI document of all listeners, for docs/openapi.json."""

    def unused(_: Request) -> None:
        """Stand in for a handler; an application that only describes its routes receives no request."""

    return create_app(Handlers(unused, unused, unused, unused), version=version).openapi()


def _without_validation_errors(document: dict[str, Any]) -> dict[str, Any]:
    """Remove the 422 answers that FastAPI adds to every route with parameters: the handlers never give one."""
    for methods in document["paths"].values():
        for operation in methods.values():
            operation["responses"].pop("422", None)
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
    return document


def _paths(router: APIRouter) -> frozenset[str]:
    return frozenset(route.path for route in router.routes if isinstance(route, APIRoute))


async def _decide(handlers: Handlers, http: HttpRequest, listener: Callable[[str], str]) -> Response | None:
    """Return the answer of the listener's handler, or None for a page that the application itself builds."""
    state = http.scope.get("state") or {}
    path: bytes = http.scope.get("raw_path") or http.url.path.encode()
    query: bytes = http.scope["query_string"]
    client = http.scope.get("client")
    request = Request(
        http.method.encode(),
        path + b"?" + query if query else path,
        [(name.lower(), value) for name, value in http.scope["headers"]],
        state.get("peer") or Peer(lambda: None, no_process, host=client[0] if client else ""),
    )
    handle: Handle = getattr(handlers, state.get("listener") or listener(path.decode("latin-1")))
    outcome = handle(request)
    return outcome if outcome is None or isinstance(outcome, Response) else await outcome


def _http(http: HttpRequest, response: Response) -> HttpResponse:
    headers = {name.decode(): value.decode() for name, value in response.headers}
    return HttpResponse(b"" if http.method == "HEAD" else response.body, response.status, headers)
