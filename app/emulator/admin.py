"""
The emulator's admin path, for tests and demos that control it over HTTP:

    /_emulator/faults       GET the pending faults, POST a fault, DELETE all; ?name= adds one of NAMED_FAULTS
    /_emulator/world        GET the world without secrets, PUT a complete new one
    /_emulator/journal      GET the last calls without secrets, DELETE them
    /_emulator/rotate       POST: replace the signing key; ?retire=true removes the previous one from the JWKS at once
    /_emulator/token        POST: a token of the second issuer for a workload; members of the body replace claims
    /_emulator/certificate  POST: a certificate of the workload CA with its key; ?name= is its common name
"""

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any, Protocol
from urllib.parse import urlsplit

from .crypto.pki import IssuedCertificate
from .http.faults import NAMED_FAULTS, Fault, Faults
from .http.journal import Journal
from .http.request import Request
from .http.response import Response, json_response
from .world.codec import decode, encode
from .world.world import CLIENT_ID, World

PREFIX = "/_emulator/"
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Administrable(Protocol):
    """The part of the emulator that the admin path reads and changes."""

    world: World
    faults: Faults
    journal: Journal
    totals: Counter[str]

    def rotate(self, *, retire: bool = False) -> None:
        """Replace the signing key."""

    def workload_token(self, **claims: Any) -> str:
        """Return a token of the second issuer."""

    def issue_certificate(self, common_name: str = ...) -> IssuedCertificate:
        """Return a certificate of the workload CA."""


def respond(emulator: Administrable, request: Request) -> Response:
    """Return the response to an admin request. Requests of browsers are refused."""
    if reason := _denial_reason(request):
        return json_response({"error": reason}, 403)
    action = _ACTIONS.get((request.method, request.path.removeprefix(PREFIX)))
    allowed = ", ".join(method for method, name in _ACTIONS if PREFIX + name == request.path)
    if action is None and allowed:
        refused = json_response({"error": f"{request.method} is not allowed here; allowed: {allowed}"}, 405)
        return replace(refused, headers={**refused.headers, "Allow": allowed})
    if action is None:
        known = ", ".join(f"{method} {PREFIX}{name}" for method, name in _ACTIONS)
        return json_response({"error": f"unknown admin request; known: {known}"}, 404)
    try:
        return action(emulator, request)
    except ValueError as error:
        return json_response({"error": str(error)}, 400)


def _denial_reason(request: Request) -> str | None:
    # Any web page can post to loopback, but the browser then sends the page's origin.
    if "origin" in request.headers:
        return "requests of browsers are refused: send no Origin header"
    # DNS rebinding: the page's own name resolves to loopback, and the Host header contains that name.
    if _host(request.headers.get("host", "")) not in _LOOPBACK:
        return "the admin path is for loopback only: use 127.0.0.1 as the host"
    return None


def _host(header: str) -> str | None:
    try:
        return urlsplit(f"//{header}").hostname
    except ValueError:
        return None


def _list_faults(emulator: Administrable, request: Request) -> Response:
    return json_response(encode(list(emulator.faults)))


def _add_fault(emulator: Administrable, request: Request) -> Response:
    members = json.loads(request.body or b"{}")
    name = request.query.get("name")
    if name is None:
        emulator.faults.add(decode(Fault, members))
        return _list_faults(emulator, request)
    if name not in NAMED_FAULTS:
        raise ValueError(f"unknown fault {name!r}; known: {', '.join(NAMED_FAULTS)}")
    # The members of the body replace those of the named fault.
    given = asdict(decode(Fault, members))
    changes = {field: given[field] for field in map(_snake_case, members)} if isinstance(members, dict) else {}
    emulator.faults.add(replace(NAMED_FAULTS[name], **changes))
    return _list_faults(emulator, request)


def _snake_case(key: str) -> str:
    return re.sub(r"[A-Z]", lambda found: f"_{found[0].lower()}", key)


def _clear_faults(emulator: Administrable, request: Request) -> Response:
    emulator.faults.clear()
    return _list_faults(emulator, request)


def _show_world(emulator: Administrable, request: Request) -> Response:
    return json_response(encode(emulator.world.redacted()))


def _replace_world(emulator: Administrable, request: Request) -> Response:
    emulator.world = World.from_json(request.body)
    return _show_world(emulator, request)


def _show_journal(emulator: Administrable, request: Request) -> Response:
    calls = [call.redacted() for call in emulator.journal]
    return json_response({"totals": dict(emulator.totals), "calls": calls})


def _clear_journal(emulator: Administrable, request: Request) -> Response:
    emulator.journal.clear()
    return _show_journal(emulator, request)


def _rotate(emulator: Administrable, request: Request) -> Response:
    emulator.rotate(retire=request.query.get("retire") == "true")
    return json_response({})


def _issue_workload_token(emulator: Administrable, request: Request) -> Response:
    claims = json.loads(request.body or b"{}")
    if not isinstance(claims, dict):
        raise ValueError("the body must be a JSON object of claims")
    return json_response({"token": emulator.workload_token(**claims)})


def _issue_certificate(emulator: Administrable, request: Request) -> Response:
    issued = emulator.issue_certificate(request.query.get("name", CLIENT_ID))
    return json_response(encode(issued))


_ACTIONS: dict[tuple[str, str], Callable[[Administrable, Request], Response]] = {
    ("GET", "faults"): _list_faults,
    ("POST", "faults"): _add_fault,
    ("DELETE", "faults"): _clear_faults,
    ("GET", "world"): _show_world,
    ("PUT", "world"): _replace_world,
    ("GET", "journal"): _show_journal,
    ("DELETE", "journal"): _clear_journal,
    ("POST", "rotate"): _rotate,
    ("POST", "token"): _issue_workload_token,
    ("POST", "certificate"): _issue_certificate,
}
