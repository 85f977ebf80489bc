"""The rules for the ECS metadata service: metadata tokens, role list, roles."""

from __future__ import annotations

from ..probe.endpoint import MISSING, EcsEndpoint
from ..wire.header_text import TOO_LONG
from ..wire.metadata import ROLES_PATH, TOKEN_HEADER, TTL_HEADER
from ..wire.response import Response
from .body_checks import (
    credential_body_problems,
    error_body_problems,
    header_text_problems,
    require_response,
    status_problems,
    succeeded,
)
from .rule import NotApplicable, Problems, Rule

RESPONSE_SECONDS = 1.0
"""The timeout of most SDKs."""

SHORT_BODY = 1024
"""Bytes that a response to an unknown path may have."""

TTLS = ("1", "180", "3600", "18000", "21600")
"""Seconds: both ends of the range, and the values that clients were seen to request."""

TOKEN_STATUSES = (200, 403, 404)
"""Statuses of the token path with which every client works: a token, or no tokens at this server."""


def _metadata_host(endpoint: EcsEndpoint) -> Problems:
    return status_problems(endpoint.get_role(), "Host 100.100.100.200")


def _put_forms(endpoint: EcsEndpoint) -> Problems:
    _require_tokens(endpoint)
    forms = {
        "PUT without Content-Length": endpoint.put_token(content_length=False),
        "PUT with Content-Length: 0": endpoint.put_token(),
        "the header's name in lower case": endpoint.put_token(ttl_header=TTL_HEADER.lower()),
        "the header's name in upper case": endpoint.put_token(ttl_header=TTL_HEADER.upper()),
    }
    return [problem for what, outcome in forms.items() for problem in status_problems(outcome, what)]


def _ttls(endpoint: EcsEndpoint) -> Problems:
    _require_tokens(endpoint)
    outcomes = {ttl: endpoint.put_token(ttl) for ttl in TTLS}
    responses = endpoint.sender.responses()
    throttled = sum(request.method == "PUT" and response.status == 429 for request, response in responses)
    return [
        *(problem for ttl, outcome in outcomes.items() for problem in status_problems(outcome, f"TTL {ttl}")),
        *([f"token requests that were throttled: {throttled}"] if throttled else []),
    ]


def _token_path(endpoint: EcsEndpoint) -> Problems:
    return status_problems(endpoint.put_token(), "PUT", TOKEN_STATUSES)


def _mode(endpoint: EcsEndpoint) -> Problems:
    """Accept both modes, with and without required tokens. A server that works in neither is wrong."""
    outcome = endpoint.get(endpoint.role_path, without_token=True)
    if endpoint.token is not None or succeeded(outcome):
        return []
    return status_problems(outcome, "GET without a token, and no success with one")


def _wrong_token(endpoint: EcsEndpoint) -> Problems:
    require_mandatory_tokens(endpoint)
    outcome = endpoint.get(endpoint.role_path, f"{TOKEN_HEADER}: {MISSING}", without_token=True)
    return ["a wrong token gets status 200"] if succeeded(outcome) else []


def _role_paths(endpoint: EcsEndpoint) -> Problems:
    paths = {
        "the role": endpoint.role_path,
        "the role with an empty query": f"{endpoint.role_path}?",
        "Ram": f"/latest/meta-data/Ram/security-credentials/{endpoint.role}",
        "Ram and Security": f"/latest/meta-data/Ram/Security-credentials/{endpoint.role}",
        "the list": ROLES_PATH,
        "the list with a slash": f"{ROLES_PATH}/",
        "the list with slash and empty query": f"{ROLES_PATH}/?",
    }
    return [problem for what, path in paths.items() for problem in status_problems(endpoint.get(path), what)]


def _wrong_role(endpoint: EcsEndpoint) -> Problems:
    return status_problems(endpoint.get_missing_role(), "an unknown role", (404,))


def _errors(endpoint: EcsEndpoint) -> Problems:
    outcome = endpoint.get_missing_role()
    if not isinstance(outcome, Response) or outcome.status < 400:
        raise NotApplicable("an unknown role gets no error")
    return error_body_problems(outcome)


def _in_time(endpoint: EcsEndpoint) -> Problems:
    response = require_response(endpoint.get_role())
    return [f"{response.total_seconds:.1f} s"] if response.total_seconds >= RESPONSE_SECONDS else []


