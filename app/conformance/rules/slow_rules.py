"""The rules whose check takes seconds. They are checked on request only."""

from __future__ import annotations

from collections.abc import Callable

from ..probe.endpoint import EcsEndpoint, UriEndpoint
from ..wire.metadata import TOKEN_HEADER
from ..wire.request import Request
from .body_checks import require_response, succeeded
from .ecs_rules import EcsRule, require_mandatory_tokens
from .rule import NotApplicable, Problems
from .uri_rules import UriRule

MAX_IDLE = 10.0
"""Seconds: credentials-go leaves one idle connection open per fetch."""

MIN_TTL = 1
"""Seconds: the TTL of the shortest token."""


def idle(idle_seconds: Callable[[bytes, float], float | None]) -> UriRule:
    """
    The rule for idle connections.

    `idle_seconds(request, limit)` returns the seconds until the server closes the connection; None: not within `limit`.
    """

    def check(endpoint: UriEndpoint) -> Problems:
        require_response(endpoint.get())
        request = Request(endpoint.url.request_target, endpoint.url.authority, ("Connection: keep-alive",))
        still_open = idle_seconds(request.raw, MAX_IDLE) is None
        return [f"a connection is open after {MAX_IDLE:g} idle seconds"] if still_open else []

    return UriRule("17", "idle", f"an idle connection is closed within {MAX_IDLE:g} s",
                   "close it a little after Keep-Alive: credentials-go leaves one open per fetch", check)  # fmt: skip


def expired_token(sleep: Callable[[float], None]) -> EcsRule:
    """The rule for expired tokens. Its check waits until a token has expired."""

    def check(endpoint: EcsEndpoint) -> Problems:
        require_mandatory_tokens(endpoint)
        token = require_response(endpoint.put_token(str(MIN_TTL), purpose="to expire")).body.decode("latin-1")
        sleep(MIN_TTL + 1.5)
        if not token.isascii() or not token.isprintable():
            raise NotApplicable("a token that fits no header")
        outcome = endpoint.get(endpoint.role_path, f"{TOKEN_HEADER}: {token}", without_token=True)
        return ["a token is accepted after its expiry"] if succeeded(outcome) else []

    return EcsRule(
        "9", "expired token", "an expired token is rejected where one is required", "respond with 401", check
    )
