"""The requests of one ECS metadata client, run against a server: token, role list, role."""

from __future__ import annotations

from ..models.client import ECS, EXCLUDED, UNKNOWN, EcsClient, TokenUse, Verdict
from ..models.json_parser import json_object
from ..models.parse_result import ParseResult, UnmetNeed, UnmetNeeds
from ..models.transport import Transport
from ..wire.budget import BudgetExhausted
from ..wire.header_text import describe_misfit, fits_header
from ..wire.metadata import METADATA_HOST, ROLES_PATH, TOKEN_HEADER, TOKEN_PATH, TTL_HEADER
from ..wire.request import Request
from ..wire.response import Outcome, Response
from ..wire.url import HttpUrl
from .client_steps import error_needs, read_credentials, send_and_follow, verdict_on
from .context import Context


def run_ecs_client(client: EcsClient, context: Context) -> Verdict:
    """Send the client's requests to the metadata paths and return the verdict on the client."""
    if context.tokens_required and client.token is None:
        remark = "the server requires metadata tokens; the client sends none"
        return Verdict(client.name, ECS, EXCLUDED, remarks=(remark,))
    requests = _Requests(client, context)
    try:
        role, unmet = requests.role_name()
        result = requests.credentials(role) if role is not None else ParseResult()
        missing = requests.missing_values()
    except BudgetExhausted as error:
        return Verdict(client.name, ECS, UNKNOWN, remarks=(str(error),))
    unmet = (*requests.unmet, *unmet, *result.unmet, *error_needs(client, context), *_error_code(client, context))
    if missing and not unmet:
        remark = f"needs {' and '.join(missing)}, which the server does not serve"
        return Verdict(client.name, ECS, EXCLUDED, remarks=(remark,))
    return verdict_on(client, ECS, tuple(dict.fromkeys(unmet)), context)


class _Requests:
    """The requests of one client. `unmet` has the needs that the token path does not meet."""

    def __init__(self, client: EcsClient, context: Context) -> None:
        self._client = client
        self._send = context.send
        self._now = context.now
        self._configured_role = context.role
        self._token: str | None = None
        self.unmet: UnmetNeeds = ()

    def role_name(self) -> tuple[str | None, UnmetNeeds]:
        """Return the role's name as the client reads it, or None and the unmet needs."""
        if not self._client.lists_roles:
            return self._configured_role, ()
        outcome = self._get(f"{ROLES_PATH}/{self._client.query}", "list")
        if self.unmet:
            return None, ()
        body, unmet = Transport().receive(outcome)
        return (None, unmet) if unmet else _role_name(body.decode("latin-1"), self._client.role_name)

    def credentials(self, role: str) -> ParseResult:
        """Return what the client reads at the role's path."""
        outcome = self._get(f"{self._client.role_prefix}{role}{self._client.query}", "role")
        return ParseResult() if self.unmet else read_credentials(self._client, outcome, self._now)

    def missing_values(self) -> tuple[str, ...]:
        """Return the paths of the values that the client needs and the server does not serve."""
        outcomes = {path: self._get(path, "value") for path in self._client.needs_values}
        return tuple(path for path, found in outcomes.items() if not isinstance(found, Response) or found.status != 200)

    def _get(self, target: str, purpose: str) -> Outcome:
        use = self._client.token
        token = self._current_token(use, purpose) if use is not None else None
        token_line = (f"{TOKEN_HEADER}: {token}",) if token is not None else ()
        outcome = self._send_get(target, (*self._client.lines, *token_line))
        failed = isinstance(outcome, Response) and outcome.status != 200
        if use is not None and use.retries_without and token is not None and failed:
            return self._send_get(target, self._client.lines)
        return outcome

    def _send_get(self, target: str, lines: tuple[str, ...]) -> Outcome:
        url = HttpUrl(METADATA_HOST, 80, target)
        return send_and_follow(Request(target, METADATA_HOST, lines), self._client.transport, url, self._send)

    def _current_token(self, use: TokenUse, purpose: str) -> str | None:
        if self._token is None or use.per_request:
            lines = (*self._client.lines, f"{TTL_HEADER}: {use.ttl}", *use.lines)
            outcome = self._send(Request(TOKEN_PATH + use.query, METADATA_HOST, lines, "PUT"), purpose)
            self._token, unmet = _read_token(use, outcome)
            self.unmet = (*self.unmet, *unmet)
        return self._token


def _read_token(use: TokenUse, outcome: Outcome) -> tuple[str | None, UnmetNeeds]:
    """Return the token that the client sends after this response to its PUT (None: no token), and the unmet needs."""
    if not isinstance(outcome, Response):
        return None, (UnmetNeed("a response on the token path", outcome.reason),)
    status = outcome.status
    if status in use.stalling_statuses:
        seen = f"status {status}; the client sleeps up to 63 s"
        return None, (UnmetNeed("no status 500 or 503 on the token path", seen),)
    if status != 200 and not use.ignores_status:
        tolerated = use.tolerated_statuses is None or status in use.tolerated_statuses
        return None, () if tolerated else (UnmetNeed("status 200, 403 or 404 on the token path", f"status {status}"),)
    text = outcome.body.decode("latin-1")
    token = text.strip() if use.strips else text
    if fits_header(token):
        return token, ()
    if use.skips_invalid:
        return None, ()
    seen = describe_misfit(text) if status == 200 else f"the body of a response with status {status}"
    return None, (UnmetNeed("a token of one line of visible ASCII", seen),)


def _role_name(text: str, reading: str) -> tuple[str | None, UnmetNeeds]:
    name = {"raw": text, "stripped": text.strip(), "first line": text.partition("\n")[0].strip()}[reading]
    if not fits_header(name):
        return None, (UnmetNeed("a role list of one name without a line end", describe_misfit(text)),)
    return name, ()


def _error_code(client: EcsClient, context: Context) -> UnmetNeeds:
    """Find the case in which an error has no Code and the client needs one."""
    if not client.needs_error_code or context.error is None:
        return ()
    members = json_object(context.error.body) or {}
    has_code = isinstance(members.get("Code"), str)
    return () if has_code else (UnmetNeed("Code as a string in errors", "no such Code; the client panics"),)
