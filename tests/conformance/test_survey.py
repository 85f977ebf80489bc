"""Whole looks at our own desk: as it is, and with each rule broken once."""

from __future__ import annotations

from typing import Any

import pytest

from app.conformance.report import document, text
from app.serve.access import Request

from ..clock import Clock
from ..conftest import Bench, desk
from .changes import body, chunked, is_list, is_role, is_token, members, status, with_body, without_header, zipped
from .conftest import Change, Looker

UNABLE = {"credentials-csharp", "credentials-cpp", "credentials-swift"}
PATH_TOKEN = b"path-token-0123456789"


def test_our_own_answers_conform(look: Looker) -> None:
    """Every rule is kept, all clients work but the three that no server can serve; external-dns wants more paths."""
    found = look(slow=True)

    assert found.survey.conforms
    assert found.broken() == {"(ecs 22 external-dns)"}
    assert found.failing() == {}
    assert {item.client for item in found.survey.verdicts if item.state == "unable"} == UNABLE
    assert {item.state for item in found.survey.verdicts} == {"works", "unable"}
    assert (found.survey.left, found.survey.life) == (3600.0, 3600.0)


def test_a_look_is_cheap(look: Looker) -> None:
    """Fewer than 150 requests, the slow rules included, and no method but GET, PUT, HEAD and POST without a body."""
    found = look(slow=True)

    assert found.survey.requests == len(found.asked) < 150
    assert {request.method for request in found.asked} == {b"GET", b"PUT", b"HEAD", b"POST"}


def test_required_tokens_are_legitimate(look: Looker, served: Bench, clock: Clock) -> None:
    """In the hardened mode who never sends a token is excluded, who does works, and the server conforms."""
    found = look(at=desk(served.refreshers, clock, served.traffic, required=True))

    excluded = {item.client for item in found.survey.verdicts if item.state == "excluded"}
    assert found.survey.conforms
    assert {"OSS Go v2", "SLS Go", "ossutil v1", "aliyun-python-sdk-core", "credentials-cpp"} <= excluded
    assert found.client("ecs", "credentials-python").state == "works"
    assert found.client("ecs", "ossfs v1").state == "works"


def test_a_path_token_may_be_part_of_the_url(look: Looker, served: Bench, clock: Clock) -> None:
    """With a path token the URL conforms, and the token is not in what is told."""
    at = desk(served.refreshers, clock, served.traffic, path_token=PATH_TOKEN)

    found = look(at=at, url=f"http://127.0.0.1:7117/{PATH_TOKEN.decode()}/credentials")

    uri = [item for item in found.survey.findings if item.protocol == "uri"]
    assert {item.verdict for item in uri} == {"ok"}
    assert PATH_TOKEN.decode() not in document(found.survey) + text(found.survey) + repr(found.survey)


def foreign(request: Request) -> bool:
    return request.values(b"host") == [b"rebound.example"]


def is_get(target: bytes) -> Any:
    return lambda request: request.method == b"GET" and request.target == target


def portless(request: Request) -> bool:
    return request.values(b"host") == [b"127.0.0.1"]


def unknown(request: Request) -> bool:
    return b"no-such-thing" in request.target


def lengthless(request: Request) -> bool:
    return request.method == b"PUT" and not request.values(b"content-length")


def zipped_if_asked(request: Request, raw: bytes) -> bytes:
    return zipped(request, raw) if request.values(b"accept-encoding") == [b"gzip"] else raw


