"""The routes of the operations listener: probes, metrics, status. No response contains a credential.

Probes, scrapes and status requests never end, so they are answered without FastAPI, which costs 16 MiB. The
application makes only the documentation of the routes. A request that may not see it is refused before FastAPI is
imported.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from ... import __version__
from ...core.addresses import is_loopback
from ...core.values import Status
from ..access import Guard, deny
from ..request import Request
from ..responses import NOT_FOUND, Response, document, method_not_allowed, response
from ..source import Source
from .gate import Gate, missing
from .snapshot import Snapshot

STATUS, STATUS_PAGE, ERRORS_PAGE, METRICS = b"/status.json", b"/status", b"/errors", b"/metrics"

PAGES = frozenset({b"/docs", b"/openapi.json"})
"""The paths that the FastAPI application answers."""

_REDIRECTS = {
    path + b"/": response(308, b"", b"text/plain", ((b"Location", path),))
    for path in (STATUS_PAGE, ERRORS_PAGE, b"/docs")
}
"""Redirects from the pages for people with a final slash, which people type. The pages' relative links need the path
without it."""

_READ_ONLY = method_not_allowed(b"GET, HEAD")
_REMOTE = deny("Remote", "this page is for callers on loopback, such as kubectl port-forward").response


class OpsHandler:
    """
    The answers of the operations listener.

    `scrape` and `status` build the bodies of `/metrics` and `/status.json`. `status_page` builds the body of `/status`;
    with a true argument, the page reloads itself. Concurrent requests share each response, also that of `/errors`.
    `page_guard` returns the access rules of pages and status, which refuse proxies and rebound web pages.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        gate: Gate,
        dead_loops: Callable[[], list[str]],
        scrape: Callable[[], Awaitable[Response]],
        status: Callable[[], Awaitable[Response]],
        status_page: Callable[[bool], Awaitable[Response]],
        page_guard: Callable[[], Guard],
    ) -> None:
        self._sources = sources
        self._gate = gate
        self._dead_loops = dead_loops
        self._metrics = Snapshot(scrape)
        self._status = Snapshot(status)
        self._status_pages = {refresh: Snapshot(status_page) for refresh in (True, False)}
        self._errors = Snapshot(_errors_page)
        self._page_guard = page_guard
        self._probes: dict[bytes, Callable[[], Response]] = {
            b"/livez": self._live,
            b"/healthz": self._live,
            b"/readyz": self._ready,
            b"/startupz": self._started,
        }

    @property
    def paths(self) -> frozenset[bytes]:
        """The paths of the operations listener."""
        return PAGES | {STATUS, STATUS_PAGE, ERRORS_PAGE, METRICS, *self._probes}

    def __call__(self, request: Request) -> Response | Coroutine[Any, Any, Response] | None:
        """Return the response, a coroutine that builds it, or None for a page of the application."""
        path = request.path
        is_page = path in PAGES or path in _REDIRECTS or path in (STATUS, STATUS_PAGE, ERRORS_PAGE)
        refused = self._refuse(request) if is_page else None
        if refused is not None:
            return refused
        if path not in self._probes and path != METRICS and not is_page:
            return NOT_FOUND
        if request.method not in (b"GET", b"HEAD"):
            return _READ_ONLY
        if is_page:
            return self._page(request)
        return self._metrics.response() if path == METRICS else self._probes[path]()

    def _page(self, request: Request) -> Response | Coroutine[Any, Any, Response] | None:
        if request.path == STATUS:
            return self._status.response()
        if request.path in _REDIRECTS:
            return _REDIRECTS[request.path]
        if request.path in PAGES:
            return None
        if request.path == ERRORS_PAGE:
            return self._errors.response()
        refresh = b"refresh=on" in request.target.partition(b"?")[2].split(b"&")
        return self._status_pages[refresh].response(refresh)

    def _refuse(self, request: Request) -> Response | None:
        # The status names roles and errors. It is meant for the machine's owner, not for the pod network.
        if not is_loopback(request.peer.host):
            return _REMOTE
        denial = self._page_guard().judge(request)
        return denial.response if denial is not None else None

    def _live(self) -> Response:
        dead = self._dead_loops()
        if not dead:
            return document(200, {"status": "ok"})
        return document(503, {"status": "dead", "loops": dead, "error_code": "IDS-901"})

    def _ready(self) -> Response:
        return _verdict("not ready", missing(self._sources))

    def _started(self) -> Response:
        return _verdict("starting", [] if self._gate.open() else missing(self._sources))


async def _errors_page() -> Response:
    """Return the errors index as a page. A thread makes it: it has 130 entries, whose texts are loaded for it."""

    def made() -> Response:
        from .. import errors_page, status_page

        return response(200, errors_page.render(__version__).encode(), status_page.HTML, status_page.HEADERS)

    return await asyncio.to_thread(made)


def _verdict(status: str, lacking: list[Status]) -> Response:
    if not lacking:
        return document(200, {"status": "ok"})
    return document(503, {"status": status, "profiles": [_lacking(item) for item in lacking]})


def _lacking(item: Status) -> dict[str, str]:
    """Return why a profile has no credentials. Before the first error, the code is IDS-501."""
    reason = item.last_error or "no answer from the cloud yet"
    error_code = item.last_error_code or "IDS-501"
    return {"profile": item.profile, "state": item.state, "reason": reason, "error_code": error_code}
