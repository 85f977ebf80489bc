"""The routes of the credentials and metadata listeners: from a request's head to credentials or a refusal.

A decision has two halves. `resolve` depends on the bytes of the request alone; `redeem` depends on the caller and the
time. The decision memo remembers the result of `resolve` for repeated requests, so `resolve` must use neither the
caller nor the time.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import field

from ...core.record import Record
from ...core.values import Now
from ...system.secrets import same
from ..access import Guard, deny
from ..ecs_metadata import MetadataValues, SessionTokens
from ..peers.peer import Peer
from ..rate_limit import RateLimit
from ..request import Request
from ..responses import NOT_FOUND, THROTTLED, document, method_not_allowed
from .credential_endpoint import CredentialEndpoint
from .ecs import EcsRoutes, metadata_path
from .outcome import Grant, LabelledResponse, Pending, denied

URI_PATIENCE = 4.0
"""Seconds that a cold start may hold a URI client. The shortest time limit of these clients is Node's: 5 s."""

HEALTHZ = b"/healthz"
PATH_TOKEN_HEADER = b"x-aliyun-parameters-secrets-token"

_GET_ONLY = method_not_allowed(b"GET")
_READ_ONLY = method_not_allowed(b"GET, HEAD")
_HEALTHY = document(200, {"status": "ok"})
_NO_PATH_TOKEN = deny("PathToken", "the URL must begin with the path token")


class ListenerRules(Record, frozen=True):
    """
    The access rules of one listener.

    `metadata_only`: the listener at the metadata address, which serves the ECS paths alone.
    """

    guard: Guard
    sessions: SessionTokens
    sessions_required: bool
    path_token: bytes | None
    now: Now
    """The clock of `sessions`."""
    rate: RateLimit | None = None
    values: MetadataValues = field(default_factory=lambda: MetadataValues({}))
    metadata_only: bool = False

    def __repr__(self) -> str:
        return f"ListenerRules(metadata_only={self.metadata_only})"  # the path token is a secret


class CredentialHandler:
    """Answers the requests of one credentials or metadata listener. Uses no network, no disk and no lock."""

    def __init__(self, endpoints: Mapping[str, CredentialEndpoint], rules: ListenerRules) -> None:
        self._endpoints = {name.encode(): endpoint for name, endpoint in endpoints.items()}
        self._rules = rules
        self._ecs = EcsRoutes(endpoints, rules.sessions, rules.values, sessions_required=rules.sessions_required)

    def replace(self, endpoint: CredentialEndpoint) -> None:
        """Use another endpoint for its profile, which this handler serves already."""
        self._endpoints[endpoint.source.profile.encode()] = endpoint
        self._ecs.replace(endpoint)

    def throttle(self, target: bytes, peer: Peer) -> LabelledResponse | None:
        """Return the refusal of a request above the caller's rate. Call this once per request, before any work."""
        # Starvation: one user may send requests without end. The liveness probe has no limit.
        if self._rules.rate is None or target == HEALTHZ or self._rules.rate.allows(peer):
            return None
        return LabelledResponse(THROTTLED, "throttled", denied="Rate")

    def decide(self, request: Request, *, waited: bool = False) -> LabelledResponse | Pending:
        """Return the answer, or the event to wait for. `waited`: the wait for the first credentials is over."""
        found = self.resolve(request)
        return self.redeem(found, request.peer, waited=waited) if isinstance(found, Grant) else found

    def resolve(self, request: Request) -> LabelledResponse | Pending | Grant:
        """
        Return the grant that the request's bytes ask for. A request for anything else gets its answer or a wait.

        A Grant depends on nothing but the bytes of the request and this handler.
        """
        denial = self._rules.guard.judge(request)
        if denial is not None:
            return denied(denial)
        path = request.path
        below_latest = metadata_path(path)
        if below_latest is not None:
            return self._metadata(below_latest, request)
        if self._rules.metadata_only:
            return LabelledResponse(NOT_FOUND, "other")
        if path == HEALTHZ:
            return LabelledResponse(_HEALTHY if request.method in (b"GET", b"HEAD") else _READ_ONLY, "healthz")
        return self._credentials(path, request)

    def redeem(self, grant: Grant, peer: Peer, *, waited: bool = False) -> LabelledResponse | Pending:
        """Return the credentials of a grant, if the caller may have them now."""
        endpoint = grant.endpoint
        profile = endpoint.source.profile
        if endpoint.callers is not None:
            if endpoint.callers.needs_process(peer):
                return Pending(peer.attest_process, None, cold=False)
            denial = endpoint.callers.judge(peer)
            if denial is not None:
                return denied(denial, profile)
        if not grant.is_get:
            return LabelledResponse(_GET_ONLY, grant.label)
        found = endpoint.current()
        if found is not None:
            response, below_horizon = found
            if grant.label == "aws":
                response = endpoint.aws_response()
            return LabelledResponse(response, grant.label, profile, "", below_horizon, endpoint.first_use_by(peer.uid))
        if not waited:
            return Pending(endpoint.refreshed, grant.patience, cold=True)
        return LabelledResponse(endpoint.unavailable(), grant.label, profile)

    def valid(self, grant: Grant) -> bool:
        """Return whether the metadata session token behind a remembered grant, if any, is still valid."""
        return self._rules.now() < grant.not_after

    def _credentials(self, path: bytes, request: Request) -> LabelledResponse | Grant:
        if self._rules.path_token is not None:
            # SSRF: an attacker who makes the application request a URL does not know the path token.
            first, _, rest = path[1:].partition(b"/")
            if same(first, self._rules.path_token):
                path = b"/" + rest
            elif not self._has_header_token(request):
                return denied(_NO_PATH_TOKEN)
        name, is_aws = _profile_name(path)
        endpoint = self._endpoints.get(name)
        if endpoint is None:
            return LabelledResponse(NOT_FOUND, "other")
        label = "aws" if is_aws else "credentials"
        return Grant(endpoint, label, URI_PATIENCE, request.method == b"GET")

    def _metadata(self, path: bytes, request: Request) -> LabelledResponse | Pending | Grant:
        needs_token = self._rules.path_token is not None and not self._rules.metadata_only
        if needs_token and not self._has_header_token(request):
            return denied(_NO_PATH_TOKEN)
        return self._ecs.resolve(path, request)

    def _has_header_token(self, request: Request) -> bool:
        values = request.values(PATH_TOKEN_HEADER)
        return self._rules.path_token is not None and len(values) == 1 and same(values[0], self._rules.path_token)


def _profile_name(path: bytes) -> tuple[bytes, bool]:
    """Return the profile that a path names (empty: none), and whether the path asks for the AWS document."""
    path = path.removesuffix(b"/")  # raw bytes; one final slash is accepted
    if path == b"/credentials":
        return b"default", False
    if path.startswith(b"/credentials/"):
        return path.removeprefix(b"/credentials/"), False
    return (path.removeprefix(b"/aws/") if path.startswith(b"/aws/") else b""), True
