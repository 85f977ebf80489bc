"""The server rules that thirty real clients imply, each on a socket of a real process; numbers as in the reference."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from .processes import Demo, demo
from .wire import Connection, ask, head

ROLES = "/latest/meta-data/ram/security-credentials"
TTL = "X-aliyun-ecs-metadata-token-ttl-seconds: 21600"


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with demo("--profiles", "2", home=tmp_path_factory.mktemp("contract")) as running:
        yield running


@pytest.fixture
def base(sidecar: Demo) -> str:
    return sidecar.metadata_url


@pytest.mark.parametrize(
    "target", ["/credentials", "/credentials/", "/credentials?", "/credentials?user=x&blank=", "/credentials/default/"]
)
def test_rule_1_slash_and_query(base: str, target: str) -> None:
    """With and without a trailing slash, with any query and an empty one: answered directly, never redirected."""
    assert ask(base, target).status == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:7117", "localhost:1", "[::1]", "100.100.100.200"])
def test_rule_2_host_without_port(base: str, host: str) -> None:
    """Only Host's host part counts: Python's SDK sends no port."""
    assert ask(base, "/credentials", host=host).status == 200


def test_rule_2_rebound_host(base: str) -> None:
    """A foreign name is refused on the socket as it is in the unit test."""
    answer = ask(base, "/credentials", host="evil.example")

    assert (answer.status, json.loads(answer.body)["Code"]) == (403, "AccessDenied.Host")


@pytest.mark.parametrize(
    "line",
    [
        "Accept: text/html, image/gif, */*; q=0.2",
        "Accept: application/xml",
        "Accept-Encoding: gzip, deflate",
        "Cookie: a=b",
    ],
)
def test_rule_3_no_negotiation(base: str, line: str) -> None:
    """Whatever a client says it accepts, it gets the same plain bytes."""
    answer = ask(base, "/credentials", line)

    assert answer.status == 200
    assert "content-encoding" not in answer.headers
    assert json.loads(answer.body)["Code"] == "Success"


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/credentials"),
        ("GET", "/credentials/p2"),
        ("GET", "/credentials/nobody"),
        ("GET", "/nowhere"),
        ("POST", "/credentials"),
        ("GET", "/healthz"),
        ("GET", ROLES),
        ("GET", f"{ROLES}/default"),
        ("GET", f"{ROLES}/nobody"),
        ("PUT", "/latest/api/token"),
        ("GET", "/latest/api/token"),
    ],
)
def test_rule_4_length_and_type(base: str, method: str, target: str) -> None:
    """Every answer has Content-Length (the reader insists) and Content-Type; errors are outside 2xx and 3xx."""
    answer = ask(base, target, *([TTL] if method == "PUT" else []), method=method)

    assert answer.headers["content-type"] in ("application/json; charset=utf-8", "text/plain; charset=utf-8")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.status == 200 or answer.status >= 400
    assert answer.body


@pytest.mark.parametrize("lines", [(TTL,), (TTL, "Content-Length: 0"), (TTL.upper(),), (TTL.lower(),)])
def test_rule_5_put_in_every_form(base: str, lines: tuple[str, ...]) -> None:
    """PUT with and without Content-Length, header names in any case."""
    answer = ask(base, "/latest/api/token", *lines, method="PUT")

    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("ttl", ["1", "180", "3600", "18000", "21600"])
def test_rule_6_ttls(base: str, ttl: str) -> None:
    """Every TTL that clients were seen to send is accepted."""
    line = f"X-aliyun-ecs-metadata-token-ttl-seconds: {ttl}"

    assert ask(base, "/latest/api/token", line, method="PUT").status == 200


def test_rule_6_tokens_are_cheap(base: str) -> None:
    """A thousand tokens in a row are not rate-limited, and the first one still works."""
    with Connection(base) as connection:
        tokens = set()
        first = b""
        for _ in range(1000):
            connection.send(head("PUT", "/latest/api/token", TTL))
            answer = connection.answer()
            assert answer.status == 200
            first = first or answer.body
            tokens.add(answer.body)
        connection.send(head("GET", f"{ROLES}/default", f"X-aliyun-ecs-metadata-token: {first.decode()}"))

        assert connection.answer().status == 200


def test_rules_8_and_9_wrong_token_then_none(base: str) -> None:
    """A wrong token is refused; repeated without one, as Python, Node and Java do, the request succeeds."""
    wrong = ask(base, f"{ROLES}/default", "X-aliyun-ecs-metadata-token: METATOKEN123==")

    assert (wrong.status, json.loads(wrong.body)["Code"]) == (401, "AccessDenied.MetadataToken")
    assert ask(base, f"{ROLES}/default").status == 200


@pytest.mark.parametrize(
    "target",
    [
        f"{ROLES}/default",
        f"{ROLES}/default?",
        "/latest/meta-data/Ram/security-credentials/default",
        "/latest/meta-data/Ram/Security-credentials/default",
    ],
)
def test_rule_10_role_paths(base: str, target: str) -> None:
    """The role path matches in every case and form that clients use, with the URI's own body."""
    assert ask(base, target).body == ask(base, "/credentials").body