CASES: list[tuple[str, Change, set[str], dict[str, str]]] = [
    (
        "a redirect for a slash",
        status(is_get(b"/credentials/"), b"307 Temporary Redirect"),
        {"uri 1 direct"},
        {},
    ),
    (
        "Host compared with the port",
        status(portless, b"403 Forbidden"),
        {"uri 2 host"},
        {"uri credentials-python": "status 200", "uri credentials-python async": "status 200"},
    ),
    (
        "a foreign Host",
        lambda request, raw: (
            b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 0\r\n\r\n" if foreign(request) else raw
        ),
        {"(uri 2 rebinding)"},
        {},
    ),
    (
        "406 for another Accept",
        status(lambda request: request.values(b"accept") == [b"application/xml"], b"406 Not Acceptable"),
        {"uri 3 no negotiation"},
        {},
    ),
    ("compressed when asked", zipped_if_asked, {"(uri 3 never compressed)"}, {}),
    (
        "compressed unasked",
        lambda request, raw: zipped(request, raw) if b'"AccessKeyId"' in raw else raw,
        {"uri 3 no negotiation", "(uri 3 never compressed)", "uri body credentials", "ecs body role"},
        {
            "uri credentials-java": "a body that is not compressed",
            "uri OSS Java EcsRamRoleCredentialsProvider": "a body that is not compressed",
            "uri ossfs2": "a body that is not compressed",
            "ecs credentials-csharp": "a body that is not compressed",
        },
    ),
    (
        "chunked",
        chunked,
        {"uri 4 length and type", "ecs 4 length and type"},
        {"uri ossfs2": "Content-Length", "ecs ossfs2": "Content-Length"},
    ),
    (
        "no Content-Type",
        without_header(b"content-type"),
        {"uri 4 length and type", "ecs 4 length and type"},
        {"ecs credentials-csharp": "Content-Type"},
    ),
    (
        "PUT needs Content-Length",
        status(lengthless, b"411 Length Required"),
        {"ecs 5 PUT"},
        {},
    ),
    (
        "a TTL too long",
        status(lambda request: request.values(b"x-aliyun-ecs-metadata-token-ttl-seconds") == [b"21600"], b"400 No"),
        {"ecs 7 token path"},
        {"ecs ack-ram-tool": ""},
    ),
    (
        "405 on the token path",
        status(is_token, b"405 Method Not Allowed"),
        {"ecs 7 token path"},
        {
            "ecs ack-ram-tool": "200, 403 or 404 on the token path",
            "ecs LoongCollector": "a token of one line of visible ASCII",
        },
    ),
    (
        "500 on the token path",
        status(is_token, b"500 Oops"),
        {"ecs 7 token path"},
        {"ecs ossfs v1": "no 500 or 503 on the token path", "ecs ossfs2": ""},
    ),
    ("no tokens", status(is_token, b"404 Not Found", b"{}"), set(), {"ecs LoongCollector": ""}),
    (
        "wrong tokens are answered",
        lambda request, raw: (
            b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 0\r\n\r\n"
            if request.values(b"x-aliyun-ecs-metadata-token") == [b"idaas-sidecar-conformance-no-such-thing"]
            else raw
        ),
        {"ecs 9 wrong token"},
        {},
    ),
    (
        "no Ram",
        status(lambda request: b"/Ram/" in request.target, b"404 Not Found", b"{}"),
        {"ecs 10 paths"},
        {"ecs ossutil v1": "AccessKeyId as a string", "ecs JindoSDK": "status 200"},
    ),
    (
        "a wrong role is 500",
        lambda request, raw: raw.replace(b"404 Not Found", b"500 Oops") if unknown(request) else raw,
        {"ecs 11 wrong role", "ecs 22 unknown path"},
        {},
    ),
    (
        "HEAD and POST answered",
        lambda request, raw: raw.replace(b"405 Method Not Allowed", b"204 No Content"),
        {"uri 21 methods", "uri 4 length and type"},
        {},
    ),
    (
        "forwarded requests answered",
        lambda request, raw: (
            b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 0\r\n\r\n"
            if request.values(b"x-forwarded-for") or request.target.startswith(b"http")
            else raw
        ),
        {"(uri 23 forwarded)", "(ecs 23 forwarded)"},
        {},
    ),
    (
        "a fraction",
        members(lambda found: found.update(Expiration=found["Expiration"][:-1] + ".123Z")),
        {"uri body credentials", "ecs body role"},
        {
            "uri credentials-python": "Expiration in whole seconds, UTC, with Z",
            "uri credentials-java": "Expiration in whole seconds, UTC, with Z",
            "uri oss2": "Expiration in whole seconds, UTC, with Z",
            "ecs LoongCollector": "Expiration in whole seconds, UTC, with Z",
        },
    ),
    (
        "a role ARN",
        members(lambda found: found.update(RoleArn="acs:ram::1:role/x")),
        {"uri body credentials", "ecs body role"},
        {
            "uri ossfs v1": "exactly four members that ossfs finds by substring",
            "ecs ossfs v1": "exactly four members that ossfs finds by substring",
        },
    ),
    (
        "a second token",
        members(lambda found: found.update(IdToken="x")),
        {"uri body credentials", "ecs body role"},
        {"uri ossfs v1": "no member that is taken for another"},
    ),
    (
        "no LastUpdated",
        members(lambda found: found.pop("LastUpdated")),
        {"uri body credentials", "ecs body role"},
        {
            "ecs SLS Go": "LastUpdated as a string",
            "ecs SLS Java ECSRoleCredentials": "LastUpdated as a string",
            "ecs aliyungo (external-dns)": "LastUpdated as a string",
        },
    ),
    (
        "no StatusCode",
        members(lambda found: found.pop("StatusCode")),
        set(),
        {"uri OSS Java CustomSessionCredentialsProvider": "StatusCode is the string 200"},
    ),
    (
        "a line end behind the credentials",
        body(lambda request: is_role(request) or request.target == b"/credentials", lambda raw: raw + b"\n"),
        {"uri body credentials", "ecs body role"},
        {},
    ),
    (
        "a line end behind the role",
        body(is_list, lambda raw: raw + b"\n"),
        {"ecs body list"},
        {
            "ecs credentials-python": "a role list of one name without a line end",
            "ecs credentials-java": "a role list of one name without a line end",
        },
    ),
    (
        "a line end behind the token",
        body(is_token, lambda raw: raw + b"\n"),
        {"ecs body token"},
        {
            "ecs credentials-go": "a token of one line of visible ASCII",
            "ecs ossfs2": "a token of one line of visible ASCII",
        },
    ),
    (
        "errors with keys",
        lambda request, raw: (
            with_body(
                raw,
                b'{"Code":"Success","AccessKeyId":"a","AccessKeySecret":"b","SecurityToken":"c",'
                b'"Expiration":"2030-01-01T00:00:00Z","LastUpdated":"2030-01-01T00:00:00Z"}',
            )
            if raw.startswith(b"HTTP/1.1 404")
            else raw
        ),
        {"uri body errors", "ecs body errors"},
        {
            "uri ossutil v1": "errors whose body holds no credentials",
            "ecs SLS Go": "errors whose body holds no credentials",
            "ecs OSS Go v2": "errors whose body holds no credentials",
        },
    ),
    (
        "errors in HTML",
        lambda request, raw: with_body(raw, b"<html>") if raw.startswith(b"HTTP/1.1 404") else raw,
        {"uri body errors", "ecs body errors"},
        {"ecs alibaba-cloud-sdk-go EcsRamRoleSigner": "Code as a string in errors"},
    ),
    (
        "a TTL too short",
        status(lambda request: request.values(b"x-aliyun-ecs-metadata-token-ttl-seconds") == [b"1"], b"400 No"),
        {"ecs 6 TTL"},
        {},
    ),
    (
        "tokens throttled",
        status(lambda request: request.values(b"x-aliyun-ecs-metadata-token-ttl-seconds") == [b"180"], b"429 No"),
        {"ecs 6 TTL"},
        {},
    ),
    (
        "roles for nobody",
        status(is_role, b"401 Unauthorized", b"{}"),
        {"ecs 2 host", "ecs 8 mode", "ecs 10 paths"},
        {"ecs credentials-go": "status 200", "ecs SLS Go": "Code is Success"},
    ),
    (
        "the metadata address is not known",
        status(lambda request: request.values(b"host") == [b"100.100.100.200"] and is_role(request), b"403 No", b"{}"),
        {"ecs 2 host", "ecs 8 mode", "ecs 10 paths"},
        {"ecs credentials-python": "status 200"},
    ),
    (
        "success in lower case",
        members(lambda found: found.update(Code="success")),
        {"uri body credentials", "ecs body role"},
        {"uri credentials-python": "Code is Success", "ecs credentials-go": "Code is Success"},
    ),
    (
        "no answer to a token",
        lambda request, raw: b"" if is_token(request) else raw,
        {"ecs 5 PUT", "ecs 6 TTL", "ecs 7 token path"},
        {"ecs credentials-go": "an answer on the token path"},
    ),
    (
        "no answer to Node",
        lambda request, raw: b"" if not request.values(b"user-agent") and request.values(b"connection") else raw,
        set(),
        {"uri credentials-nodejs": "an answer", "ecs credentials-nodejs": ""},
    ),
    (
        "a redirect to another server",
        status(is_get(b"/credentials"), b"302 Found\r\nLocation: http://192.0.2.1/"),
        {"uri 1 direct", "uri 2 host", "uri 3 no negotiation"},
        {"uri credentials-go": "no redirect", "uri credentials-nodejs": "no redirect"},
    ),
    ("cacheable", without_header(b"cache-control"), {"(uri body no-store)"}, {}),
    (
        "a GET needs a header",
        status(is_get(b"/credentials"), b"401 Unauthorized", b"{}"),
        {"uri 1 direct", "uri 2 host", "uri 3 no negotiation", "uri 16 no header needed"},
        {"uri credentials-go": "status 200", "uri ossutil v1": "AccessKeyId as a string"},
    ),
    (
        "bytes behind the body",
        lambda request, raw: raw + b"x",
        {"uri 4 length and type", "ecs 4 length and type", "uri 21 methods"},
        {},
    ),
]


