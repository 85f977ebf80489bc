"""
The emulator's own path, for tests and demos that drive it over HTTP:

    /_emulator/faults    GET what waits, POST a fault, DELETE all
    /_emulator/world     GET without secrets, PUT a whole new one
    /_emulator/journal   GET the last calls without secrets, DELETE them
    /_emulator/rotate    POST: sign with a new key; with ?retire=true the previous one leaves the JWKS at once
    /_emulator/token     POST: a token of the second issuer for a workload; the body's members replace claims
    /_emulator/certificate  POST: a certificate of the workload CA with its key; ?name= is its common name
"""

import json
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Protocol
from urllib.parse import urlsplit

from starlette.requests import Request

from .crypto.pki import IssuedCertificate
from .http.faults import Fault, Faults
from .http.journal import Journal
from .http.response import Answer, json_answer
from .world.codec import decode, encode
from .world.world import CLIENT_ID, World

PREFIX = "/_emulator/"
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Administered(Protocol):
    """What can be looked at and changed."""

    world: World
    faults: Faults
    journal: Journal
    totals: Counter[str]

    def rotate(self, *, retire: bool = False) -> None:
        """Sign with a new key."""

    def workload_token(self, **claims: Any) -> str:
        """A token of the second issuer."""

    def issue_certificate(self, common_name: str = ...) -> IssuedCertificate:
        """A certificate of the workload CA."""


async def answer(emulator: Administered, request: Request) -> Answer:
    """The answer to an admin request; never one to a browser."""
    if complaint := _denial(request):
        return json_answer({"error": complaint}, 403)
    path = request.scope["path"].removeprefix(PREFIX)
    action = _ACTIONS.get((request.method, path))
    if action is None:
        known = ", ".join(f"{method} {PREFIX}{name}" for method, name in _ACTIONS)
        return json_answer({"error": f"unknown here; known: {known}"}, 404)
    try:
        return await action(emulator, request)
    except ValueError as error:
        return json_answer({"error": str(error)}, 400)


def _denial(request: Request) -> str | None:
    # Any web page can post to loopback, but its browser then says where the page is from.
    if "origin" in request.headers:
        return "not for browsers: send no Origin"
    # DNS rebinding makes the page's own name resolve to loopback; the Host still is that name.
    if _host(request.headers.get("host", "")) not in _LOOPBACK:
        return "only for loopback: use 127.0.0.1 as the host"
    return None


def _host(header: str) -> str | None:
    try:
        return urlsplit(f"//{header}").hostname
    except ValueError:
        return None


async def _list_faults(emulator: Administered, request: Request) -> Answer:
    return json_answer(encode(list(emulator.faults)))


async def _add_fault(emulator: Administered, request: Request) -> Answer:
    emulator.faults.add(decode(Fault, json.loads(await request.body())))
    return await _list_faults(emulator, request)


async def _clear_faults(emulator: Administered, request: Request) -> Answer:
    emulator.faults.clear()
    return await _list_faults(emulator, request)


async def _show_world(emulator: Administered, request: Request) -> Answer:
    return json_answer(encode(emulator.world.redacted()))


async def _replace_world(emulator: Administered, request: Request) -> Answer:
    emulator.world = World.from_json(await request.body())
    return await _show_world(emulator, request)


async def _show_journal(emulator: Administered, request: Request) -> Answer:
    calls = [call.redacted() for call in emulator.journal]
    return json_answer({"totals": dict(emulator.totals), "calls": calls})


async def _clear_journal(emulator: Administered, request: Request) -> Answer:
    emulator.journal.clear()
    return await _show_journal(emulator, request)


async def _rotate(emulator: Administered, request: Request) -> Answer:
    emulator.rotate(retire=request.query_params.get("retire") == "true")
    return json_answer({})


async def _workload_token(emulator: Administered, request: Request) -> Answer:
    claims = json.loads(await request.body() or b"{}")
    if not isinstance(claims, dict):
        raise ValueError("the body must be a JSON object of claims")
    return json_answer({"token": emulator.workload_token(**claims)})


async def _certificate(emulator: Administered, request: Request) -> Answer:
    issued = emulator.issue_certificate(request.query_params.get("name", CLIENT_ID))
    return json_answer(encode(issued))


_ACTIONS: dict[tuple[str, str], Callable[[Administered, Request], Awaitable[Answer]]] = {
    ("GET", "faults"): _list_faults,
    ("POST", "faults"): _add_fault,
    ("DELETE", "faults"): _clear_faults,
    ("GET", "world"): _show_world,
    ("PUT", "world"): _replace_world,
    ("GET", "journal"): _show_journal,
    ("DELETE", "journal"): _clear_journal,
    ("POST", "rotate"): _rotate,
    ("POST", "token"): _workload_token,
    ("POST", "certificate"): _certificate,
}