def _unknown_path(endpoint: EcsEndpoint) -> Problems:
    outcome = endpoint.get(f"/latest/meta-data/{MISSING}")
    long = isinstance(outcome, Response) and len(outcome.body) > SHORT_BODY
    return [
        *status_problems(outcome, "an unknown path", (404,)),
        *([f"an unknown path: a body of more than {SHORT_BODY} bytes"] if long else []),
    ]


def _external_dns(endpoint: EcsEndpoint) -> Problems:
    names = ("region-id", "vpc-id")
    return [problem for name in names for problem in status_problems(endpoint.get(f"/latest/meta-data/{name}"), name)]


def _forwarded(endpoint: EcsEndpoint) -> Problems:
    outcome = endpoint.get(endpoint.role_path, "X-Forwarded-For: 203.0.113.7")
    return ["X-Forwarded-For gets status 200"] if succeeded(outcome) else []


def _role_body(endpoint: EcsEndpoint) -> Problems:
    return credential_body_problems(require_response(endpoint.get_role()).body, endpoint.now)


def _list_body(endpoint: EcsEndpoint) -> Problems:
    return header_text_problems(require_response(endpoint.get_list()))


def _token_body(endpoint: EcsEndpoint) -> Problems:
    return header_text_problems(require_response(endpoint.put_token()))


def _require_tokens(endpoint: EcsEndpoint) -> None:
    outcome = endpoint.put_token()
    if isinstance(outcome, Response) and outcome.status != 200:
        raise NotApplicable(f"the server has no tokens: status {outcome.status}")


def require_mandatory_tokens(endpoint: EcsEndpoint) -> None:
    """Raise NotApplicable where a GET succeeds without a token: no token matters there, whatever it is."""
    _require_tokens(endpoint)
    if succeeded(endpoint.get(endpoint.role_path, without_token=True)):
        raise NotApplicable("tokens are optional")


EcsRule = Rule[EcsEndpoint]
ECS_RULES: tuple[EcsRule, ...] = (
    EcsRule("2", "host", "Host 100.100.100.200 is accepted", "allow it in addition to the loopback names",
        _metadata_host),
    EcsRule("5", "PUT", "PUT works without Content-Length and with Content-Length: 0, header names are in any case",
        "accept PUT without Content-Length, as Java sends it; compare header names without case", _put_forms),
    EcsRule("6", "TTL", "TTLs from 1 to 21600 s are accepted, and token requests are not throttled",
        "make tokens stateless: clients request a new one for each GET", _ttls),
    EcsRule("7", "token path", "the token path responds with 200, or with 404 or 403 if tokens are disabled",
        "respond with 404: ack-ram-tool tolerates only 403 and 404, ossfs v1 sleeps on 500 and 503", _token_path),
    EcsRule("8", "mode", "roles are served without a token or, if tokens are required, with one",
        "make tokens optional: a dozen clients never send one", _mode),
    EcsRule("9", "wrong token", "a wrong token is rejected where one is required", "respond with 401", _wrong_token),
    EcsRule("10", "paths", "the role path ignores case and an empty query; the list works with and without a slash",
        "match the prefix without case: ossutil and JindoSDK write Ram", _role_paths),
    EcsRule("11", "wrong role", "an unknown role gets 404", "respond with 404", _wrong_role),
    EcsRule("12", "in time", f"the role's response is complete within {RESPONSE_SECONDS:g} s", "respond from memory",
        _in_time),
    EcsRule("22", "unknown path", "an unknown path gets 404 with a short body", "respond with 404", _unknown_path),
    EcsRule("22", "external-dns", "region-id and vpc-id are served", "serve both, or do not use external-dns",
        _external_dns, advice=True),
    EcsRule("23", "forwarded", "a request that came through a proxy is rejected",
        "reject X-Forwarded-*: no client sends it", _forwarded, advice=True),
    EcsRule("body", "role", "one line, seven members, all strings, times in whole seconds with Z, not expired",
        "send the same body as for the credentials URI", _role_body),
    EcsRule("body", "list", "one role name without a line end",
        "send the name only: with a line end, Python requests NAME%0A", _list_body),
    EcsRule("body", "token", f"one line of visible ASCII without a line end, shorter than {TOO_LONG} bytes",
        "send the token only: clients copy it into a header unchanged", _token_body),
    EcsRule("body", "errors", "an error has a JSON body: Code is a string, and there are no keys",
        'send {"Code":"…","Message":"…"}', _errors),
)  # fmt: skip