@pytest.mark.parametrize("target", [ROLES, f"{ROLES}/", f"{ROLES}/?"])
def test_rule_10_role_list(base: str, target: str) -> None:
    """The list answers with and without slash: one name, no newline."""
    assert ask(base, target).body == b"default"


def test_rule_11_wrong_role(base: str) -> None:
    """A role that is none is 404 with a Code."""
    answer = ask(base, f"{ROLES}/nobody")

    assert (answer.status, json.loads(answer.body)["Code"]) == (404, "NotFound")


def test_rule_15_the_published_uri_is_the_literal_address(sidecar: Demo) -> None:
    """ecctl refuses `localhost` and Python cannot do `[::1]`: what we print is http://127.0.0.1."""
    assert sidecar.credentials_uri.startswith("http://127.0.0.1:")
    assert sidecar.env["ALIBABA_CLOUD_ECS_METADATA_DISABLED"] == "true"


def test_rule_17_idle_connections_are_closed(base: str) -> None:
    """A connection left idle is closed within a few seconds: credentials-go leaves one behind per fetch."""
    with Connection(base) as connection:
        connection.send(head("GET", "/credentials"))
        assert connection.answer().status == 200

        assert connection.closed()


def test_rule_18_a_call_per_request_is_fine(base: str) -> None:
    """Clients without a cache ask on every call of theirs: two thousand answers in a row on one connection."""
    with Connection(base) as connection:
        for _ in range(2000):
            connection.send(head("GET", "/credentials"))
            assert connection.answer().status == 200


@pytest.mark.parametrize("method", ["HEAD", "POST", "DELETE", "OPTIONS"])
def test_rule_21_other_methods(base: str, method: str) -> None:
    """Other methods are 405, HEAD without a body."""
    answer = ask(base, "/credentials", method=method)

    assert answer.status == 405
    assert answer.headers["allow"] == "GET"


@pytest.mark.parametrize("target", ["/latest/meta-data/instance-id", "/latest/user-data", "/latest/meta-data"])
def test_rule_22_unknown_metadata(base: str, target: str) -> None:
    """Metadata that nobody configured is 404 with a short body."""
    answer = ask(base, target)

    assert answer.status == 404
    assert len(answer.body) < 200


@pytest.mark.parametrize("line", ["X-Forwarded-For: 203.0.113.7", "x-FORWARDED-host: a", "Via: 1.1 x", "Forwarded:"])
def test_rule_23_forwarded(base: str, line: str) -> None:
    """Requests that came through a proxy are refused."""
    assert ask(base, "/credentials", line).status == 403


def test_rule_23_absolute_form(base: str) -> None:
    """So is a request that takes us for a proxy."""
    answer = ask(base, f"{base}/credentials")

    assert (answer.status, json.loads(answer.body)["Code"]) == (403, "AccessDenied.Forwarded")


def test_the_body_to_the_byte(base: str) -> None:
    """The seven members in their order, all strings, on one line."""
    text = ask(base, "/credentials").body.decode()
    body = json.loads(text)

    assert list(body) == [
        "Code",
        "StatusCode",
        "AccessKeyId",
        "AccessKeySecret",
        "SecurityToken",
        "Expiration",
        "LastUpdated",
    ]
    assert text == json.dumps(body, separators=(",", ":"))
    assert all(isinstance(value, str) and value for value in body.values())


def test_content_length_is_the_body(base: str) -> None:
    """ossfs2 sizes its read by Content-Length: nothing follows the body."""
    with Connection(base) as connection:
        connection.send(head("GET", "/credentials", "Connection: close"))
        answer = connection.answer()

        assert len(answer.body) == int(answer.headers["content-length"])
        assert answer.headers["connection"] == "close"
        assert connection.closed()
