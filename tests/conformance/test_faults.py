"""Each rule broken once: the checker names the rule and the clients that fail because of it."""

from __future__ import annotations

from typing import Any

import pytest

from app.serve.access import Request

from .conftest import Change, Check
from .faults import body, chunked, gzipped, is_list, is_role, is_token, members, status, with_body, without_header


def has_foreign_host(request: Request) -> bool:
    """Select the request of the rebinding rule."""
    return request.values(b"host") == [b"rebound.example"]


def is_get(target: bytes) -> Any:
    """Return a function that selects the GET requests with this target."""
    return lambda request: request.method == b"GET" and request.target == target


def has_host_without_port(request: Request) -> bool:
    """Select the requests with the Host that Python sends."""
    return request.values(b"host") == [b"127.0.0.1"]


def is_missing(request: Request) -> bool:
    """Select the requests for a name that does not exist."""
    return b"no-such-thing" in request.target


def is_put_without_length(request: Request) -> bool:
    """Select the token requests that Java sends."""
    return request.method == b"PUT" and not request.values(b"content-length")


def gzipped_on_request(request: Request, raw: bytes) -> bytes:
    """Compress the body of a response to Accept-Encoding: gzip."""
    return gzipped(request, raw) if request.values(b"accept-encoding") == [b"gzip"] else raw


CASES: list[tuple[str, Change, set[str], dict[str, str]]] = [
    (
        "a redirect for a trailing slash",
        status(is_get(b"/credentials/"), b"307 Temporary Redirect"),
        {"uri 1 direct"},
        {},
    ),
    (
        "Host compared with the port",
        status(has_host_without_port, b"403 Forbidden"),
        {"uri 2 host"},
        {"uri credentials-python": "status 200", "uri credentials-python async": "status 200"},
    ),
    (
        "a foreign Host accepted",
        lambda request, raw: (
            b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 0\r\n\r\n" if has_foreign_host(request) else raw
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
    ("compressed on request", gzipped_on_request, {"(uri 3 never compressed)"}, {}),
    (
        "compressed without request",
        lambda request, raw: gzipped(request, raw) if b'"AccessKeyId"' in raw else raw,
        {"uri 3 no negotiation", "(uri 3 never compressed)", "uri body credentials", "ecs body role"},
        {
            "uri credentials-java": "an uncompressed body",
            "uri OSS Java EcsRamRoleCredentialsProvider": "an uncompressed body",
            "uri ossfs2": "an uncompressed body",
            "ecs credentials-csharp": "an uncompressed body",
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
        status(is_put_without_length, b"411 Length Required"),
        {"ecs 5 PUT"},
        {},
    ),
    (
        "the longest TTL rejected",
        status(lambda request: request.values(b"x-aliyun-ecs-metadata-token-ttl-seconds") == [b"21600"], b"400 No"),
        {"ecs 7 token path"},
        {"ecs ack-ram-tool": ""},
    ),
    (
        "405 on the token path",
        status(is_token, b"405 Method Not Allowed"),
        {"ecs 7 token path"},
        {
            "ecs ack-ram-tool": "status 200, 403 or 404 on the token path",
            "ecs LoongCollector": "a token of one line of visible ASCII",
        },
    ),
    (
        "500 on the token path",
        status(is_token, b"500 Oops"),
        {"ecs 7 token path"},
        {"ecs ossfs v1": "no status 500 or 503 on the token path", "ecs ossfs2": ""},
    ),
    ("no tokens", status(is_token, b"404 Not Found", b"{}"), set(), {"ecs LoongCollector": ""}),
    (
        "Ram not found",
        status(lambda request: b"/Ram/" in request.target, b"404 Not Found", b"{}"),
        {"ecs 10 paths"},
        {"ecs ossutil v1": "AccessKeyId as a string", "ecs JindoSDK": "status 200"},
    ),
    (
        "an unknown role gets 500",
        lambda request, raw: raw.replace(b"404 Not Found", b"500 Oops") if is_missing(request) else raw,
        {"ecs 11 wrong role", "ecs 22 unknown path"},
        {},
    ),
    (
        "HEAD and POST succeed",
        lambda request, raw: raw.replace(b"405 Method Not Allowed", b"204 No Content"),
        {"uri 21 methods", "uri 4 length and type"},
        {},
    ),
    (
        "forwarded requests accepted",
        lambda request, raw: (
            b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 0\r\n\r\n"
            if request.values(b"x-forwarded-for") or request.target.startswith(b"http")
            else raw
        ),
        {"(uri 23 forwarded)", "(ecs 23 forwarded)"},
        {},
    ),
    (
        "a fraction of a second",
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
        {"uri ossfs v1": "no member that the client takes for another"},
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
        {"uri OSS Java CustomSessionCredentialsProvider": "StatusCode with the value 200 as a string"},
    ),
    (
        "a line end after the credentials",
        body(lambda request: is_role(request) or request.target == b"/credentials", lambda raw: raw + b"\n"),
        {"uri body credentials", "ecs body role"},
        {},
    ),
    (
        "a line end after the role",
        body(is_list, lambda raw: raw + b"\n"),
        {"ecs body list"},
        {
            "ecs credentials-python": "a role list of one name without a line end",
            "ecs credentials-java": "a role list of one name without a line end",
        },
    ),
    (
        "a line end after the token",
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
        "the shortest TTL rejected",
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
        "roles denied",
        status(is_role, b"401 Unauthorized", b"{}"),
        {"ecs 2 host", "ecs 8 mode", "ecs 10 paths"},
        {"ecs credentials-go": "status 200", "ecs SLS Go": "Code with the value Success"},
    ),
    (
        "the metadata address rejected",
        status(lambda request: request.values(b"host") == [b"100.100.100.200"] and is_role(request), b"403 No", b"{}"),
        {"ecs 2 host", "ecs 8 mode", "ecs 10 paths"},
        {"ecs credentials-python": "status 200"},
    ),
    (
        "success in lower case",
        members(lambda found: found.update(Code="success")),
        {"uri body credentials", "ecs body role"},
        {"uri credentials-python": "Code with the value Success", "ecs credentials-go": "Code with the value Success"},
    ),
    (
        "no response to a token request",
        lambda request, raw: b"" if is_token(request) else raw,
        {"ecs 5 PUT", "ecs 6 TTL", "ecs 7 token path"},
        {"ecs credentials-go": "a response on the token path"},
    ),
    (
        "no response to Node",
        lambda request, raw: b"" if not request.values(b"user-agent") and request.values(b"connection") else raw,
        set(),
        {"uri credentials-nodejs": "a response", "ecs credentials-nodejs": ""},
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
        "bytes after the body",
        lambda request, raw: raw + b"x",
        {"uri 4 length and type", "ecs 4 length and type", "uri 21 methods"},
        {},
    ),
]


@pytest.mark.parametrize(("change", "rules", "clients"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_each_fault_is_found(check: Check, change: Change, rules: set[str], clients: dict[str, str]) -> None:
    """A fault breaks its rules, and each client that fails because of it has an unmet need."""
    checked = check(change)

    failing, broken = checked.failing(), checked.broken()
    assert broken == rules | {"(ecs 22 external-dns)"}
    assert {client: need for client, need in clients.items() if need and need not in failing.get(client, set())} == {}
    assert checked.result.conforms is not (bool(failing) or any(not rule.startswith("(") for rule in broken))
