"""The rules for the credentials URI. Each check sends the requests that it needs and returns what is wrong."""

from __future__ import annotations

from ..probe.endpoint import UriEndpoint
from ..wire.response import Outcome, Response
from .body_checks import (
    credential_body_problems,
    error_body_problems,
    require_response,
    session_times,
    status_problems,
    succeeded,
)
from .rule import NotApplicable, Problems, Rule

RESPONSE_SECONDS = 5.0
"""The timeout of Node and C#."""

QUIET_SECONDS_LEFT = 1860.0
"""Seconds left below which a client with a margin of 1800 + 0..60 (ack-ram-tool) fetches on every call."""

TOO_SHORT_SESSION = 900.0
"""Seconds of a session that five SDKs fetch on every call from its first second."""


def _direct(endpoint: UriEndpoint) -> Problems:
    return [
        *status_problems(endpoint.get(), "the URL itself"),
        *status_problems(endpoint.get_with_other_slash(), "with the trailing slash changed"),
        *status_problems(endpoint.get_with_query(""), "with an empty query"),
        *status_problems(endpoint.get_with_query("conformance=1&blank="), "with a query"),
    ]


def _host_forms(endpoint: UriEndpoint) -> Problems:
    url = endpoint.url
    hosts = {"Host with the port": url.authority, "Host without the port": url.bracketed_host}
    if url.is_loopback:
        loopback = {"localhost": "localhost", "127.0.0.1": "127.0.0.1", "[::1]": "[::1]"}
        hosts |= {f"Host {name}": host for name, host in loopback.items()}
        hosts["Host localhost with the port"] = f"localhost:{url.port}"
    return [problem for what, host in hosts.items() for problem in status_problems(endpoint.get(host=host), what)]


def _rebinding(endpoint: UriEndpoint) -> Problems:
    return ["a foreign Host gets status 200"] if succeeded(endpoint.get(host="rebound.example")) else []


def _no_negotiation(endpoint: UriEndpoint) -> Problems:
    accepts = ("Accept: application/xml", "Accept: text/html", "Accept-Encoding: identity")
    outcomes = {line: endpoint.get(line) for line in accepts}
    return [
        *(problem for line, outcome in outcomes.items() for problem in status_problems(outcome, line)),
        *(f"{line}: a compressed body" for line, outcome in outcomes.items() if _encoded(outcome)),
        *(["a compressed body without Accept-Encoding"] if _encoded(endpoint.get()) else []),
    ]


def _never_compressed(endpoint: UriEndpoint) -> Problems:
    return ["Accept-Encoding: gzip: a compressed body"] if _encoded(endpoint.get("Accept-Encoding: gzip")) else []


def _encoded(outcome: Outcome) -> bool:
    return isinstance(outcome, Response) and bool(outcome.content_encoding)


def _length_and_type(endpoint: UriEndpoint) -> Problems:
    """Check every response to a rule or to a client, except those to HEAD."""
    responses = [(request, response) for request, response in endpoint.sender.responses() if request.method != "HEAD"]
    counts = {
        "a chunked body": sum(response.framing == "chunked" for _, response in responses),
        "no Content-Length": sum(response.framing == "close" for _, response in responses),
        "no Content-Type": sum(response.header("content-type") is None for _, response in responses),
        "bytes after the body": sum(response.trailing_bytes > 0 for _, response in responses),
        "a success status other than 200": sum(200 < response.status < 300 for _, response in responses),
    }
    return [f"{what} in {count} of {len(responses)} responses" for what, count in counts.items() if count]


def _in_time(endpoint: UriEndpoint) -> Problems:
    response = require_response(endpoint.get())
    return [f"{response.total_seconds:.1f} s"] if response.total_seconds >= RESPONSE_SECONDS else []


def _literal_address(endpoint: UriEndpoint) -> Problems:
    url = endpoint.url
    if url.host == "localhost":
        return ["localhost: ecctl rejects it"]
    if ":" in url.host:
        return ["an IPv6 address: Python loses its brackets"]
    return [] if url.has_ip_literal and url.is_loopback else ["not a loopback address: ecctl rejects it"]


def _no_header_needed(endpoint: UriEndpoint) -> Problems:
    outcome = endpoint.get()
    denied = isinstance(outcome, Response) and outcome.status in (401, 403, 407)
    return ["a plain GET is denied"] if denied else []


def _forwarded(endpoint: UriEndpoint) -> Problems:
    outcomes = {
        "X-Forwarded-For": endpoint.get("X-Forwarded-For: 203.0.113.7"),
        "an absolute-form target": endpoint.get_absolute_form(),
    }
    return [f"{what} gets status 200" for what, outcome in outcomes.items() if succeeded(outcome)]


