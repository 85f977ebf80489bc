"""Checks of the sidecar's own handler, correct and with faults."""

from __future__ import annotations

import pytest

from app.conformance.report import to_json, to_text
from app.serve.request import Request

from ..clock import Clock
from ..conftest import Offline, handler
from .conftest import Change, Check
from .faults import body, members, status

UNABLE = {"credentials-csharp", "credentials-cpp", "credentials-swift"}
PATH_TOKEN = b"path-token-0123456789"


def test_the_sidecar_conforms(check: Check) -> None:
    """Every rule but the external-dns advice is kept, and all clients work that need no configured metadata."""
    checked = check(slow=True)

    assert checked.result.conforms
    assert checked.broken() == {"(ecs 22 external-dns)"}
    assert checked.failing() == {}
    assert {item.client for item in checked.result.verdicts if item.state == "unable"} == UNABLE
    excluded = {"LoongCollector", "aliyungo (external-dns)"}
    assert {item.client for item in checked.result.verdicts if item.state == "excluded"} == excluded
    assert {item.state for item in checked.result.verdicts} == {"works", "unable", "excluded"}
    assert (checked.result.seconds_left, checked.result.session_seconds) == (3600.0, 3600.0)


def test_a_check_is_cheap(check: Check) -> None:
    """A check with the slow rules sends fewer than 150 requests, and only GET, PUT, HEAD and POST without a body."""
    checked = check(slow=True)

    assert checked.result.requests == len(checked.requests) < 150
    assert {request.method for request in checked.requests} == {b"GET", b"PUT", b"HEAD", b"POST"}


def test_a_server_may_require_tokens(check: Check, sidecar: Offline, clock: Clock) -> None:
    """If tokens are required, clients without tokens are excluded, the others work, and the server conforms."""
    checked = check(handler=handler(sidecar.refreshers, clock, required=True))

    excluded = {item.client for item in checked.result.verdicts if item.state == "excluded"}
    assert checked.result.conforms
    assert {"OSS Go v2", "SLS Go", "ossutil v1", "aliyun-python-sdk-core", "credentials-cpp"} <= excluded
    assert checked.client("ecs", "credentials-python").state == "works"
    assert checked.client("ecs", "ossfs v1").state == "works"


def test_a_url_with_a_path_token(check: Check, sidecar: Offline, clock: Clock) -> None:
    """A URL with a path token conforms, and the reports do not contain the token."""
    secret = handler(sidecar.refreshers, clock, path_token=PATH_TOKEN)

    result = check(handler=secret, url=f"http://127.0.0.1:7117/{PATH_TOKEN.decode()}/credentials").result

    assert {item.verdict for item in result.findings if item.protocol == "uri"} == {"ok"}
    assert PATH_TOKEN.decode() not in to_json(result) + to_text(result) + repr(result)


def test_wrong_and_expired_tokens(check: Check, sidecar: Offline, clock: Clock) -> None:
    """If tokens are required, the rules find a server that accepts wrong or expired ones; else they do not apply."""

    def accept_sent_tokens(request: Request, raw: bytes) -> bytes:
        sent = request.values(b"x-aliyun-ecs-metadata-token")
        return raw.replace(b"401 Unauthorized", b"200 OK") if sent else raw

    required = handler(sidecar.refreshers, clock, required=True)
    strict = check(handler=required, slow=True)
    lax = check(accept_sent_tokens, handler=required, slow=True)
    optional = check(slow=True)

    for rule in ("ecs 9 wrong token", "ecs 9 expired token"):
        assert [item.finding(rule).verdict for item in (strict, lax, optional)] == ["ok", "broken", "not seen"]


def test_slow_rules(check: Check) -> None:
    """The slow rules find a connection that is never closed."""
    checked = check(slow=True, idle=None)

    assert checked.finding("uri 17 idle").seen == ("a connection is open after 10 idle seconds",)


def test_an_exhausted_budget(check: Check) -> None:
    """Past the budget no request is sent, the remaining clients are `not asked`, and the server does not conform."""
    checked = check(max_requests=20)

    states = {item.client: item.state for item in checked.result.verdicts if item.protocol == "ecs"}
    assert len(checked.requests) == 20
    assert set(states.values()) == {"not asked"}
    assert not checked.result.conforms
    assert "incomplete: the limit was reached before every request was sent" in to_text(checked.result)


