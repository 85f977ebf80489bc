"""The outcome of each request to the credentials and metadata listeners: response, labels, refusals and waits."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from app.core.errors import NoCredentials
from app.serve.access import Guard
from app.serve.callers import AllowedCallers
from app.serve.ecs_metadata import MetadataValues, SessionTokens
from app.serve.handlers.credential_endpoint import CredentialEndpoint
from app.serve.handlers.credentials import CredentialHandler, ListenerRules
from app.serve.handlers.outcome import NEVER, Grant, LabelledResponse, Pending
from app.serve.peers.peer import UNKNOWN_PEER, Peer, PeerCredentials, PeerProcess, no_process
from app.serve.rate_limit import RateLimit
from app.serve.request import Request
from app.serve.responses import NOT_FOUND, THROTTLED

from ..clock import Clock
from .sources import FakeSession, FakeSource, session

HOST = (b"host", b"127.0.0.1:7117")
ROLES = b"/latest/meta-data/ram/security-credentials"
PATH_TOKEN = b"path-token-0123456789"
PATH_TOKEN_HEADER = b"x-aliyun-parameters-secrets-token"
TTL_HEADER = b"x-aliyun-ecs-metadata-token-ttl-seconds"
TOKEN_HEADER = b"x-aliyun-ecs-metadata-token"
OWNER = AllowedCallers(frozenset({1001}), frozenset())
GROUP = AllowedCallers(frozenset({1001}), frozenset({500}))


def user(uid: int, *groups: int) -> Peer:
    """Return a peer of a user whose process is known to be in `groups`, if there are any."""
    peer = Peer(lambda: PeerCredentials(uid, 1), no_process)
    peer.process = PeerProcess(groups=frozenset(groups)) if groups else None
    return peer


@pytest.fixture
def rules(clock: Clock) -> ListenerRules:
    """The rules of a listener without a path token and without required session tokens."""
    return ListenerRules(
        guard=Guard(allowed_hosts=("127.0.0.1",), refuse_forwarded=True, refuse_browsers=True),
        sessions=SessionTokens(b"k" * 32, clock.time),
        sessions_required=False,
        path_token=None,
        now=clock.time,
        values=MetadataValues({"region-id": "cn-hangzhou"}),
    )


@pytest.fixture
def sources() -> dict[str, FakeSource]:
    """Three profiles with a session each; `default` is not the first one."""
    return {name: FakeSource(name, FakeSession(session(n))) for n, name in enumerate(("p2", "default", "p3"))}


@pytest.fixture
def endpoints(sources: dict[str, FakeSource], clock: Clock) -> dict[str, CredentialEndpoint]:
    """The endpoints of `sources`, for every caller."""
    return {name: CredentialEndpoint(source, clock.clocks) for name, source in sources.items()}


Endpoints = dict[str, CredentialEndpoint]


@pytest.fixture
def handler(endpoints: Endpoints, rules: ListenerRules) -> CredentialHandler:
    """A handler with these rules."""
    return CredentialHandler(endpoints, rules)


def outcome(
    at: CredentialHandler,
    target: bytes,
    *headers: tuple[bytes, bytes],
    method: bytes = b"GET",
    peer: Peer = UNKNOWN_PEER,
    waited: bool = False,
) -> LabelledResponse | Pending:
    """Return what the handler makes of a request."""
    return at.decide(Request(method, target, [HOST, *headers], peer), waited=waited)


def answered(
    at: CredentialHandler, target: bytes, *headers: tuple[bytes, bytes], method: bytes = b"GET"
) -> LabelledResponse:
    """Return the answer to a request that does not wait."""
    found = outcome(at, target, *headers, method=method)
    assert isinstance(found, LabelledResponse)
    return found


# --- labels of the metrics --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "target", "status", "label", "profile"),
    [
        (b"GET", b"/credentials", 200, "credentials", "default"),
        (b"GET", b"/credentials/p2", 200, "credentials", "p2"),
        (b"POST", b"/credentials", 405, "credentials", ""),
        (b"GET", b"/credentials/nobody", 404, "other", ""),
        (b"GET", b"/credentialsX/default", 404, "other", ""),
        (b"GET", b"/default", 404, "other", ""),
        (b"GET", b"/nowhere", 404, "other", ""),
        (b"GET", b"/healthz", 200, "healthz", ""),
        (b"POST", b"/healthz", 405, "healthz", ""),
        (b"GET", ROLES, 200, "ecs_list", ""),
        (b"GET", ROLES + b"/", 200, "ecs_list", ""),
        (b"POST", ROLES, 405, "ecs_list", ""),
        (b"GET", ROLES + b"/p2", 200, "ecs_role", "p2"),
        (b"GET", ROLES + b"/p2/", 200, "ecs_role", "p2"),
        (b"HEAD", ROLES + b"/p2", 405, "ecs_role", ""),
        (b"GET", ROLES + b"/nobody", 404, "other", ""),
        (b"GET", ROLES + b"xp2", 404, "other", ""),
        (b"GET", b"/latest/meta-data/region-id", 200, "ecs_value", ""),
        (b"PUT", b"/latest/meta-data/region-id", 405, "ecs_value", ""),
        (b"GET", b"/latest/meta-data/zone-id", 404, "other", ""),
        (b"GET", b"/latest/nowhere", 404, "other", ""),
        (b"PUT", b"/latest/api/token", 400, "ecs_token", ""),
        (b"GET", b"/latest/api/token", 405, "ecs_token", ""),
    ],
)
def test_labels(
    handler: CredentialHandler, method: bytes, target: bytes, status: int, label: str, profile: str
) -> None:
    """The label names the endpoint; the profile is that of the credentials in the response, and empty without any."""
    answer = answered(handler, target, method=method)

    assert (answer.response.status, answer.label, answer.profile) == (status, label, profile)
    assert answer.denied == ""
    if status == 405:
        allowed = {"ecs_token": b"PUT", "healthz": b"GET, HEAD"}.get(label, b"GET")
        assert answer.response.headers[-1] == (b"Allow", allowed)


@pytest.mark.parametrize(
    ("headers", "label", "reason"),
    [
        ((), "bad_request", "Host"),
        ((HOST, (b"via", b"")), "denied", "Forwarded"),
        (((b"host", b"evil.example"),), "denied", "Host"),
    ],
)
def test_labels_of_refusals(
    handler: CredentialHandler, headers: tuple[tuple[bytes, bytes], ...], label: str, reason: str
) -> None:
    """A malformed request and a refused one have labels of their own, and the reason."""
    answer = handler.decide(Request(b"GET", b"/credentials", list(headers)))

    assert isinstance(answer, LabelledResponse)
    assert (answer.label, answer.profile, answer.denied) == (label, "", reason)


def test_healthz_body(handler: CredentialHandler) -> None:
    """The liveness probe of the credentials listener answers a constant document."""
    assert answered(handler, b"/healthz").response.body == b'{"status":"ok"}'


def test_metadata_only_label(endpoints: Endpoints, rules: ListenerRules) -> None:
    """The metadata listener counts other paths as `other`; a listener serves all paths unless told otherwise."""
    at = CredentialHandler(endpoints, replace(rules, metadata_only=True))

    assert answered(at, b"/credentials") == LabelledResponse(NOT_FOUND, "other")
    assert not rules.metadata_only


# --- credentials and waits --------------------------------------------------------------------------------------------


def test_first_use_is_reported_once(handler: CredentialHandler) -> None:
    """The answer with credentials says whether it is below the horizon, and once per user whose session it is."""
    first, second = answered(handler, b"/credentials"), answered(handler, ROLES + b"/default")

    assert (first.below_horizon, first.first_use) == (False, session(1))
    assert (second.below_horizon, second.first_use) == (False, None)
    assert answered(handler, b"/healthz").below_horizon is None


@pytest.mark.parametrize(
    ("target", "patience", "label"), [(b"/credentials", 4.0, "credentials"), (ROLES + b"/default", 0.8, "ecs_role")]
)
def test_cold_start(
    handler: CredentialHandler,
    endpoints: Endpoints,
    sources: dict[str, FakeSource],
    target: bytes,
    patience: float,
    label: str,
) -> None:
    """A request without credentials waits once, for the patience of its clients, and then gets 503."""
    sources["default"].held, sources["default"].error = None, NoCredentials("refused", retry_after=9)

    assert outcome(handler, target) == Pending(endpoints["default"].refreshed, patience, cold=True)
    answer = outcome(handler, target, waited=True)
    assert isinstance(answer, LabelledResponse)
    assert (answer.response.status, answer.label, answer.profile) == (503, label, "default")
    assert (answer.below_horizon, answer.first_use) == (None, None)


def test_a_first_request_has_not_waited(handler: CredentialHandler, sources: dict[str, FakeSource]) -> None:
    """A request that is not said to have waited waits, also by a grant that is remembered."""
    sources["default"].held = None
    request = Request(b"GET", b"/credentials", [HOST])
    grant = handler.resolve(request)
    assert isinstance(grant, Grant)

    assert isinstance(handler.decide(request), Pending)
    assert isinstance(handler.redeem(grant, UNKNOWN_PEER), Pending)


def test_other_methods_do_not_wait(handler: CredentialHandler, sources: dict[str, FakeSource]) -> None:
    """A method that is not allowed is refused at once, also without credentials."""
    sources["default"].held = None

    assert answered(handler, b"/credentials", method=b"HEAD").response.status == 405


# --- callers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("peer", "status", "denied"),
    [(user(1001), 200, ""), (user(1002), 403, "Caller"), (UNKNOWN_PEER, 403, "CallerUnknown")],
    ids=["allowed", "other", "unknown"],
)
@pytest.mark.parametrize("target", [b"/credentials", ROLES + b"/default"])
def test_callers(
    handler: CredentialHandler, endpoints: Endpoints, target: bytes, peer: Peer, status: int, denied: str
) -> None:
    """A profile with a caller rule is served to the callers that it names; a refusal names the profile."""
    endpoints["default"].callers = OWNER
    answer = outcome(handler, target, peer=peer)

    assert isinstance(answer, LabelledResponse)
    assert (answer.response.status, answer.denied, answer.profile) == (status, denied, "default")
    assert answer.label == ("denied" if denied else answer.label)
    assert outcome(handler, b"/credentials/p2", peer=peer).response.status == 200  # type: ignore[union-attr]


@pytest.mark.parametrize("target", [b"/credentials/p2", ROLES + b"/p2", ROLES])
def test_groups_are_attested_first(handler: CredentialHandler, endpoints: Endpoints, target: bytes) -> None:
    """A caller whose groups decide waits until they are known, however long that takes; this is no cold start."""
    for endpoint in endpoints.values():
        endpoint.callers = GROUP
    peer = user(1002)

    assert outcome(handler, target, peer=peer) == Pending(peer.attest_process, None, cold=False)
    for groups, status in (((500,), 200), ((501,), 403)):
        answer = outcome(handler, target, peer=user(1002, *groups))
        assert isinstance(answer, LabelledResponse)
        assert answer.response.status == status


@pytest.mark.parametrize(
    ("restricted", "peer", "expected"),
    [
        ((), user(1002), b"default"),
        (("default",), user(1001), b"default"),
        (("default",), user(1002), b"p2"),
        (("default", "p2"), user(1002), b"p3"),
    ],
)
def test_role_list(
    handler: CredentialHandler, endpoints: Endpoints, restricted: tuple[str, ...], peer: Peer, expected: bytes
) -> None:
    """The role list names `default`, or the first profile of the configuration that the caller may have."""
    for name in restricted:
        endpoints[name].callers = OWNER
    answer = outcome(handler, ROLES, peer=peer)

    assert isinstance(answer, LabelledResponse)
    assert (answer.response.body, answer.label) == (expected, "ecs_list")
    assert answer.response.headers[0] == (b"Content-Type", b"text/plain; charset=utf-8")


def test_role_list_without_any_role(handler: CredentialHandler, endpoints: Endpoints) -> None:
    """A caller that may have no profile is refused for the reason of the first one."""
    for endpoint in endpoints.values():
        endpoint.callers = OWNER
    endpoints["p2"].callers = endpoints["p3"].callers = AllowedCallers(frozenset(), frozenset({500}))
    answer = outcome(handler, ROLES, peer=user(1002, 501))
    unknown = outcome(handler, ROLES)

    assert isinstance(answer, LabelledResponse)
    assert isinstance(unknown, LabelledResponse)
    assert (answer.denied, answer.label) == ("Caller", "denied")
    assert (
        json.loads(answer.response.body)["Message"] == "this profile is restricted to other users (callers) (IDS-507)"
    )
    assert unknown.denied == "CallerUnknown"


def test_role_list_without_profiles(rules: ListenerRules) -> None:
    """Without any profile the role list is refused."""
    answer = answered(CredentialHandler({}, rules), ROLES)

    assert (answer.response.status, answer.denied) == (403, "Caller")
    assert json.loads(answer.response.body) == {
        "Code": "AccessDenied.Caller",
        "Message": "there is no profile for this user (callers) (IDS-507)",
    }


def test_roles_go_before_values(endpoints: Endpoints, rules: ListenerRules) -> None:
    """A configured value at the path of the roles does not hide them."""
    values = MetadataValues({"ram/security-credentials": "x", "ram/security-credentials/p2": "x"})
    at = CredentialHandler(endpoints, replace(rules, values=values))

    assert answered(at, ROLES).label == "ecs_list"
    assert answered(at, ROLES + b"/p2").label == "ecs_role"


# --- rate -------------------------------------------------------------------------------------------------------------


def test_throttle(endpoints: Endpoints, rules: ListenerRules, clock: Clock) -> None:
    """A caller above its rate gets 429, other callers and the liveness probe do not."""
    at = CredentialHandler(endpoints, replace(rules, rate=RateLimit(2, clock.time)))
    first, second = user(1001), user(1002)

    assert [at.throttle(b"/credentials", first) for _ in range(3)] == [
        None,
        None,
        LabelledResponse(THROTTLED, "throttled", denied="Rate"),
    ]
    assert at.throttle(b"/healthz", first) is None
    assert at.throttle(b"/credentials", second) is None


def test_no_throttle(handler: CredentialHandler) -> None:
    """Without a configured rate no request is throttled."""
    assert {handler.throttle(b"/credentials", UNKNOWN_PEER) for _ in range(100)} == {None}


# --- tokens -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "valid"), [(0.0, True), (59.9, True), (60.0, False), (61.0, False)])
def test_a_grant_ends_with_its_token(
    endpoints: Endpoints, rules: ListenerRules, clock: Clock, seconds: float, valid: bool
) -> None:
    """A grant by a required session token is valid until the token expires."""
    headers = [HOST, (TOKEN_HEADER, rules.sessions.issue(60))]
    handler = CredentialHandler(endpoints, replace(rules, sessions_required=True))
    grant = handler.resolve(Request(b"GET", ROLES + b"/p2", headers))
    assert isinstance(grant, Grant)
    assert grant.not_after == clock.time() + 60
    clock.skip(seconds)

    assert handler.valid(grant) is valid


@pytest.mark.parametrize("target", [b"/credentials", ROLES + b"/p2"])
def test_a_grant_without_a_token_does_not_end(handler: CredentialHandler, clock: Clock, target: bytes) -> None:
    """A grant without a session token is valid for ever: the credentials expire by themselves."""
    grant = handler.resolve(Request(b"GET", target, [HOST]))
    assert isinstance(grant, Grant)
    clock.skip(1e9)

    assert grant.not_after == NEVER == float("inf")
    assert handler.valid(grant)


@pytest.mark.parametrize("ttl", [(), ((TTL_HEADER, b"0"),), ((TTL_HEADER, b"21601"),)])
def test_bad_ttl(handler: CredentialHandler, ttl: tuple[tuple[bytes, bytes], ...]) -> None:
    """A missing or invalid TTL is 400 with the range."""
    response = answered(handler, b"/latest/api/token", *ttl, method=b"PUT").response

    assert response.status == 400
    assert json.loads(response.body) == {
        "Code": "BadRequest",
        "Message": "X-aliyun-ecs-metadata-token-ttl-seconds must be given once, 1 to 21600 (IDS-526)",
    }


def test_issued_token(handler: CredentialHandler, rules: ListenerRules, clock: Clock) -> None:
    """A PUT with a TTL returns a token of that life as text."""
    response = answered(handler, b"/latest/api/token", (TTL_HEADER, b"60"), method=b"PUT").response

    assert response.status == 200
    assert response.headers[0] == (b"Content-Type", b"text/plain; charset=utf-8")
    assert rules.sessions.expiry(response.body) == clock.time() + 60


@pytest.mark.parametrize("target", [ROLES, ROLES + b"/p2", b"/latest/meta-data/region-id"])
def test_bad_session_token(endpoints: Endpoints, rules: ListenerRules, target: bytes) -> None:
    """A wrong session token is 401 with the reason, on every ECS path, where tokens are required."""
    answer = answered(
        CredentialHandler(endpoints, replace(rules, sessions_required=True)), target, (TOKEN_HEADER, b"wrong")
    )

    assert (answer.response.status, answer.denied, answer.label) == (401, "MetadataToken", "denied")
    assert json.loads(answer.response.body) == {
        "Code": "AccessDenied.MetadataToken",
        "Message": "the metadata token is missing, wrong or expired (IDS-521)",
    }


@pytest.mark.parametrize(
    ("target", "values", "denied"),
    [
        (b"/credentials", [], True),
        (b"/credentials", [PATH_TOKEN], False),
        (b"/credentials", [PATH_TOKEN, PATH_TOKEN], True),
        (b"/" + PATH_TOKEN + b"/credentials", [], False),
        (ROLES, [], True),
        (ROLES, [PATH_TOKEN], False),
        (ROLES, [b"wrong"], True),
    ],
)
def test_path_token(
    endpoints: Endpoints, rules: ListenerRules, target: bytes, values: list[bytes], denied: bool
) -> None:
    """The path token must begin the path, or be in its header, given once."""
    at = CredentialHandler(endpoints, replace(rules, path_token=PATH_TOKEN))
    answer = answered(at, target, *((PATH_TOKEN_HEADER, value) for value in values))

    assert (answer.response.status, answer.denied) == ((403, "PathToken") if denied else (200, ""))
    if denied:
        assert json.loads(answer.response.body) == {
            "Code": "AccessDenied.PathToken",
            "Message": "the URL must begin with the path token (IDS-509)",
        }


def test_metadata_listener_needs_no_path_token(endpoints: Endpoints, rules: ListenerRules) -> None:
    """The metadata listener has its own tokens: a path token is not required there."""
    at = CredentialHandler(endpoints, replace(rules, path_token=PATH_TOKEN, metadata_only=True))

    assert answered(at, ROLES).response.body == b"default"
    assert answered(at, b"/" + PATH_TOKEN + b"/credentials") == LabelledResponse(NOT_FOUND, "other")


def test_rules_show_no_secret(rules: ListenerRules) -> None:
    """The rules in a traceback do not show the path token."""
    assert repr(replace(rules, path_token=PATH_TOKEN)) == "ListenerRules(metadata_only=False)"
