"""The steps that clients of both protocols share: follow a redirect, read the credentials, and the verdict on that."""

from __future__ import annotations

import re
from urllib.parse import urljoin, urlsplit

from ..models.client import FAILS, WORKS, EcsClient, UriClient, Verdict
from ..models.json_parser import json_object
from ..models.parse_result import SESSION_KEYS, ParseResult, UnmetNeed, UnmetNeeds
from ..models.refresh_rule import lifetime_remark
from ..models.transport import Transport
from ..wire.request import Request
from ..wire.response import Outcome, Response
from ..wire.url import HttpUrl
from .context import Context, Send


def send_and_follow(request: Request, transport: Transport, url: HttpUrl, send: Send) -> Outcome:
    """
    Send the request, and follow one redirect if the client follows redirects.

    A redirect to another server is not followed, so the check sends no request to a server that it was not given.
    """
    outcome = send(request, "")
    if not isinstance(outcome, Response) or not outcome.is_redirect or not transport.follows_redirects:
        return outcome
    target = _target_on_same_server(outcome.header("location"), url)
    return outcome if target is None else send(Request(target, request.host, request.lines), "")


def _target_on_same_server(location: str | None, url: HttpUrl) -> str | None:
    """Return the request target of a redirect. None if it leads to another server or fits no request line."""
    try:
        parts = urlsplit(urljoin(url.origin + url.path, location or ""))
    except ValueError:
        return None
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    same_server = location is not None and f"{parts.scheme}://{parts.netloc}" == url.origin
    return target if same_server and re.fullmatch(r"/[!-~]*", target) else None


def read_credentials(client: UriClient | EcsClient, outcome: Outcome, now: float) -> ParseResult:
    """Pass a response through the client's HTTP library and parser."""
    body, unmet = client.transport.receive(outcome)
    if unmet:
        return ParseResult(unmet)
    result = client.parse(body, now)
    confused = _confused_members(body, result)
    return ParseResult((*result.unmet, *confused), result.keys, result.expires_at, result.issued_at)


def _confused_members(body: bytes, result: ParseResult) -> UnmetNeeds:
    """Find the case in which the parser accepts the body but reads a key from another member."""
    members = json_object(body) or {}
    sent = tuple(members.get(name) for name in SESSION_KEYS)
    if result.unmet or not all(isinstance(value, str) for value in sent) or sent == result.keys:
        return ()
    return (UnmetNeed("no member that the client takes for another", "it reads other values than the members have"),)


def error_needs(client: UriClient | EcsClient, context: Context) -> UnmetNeeds:
    """Find the case in which a client that ignores the status accepts the body of an error as credentials."""
    error = context.error
    if not client.ignores_status or error is None or client.parse(error.body, context.now).unmet:
        return ()
    return (
        UnmetNeed(
            "errors whose body holds no credentials", f"status {error.status} with a body that the client accepts"
        ),
    )


def verdict_on(client: UriClient | EcsClient, protocol: str, unmet: UnmetNeeds, context: Context) -> Verdict:
    """The verdict on a client whose requests were sent."""
    lifetime = ""
    if client.refresh is not None and context.seconds_left is not None and not unmet:
        lifetime = lifetime_remark(client.refresh, context.seconds_left, context.session_seconds)
    remarks = tuple(text for text in (client.remark, lifetime) if text)
    return Verdict(client.name, protocol, FAILS if unmet else WORKS, unmet, remarks)
