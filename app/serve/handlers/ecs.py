"""The ECS metadata paths: session tokens, the role list, roles, and configured metadata values."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..access import Denial, deny
from ..ecs_metadata import TOKEN_HEADER, TTL_HEADER, MetadataValues, SessionTokens, ttl_of
from ..request import Request
from ..responses import NOT_FOUND, TEXT, UNSUITABLE, Response, error, method_not_allowed, response
from .credential_endpoint import CredentialEndpoint
from .outcome import Grant, LabelledResponse, Pending, denied

ECS_PATIENCE = 0.8
"""Seconds that a cold start may hold an ECS client: most SDKs give up after 1."""

PREFIX = b"/latest/"
_DATED = re.compile(rb"/[0-9]{4}-[0-9]{2}-[0-9]{2}/")
"""A version in the path: cloud-init requests /2016-01-01/meta-data/. Every version is answered like `latest`."""

ROLES = b"/latest/meta-data/ram/security-credentials"
TOKEN_PATH = b"/latest/api/token"

_GET_ONLY = method_not_allowed(b"GET")
_PUT_ONLY = method_not_allowed(b"PUT")
_BAD_TTL = error(
    400, "BadRequest", "X-aliyun-ecs-metadata-token-ttl-seconds must be given once, 1 to 21600", UNSUITABLE
)
_NO_PROFILE = deny("Caller", "there is no profile for this user (callers)")
_BAD_SESSION = deny("MetadataToken", "the metadata token is missing, wrong or expired", 401)


def metadata_path(path: bytes) -> bytes | None:
    """Return `path` below `/latest/` if it is a path of the metadata service, else None."""
    if path[: len(PREFIX)].lower() == PREFIX:
        return path
    dated = _DATED.match(path)
    return PREFIX + path[dated.end() :] if dated is not None else None


class EcsRoutes:
    """The ECS routes of one listener. Role names are profile names."""

    def __init__(
        self,
        endpoints: Mapping[str, CredentialEndpoint],
        sessions: SessionTokens,
        values: MetadataValues,
        *,
        sessions_required: bool,
    ) -> None:
        self._endpoints = {name.encode(): endpoint for name, endpoint in endpoints.items()}
        # The role list names the first of these that the caller may have.
        self._in_order = sorted(endpoints.values(), key=lambda endpoint: endpoint.source.profile != "default")
        self._sessions = sessions
        self._values = values
        self._sessions_required = sessions_required

    def replace(self, endpoint: CredentialEndpoint) -> None:
        """Serve a profile that is known already from another endpoint."""
        name = endpoint.source.profile.encode()
        self._in_order[self._in_order.index(self._endpoints[name])] = endpoint
        self._endpoints[name] = endpoint

    def resolve(self, path: bytes, request: Request) -> LabelledResponse | Pending | Grant:
        """Return the grant for a role, else the path's answer or a wait. `path`: the target without its query."""
        if path == TOKEN_PATH:
            return LabelledResponse(self._issue_token(request), "ecs_token")
        # Only the prefix ignores case: ossutil, aliyungo and JindoSDK write /Ram/.
        is_role = path[: len(ROLES)].lower() == ROLES
        value = None if is_role else self._values.response(path)
        if not is_role and value is None:
            return LabelledResponse(NOT_FOUND, "other")
        not_after = self._session_expiry(request)
        if isinstance(not_after, Denial):
            return denied(not_after)
        if value is not None:
            return LabelledResponse(value if request.method == b"GET" else _GET_ONLY, "ecs_value")
        rest = path[len(ROLES) :]
        if rest in (b"", b"/"):
            return self._role_list(request)
        endpoint = self._endpoints.get(rest[1:].removesuffix(b"/")) if rest.startswith(b"/") else None
        if endpoint is None:
            return LabelledResponse(NOT_FOUND, "other")
        return Grant(endpoint, "ecs_role", ECS_PATIENCE, request.method == b"GET", not_after)

    def _issue_token(self, request: Request) -> Response:
        if request.method != b"PUT":
            return _PUT_ONLY
        ttl = ttl_of(request.values(TTL_HEADER))
        return _BAD_TTL if ttl is None else response(200, self._sessions.issue(ttl), TEXT)

    def _session_expiry(self, request: Request) -> float | Denial:
        """Return when the session token of the request expires, infinity if none is needed, or the refusal."""
        # SSRF: an attacker can make a server send a GET, but not a PUT. A dozen SDKs cannot send a PUT either.
        if not self._sessions_required:
            return float(
                "inf"
            )  # any token is ignored: velero and ack-ram-tool keep one across restarts of this process
        tokens = request.values(TOKEN_HEADER)
        expiry = self._sessions.expiry(tokens[0]) if len(tokens) == 1 else None
        return expiry if expiry is not None else _BAD_SESSION

    def _role_list(self, request: Request) -> LabelledResponse | Pending:
        if request.method != b"GET":
            return LabelledResponse(_GET_ONLY, "ecs_list")
        first_denial: Denial | None = None
        for endpoint in self._in_order:
            if endpoint.callers is not None:
                if endpoint.callers.needs_process(request.peer):
                    return Pending(request.peer.attest_process, None, cold=False)
                denial = endpoint.callers.judge(request.peer)
                if denial is not None:
                    first_denial = first_denial or denial
                    continue
            return LabelledResponse(response(200, endpoint.source.profile.encode(), TEXT), "ecs_list")
        return denied(first_denial or _NO_PROFILE)