def _methods(endpoint: UriEndpoint) -> Problems:
    head, post = endpoint.get(method="HEAD"), endpoint.get("Content-Length: 0", method="POST")
    body = ["HEAD: a response with a body"] if isinstance(head, Response) and head.trailing_bytes else []
    return [*status_problems(head, "HEAD", (200, 405)), *body, *status_problems(post, "POST", (405,))]


def _exact_body(endpoint: UriEndpoint) -> Problems:
    return credential_body_problems(require_response(endpoint.get()).body, endpoint.now)


def _errors(endpoint: UriEndpoint) -> Problems:
    outcome = endpoint.get_missing()
    if not isinstance(outcome, Response):
        return [f"an unknown path: {outcome.reason}"]
    if outcome.status < 400:
        return [f"an unknown path: status {outcome.status}"]
    return error_body_problems(outcome)


def _no_store(endpoint: UriEndpoint) -> Problems:
    cache_control = require_response(endpoint.get()).header("cache-control") or ""
    return [] if "no-store" in cache_control else ["no Cache-Control: no-store"]


def _session_lifetime(endpoint: UriEndpoint) -> Problems:
    seconds_left, session_seconds = session_times(endpoint.get(), endpoint.now)
    if seconds_left is None:
        raise NotApplicable("no Expiration in the format that every client accepts")
    if session_seconds is not None and session_seconds <= TOO_SHORT_SESSION:
        return [f"sessions of {session_seconds:.0f} s: Python, Java, Node, PHP and C# always fetch on every call"]
    return [f"{seconds_left:.0f} s are left"] if seconds_left < QUIET_SECONDS_LEFT else []


UriRule = Rule[UriEndpoint]
URI_RULES: tuple[UriRule, ...] = (
    UriRule("1", "direct", "the URL works with and without a trailing slash and with any query, without a redirect",
        "disable redirects for trailing slashes; ignore the query", _direct),
    UriRule("2", "host", "Host is accepted with and without the port, and with every loopback name",
        "compare the host part only: Python sends no port", _host_forms),
    UriRule("2", "rebinding", "a foreign Host is rejected",
        "respond with 403: in a DNS rebinding attack, a web page makes its name resolve to 127.0.0.1 and reads the"
        " response", _rebinding, advice=True),
    UriRule("3", "no negotiation", "no Accept header changes the response, and it is compressed only on request",
        "ignore Accept; disable compression", _no_negotiation),
    UriRule("3", "never compressed", "the response is not compressed, not even on request",
        "disable compression", _never_compressed, advice=True),
    UriRule("12", "in time", f"the response is complete within {RESPONSE_SECONDS:g} s",
        "respond from memory; without credentials respond with 503 within 4 s", _in_time),
    UriRule("15", "literal address", "the host in the URL is 127.0.0.1",
        "publish http://127.0.0.1:PORT/…", _literal_address),
    UriRule("16", "no header needed", "a plain GET is not denied",
        "no client can send a secret header: put the secret into a path segment", _no_header_needed),
    UriRule("21", "methods", "HEAD gets 405 or no body; other methods get 405", "accept GET only", _methods),
    UriRule("23", "forwarded", "a request that came through a proxy is rejected",
        "reject X-Forwarded-*, Forwarded, Via and absolute-form targets: no client sends them", _forwarded,
        advice=True),
    UriRule("body", "credentials", "one line, seven members, all strings, times in whole seconds with Z, not expired",
        "send Code, StatusCode, AccessKeyId, AccessKeySecret, SecurityToken, Expiration, LastUpdated and no others",
        _exact_body),
    UriRule("body", "errors", "an unknown path gets an error with a JSON body: Code is a string, and there are no keys",
        'send a status of 400 or higher and {"Code":"…","Message":"…"}', _errors),
    UriRule("body", "no-store", "the response must not be cached", "send Cache-Control: no-store", _no_store,
        advice=True),
    UriRule("life", "life",
        f"the session is longer than {TOO_SHORT_SESSION:g} s and has at least {QUIET_SECONDS_LEFT:g} s left",
        "request sessions of 3600 s or more, and renew them before less than 1860 s are left", _session_lifetime,
        advice=True),
)  # fmt: skip

LENGTH_AND_TYPE = UriRule(
    "4", "length and type",
    "every response has Content-Length and Content-Type, none is chunked, and every success is 200",
    "send both headers with every response, errors too: ossfs2 needs Content-Length to read, C# needs Content-Type to"
    " decode", _length_and_type,
)  # fmt: skip
"""Evaluated last, over every response of the server."""