@pytest.mark.parametrize(
    ("seconds", "rules", "failing"),
    [
        (0.9, set(), set()),
        (1.0, {"ecs 12 in time"}, {"ecs credentials-python", "ecs LoongCollector"}),
        (5.0, {"ecs 12 in time", "uri 12 in time"}, {"uri credentials-nodejs", "ecs credentials-python"}),
    ],
)
def test_slow_responses(check: Check, seconds: float, rules: set[str], failing: set[str]) -> None:
    """Metadata clients time out after 1 s and Node, by URI, after 5 s. Clients with longer timeouts work."""
    checked = check(seconds=seconds)

    assert {rule for rule in checked.broken() if " 12 " in rule} == rules
    assert failing <= set(checked.failing())
    assert "uri credentials-go" not in checked.failing()


@pytest.mark.parametrize(
    ("url", "failing"),
    [
        ("http://localhost:7117/credentials", {"uri ecctl"}),
        ("http://[::1]:7117/credentials", {"uri credentials-python", "uri credentials-python async"}),
        ("http://100.100.100.200:7117/credentials", {"uri ecctl"}),
    ],
)
def test_urls_that_some_clients_cannot_use(check: Check, url: str, failing: set[str]) -> None:
    """ecctl needs a literal loopback address and Python cannot use IPv6 addresses: rule 15."""
    checked = check(url=url)

    assert checked.finding("uri 15 literal address").verdict == "broken"
    assert set(checked.failing()) == failing


def test_expired_credentials(check: Check) -> None:
    """Expired credentials with status 200 are found. Clients that reject them fail, clients that use them do not."""
    checked = check(members(lambda body: body.update(Expiration="2026-01-02T03:00:00Z")))

    assert "it expired 245 s ago" in checked.finding("uri body credentials").seen
    assert checked.failing()["uri credentials-php"] == {"an Expiration in the future"}
    assert "uri credentials-go" not in checked.failing()


def test_short_sessions(check: Check) -> None:
    """A session of 900 s breaks no client, but five SDKs fetch on every call: advice, and a remark on each of them."""
    checked = check(
        members(lambda body: body.update(Expiration="2026-01-02T03:19:05Z", LastUpdated="2026-01-02T03:04:05Z"))
    )

    assert "(uri life life)" in checked.broken()
    assert checked.result.conforms
    assert checked.client("uri", "credentials-java").remarks == (
        "fetches credentials on every call (it refreshes at 900 s left; 900 s are left)",
    )


def test_credentials_kept_after_their_expiry(check: Check) -> None:
    """aliyun-python-sdk-core keeps credentials for 3240 s, whatever Expiration says, and gets a remark."""
    checked = check(members(lambda body: body.update(Expiration="2026-01-02T03:54:05Z")))

    remarks = checked.client("ecs", "aliyun-python-sdk-core").remarks
    assert remarks == ("keeps credentials that expire in 3000 s for 3240 s and uses them after expiry",)


LEAKS = (
    members(lambda body: None),
    members(lambda body: body.update(Code="hush-a", Expiration="hush-b", LastUpdated=["hush-c"], **{"hush d": {}})),
    status(lambda request: request.method == b"GET", b"302 Found\r\nLocation: http://hush/", b"hush"),
    body(lambda request: True, lambda raw: b"hush hush\n"),
    status(lambda request: request.values(b"host") != [b"127.0.0.1:7117"], b"500 hush\r\nContent-Type: hush", b"hush"),
)


@pytest.mark.parametrize("change", LEAKS)
def test_reports_contain_no_value_of_a_response(check: Check, sidecar: Offline, change: Change) -> None:
    """Text, JSON and repr of a result contain neither credentials nor any other value of a response."""
    held = sidecar.refreshers["default"].held
    assert held is not None

    reports = to_json(check(change).result) + to_text(check(change).result) + repr(check(change).result)

    assert held.credentials.access_key_id not in reports
    assert held.credentials.access_key_secret not in reports
    assert held.credentials.security_token not in reports
    assert "hush" not in reports