@pytest.mark.parametrize(("change", "rules", "clients"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_each_fault_is_found(look: Looker, change: Change, rules: set[str], clients: dict[str, str]) -> None:
    """What a server does wrong is told by its rules, and the clients that it breaks by the need that is not met."""
    found = look(change)

    failing = found.failing()
    assert found.broken() == rules | {"(ecs 22 external-dns)"}
    assert {client: need for client, need in clients.items() if need and need not in failing.get(client, set())} == {}
    assert found.survey.conforms is not (bool(failing) or any(not rule.startswith("(") for rule in found.broken()))


def test_slow_rules_are_found(look: Looker, clock: Clock) -> None:
    """A connection that is never closed, and a token that outlives its seconds, are told where they are asked for."""

    def ageless(request: Request, raw: bytes) -> bytes:
        return raw.replace(b"401 Unauthorized", b"200 OK")

    found = look(ageless, slow=True, idle=None)

    assert found.finding("uri 17 idle").seen == ("a connection is open after 10 s of nothing",)
    assert found.finding("ecs 9 expired token").verdict == "broken"


def test_what_was_not_asked_is_not_known(look: Looker) -> None:
    """Past the budget nothing is sent; who was not looked at is neither well nor ill, and that does not conform."""
    found = look(requests=20)

    states = {item.client: item.state for item in found.survey.verdicts if item.protocol == "ecs"}
    assert len(found.asked) == 20
    assert set(states.values()) == {"not asked"}
    assert not found.survey.conforms
    assert "not everything was asked" in text(found.survey)


@pytest.mark.parametrize(
    ("seconds", "rules", "failing"),
    [
        (0.9, set(), set()),
        (1.0, {"ecs 12 in time"}, {"ecs credentials-python", "ecs LoongCollector"}),
        (5.0, {"ecs 12 in time", "uri 12 in time"}, {"uri credentials-nodejs", "ecs credentials-python"}),
    ],
)
def test_slow_answers(look: Looker, seconds: float, rules: set[str], failing: set[str]) -> None:
    """From 1 s on the metadata clients give up, from 5 s on Node does by URI; who waits longer works."""
    found = look(seconds=seconds)

    assert {rule for rule in found.broken() if " 12 " in rule} == rules
    assert failing <= set(found.failing())
    assert "uri credentials-go" not in found.failing()


@pytest.mark.parametrize(
    ("url", "failing"),
    [
        ("http://localhost:7117/credentials", {"uri ecctl"}),
        ("http://[::1]:7117/credentials", {"uri credentials-python", "uri credentials-python async"}),
        ("http://100.100.100.200:7117/credentials", {"uri ecctl"}),
    ],
)
def test_urls_that_not_everybody_can_use(look: Looker, url: str, failing: set[str]) -> None:
    """ecctl wants a literal loopback address, Python cannot have IPv6: rule 15."""
    found = look(url=url)

    assert found.finding("uri 15 literal address").verdict == "broken"
    assert set(found.failing()) == failing


def test_expired_credentials(look: Looker) -> None:
    """A 200 with a session that has ended is found, and who refuses it fails; who uses it is not said to."""
    found = look(members(lambda body: body.update(Expiration="2026-01-02T03:00:00Z")))

    assert "it expired 245 s ago" in found.finding("uri body credentials").seen
    assert found.failing()["uri credentials-php"] == {"an Expiration in the future"}
    assert "uri credentials-go" not in found.failing()


def test_short_sessions_are_told(look: Looker) -> None:
    """A session of 900 s breaks no client, yet five SDKs ask on every call: advice, and a word at each of them."""
    found = look(
        members(lambda body: body.update(Expiration="2026-01-02T03:19:05Z", LastUpdated="2026-01-02T03:04:05Z"))
    )

    assert "(uri life life)" in found.broken()
    assert found.survey.conforms
    assert found.client("uri", "credentials-java").remarks == (
        "asks on every call (its rule is: at 900 s left; 900 s are left)",
    )


def test_who_keeps_credentials_past_their_end_is_told(look: Looker) -> None:
    """aliyun-python-sdk-core keeps what it has for 3240 s, whatever Expiration says."""
    found = look(members(lambda body: body.update(Expiration="2026-01-02T03:54:05Z")))

    told = found.client("ecs", "aliyun-python-sdk-core").remarks
    assert told == ("keeps what ends in 3000 s for 3240 s, so uses it expired",)


LEAKS = (
    members(lambda body: None),
    members(lambda body: body.update(Code="hush-a", Expiration="hush-b", LastUpdated=["hush-c"], **{"hush d": {}})),
    status(lambda request: request.method == b"GET", b"302 Found\r\nLocation: http://hush/", b"hush"),
    body(lambda request: True, lambda raw: b"hush hush\n"),
    status(lambda request: request.values(b"host") != [b"127.0.0.1:7117"], b"500 hush\r\nContent-Type: hush", b"hush"),
)


@pytest.mark.parametrize("change", LEAKS)
def test_nothing_that_a_server_says_is_told(look: Looker, served: Bench, change: Change) -> None:
    """Neither the credentials nor any other value of an answer is in the text, the JSON or the survey's repr."""
    held = served.refreshers["default"].held
    assert held is not None

    told = document(look(change).survey) + text(look(change).survey) + repr(look(change).survey)

    assert held.credentials.access_key_id not in told
    assert held.credentials.access_key_secret not in told
    assert held.credentials.security_token not in told
    assert "hush" not in told
