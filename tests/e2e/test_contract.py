"""The server rules that thirty real clients imply, each on a socket of a real process. Numbers as in the reference."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from .processes import Demo, demo
from .wire import Connection, fetch, request_head

ROLES = "/latest/meta-data/ram/security-credentials"
TTL = "X-aliyun-ecs-metadata-token-ttl-seconds: 21600"


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A running demo."""
    with demo("--profiles", "2", home=tmp_path_factory.mktemp("contract")) as running:
        yield running


@pytest.fixture
def base(sidecar: Demo) -> str:
    """The base URL of the credentials listener, which serves the ECS paths too."""
    return sidecar.metadata_url


@pytest.mark.parametrize(
    "target", ["/credentials", "/credentials/", "/credentials?", "/credentials?user=x&blank=", "/credentials/default/"]
)
def test_rule_1_slash_and_query(base: str, target: str) -> None:
    """The credentials path returns 200 with and without a trailing slash, with any query and an empty one."""
    assert fetch(base, target).status == 200


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.0.0.1:7117", "localhost:1", "[::1]", "[0:0:0:0:0:0:0:1]:7117", "100.100.100.200"),
        *("[::ffff:127.0.0.1]:7117", "[::FFFF:7f00:1]"),
    ],
)
def test_rule_2_host_without_port(base: str, host: str) -> None:
    """Only the host part of the Host header is compared: the Python SDK sends no port."""
    assert fetch(base, "/credentials", host=host).status == 200


def test_rule_2_rebound_host(base: str) -> None:
    """A foreign host name is refused on the socket too."""
    response = fetch(base, "/credentials", host="evil.example")

    assert (response.status, json.loads(response.body)["Code"]) == (403, "AccessDenied.Host")


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
    """The response does not depend on Accept, Accept-Encoding or Cookie."""
    response = fetch(base, "/credentials", line)

    assert response.status == 200
    assert "content-encoding" not in response.headers
    assert json.loads(response.body)["Code"] == "Success"


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
    """Every response has Content-Length, Content-Type and no-store; the status of an error is 400 or above."""
    response = fetch(base, target, *([TTL] if method == "PUT" else []), method=method)

    assert response.headers["content-type"] in ("application/json; charset=utf-8", "text/plain; charset=utf-8")
    assert response.headers["cache-control"] == "no-store"
    assert response.status == 200 or response.status >= 400
    assert response.body


@pytest.mark.parametrize("lines", [(TTL,), (TTL, "Content-Length: 0"), (TTL.upper(),), (TTL.lower(),)])
def test_rule_5_put_in_every_form(base: str, lines: tuple[str, ...]) -> None:
    """PUT works with and without Content-Length, and with header names in any case."""
    response = fetch(base, "/latest/api/token", *lines, method="PUT")

    assert response.status == 200
    assert response.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("ttl", ["1", "180", "3600", "18000", "21600"])
def test_rule_6_ttls(base: str, ttl: str) -> None:
    """Every TTL that a client was seen to send is accepted."""
    line = f"X-aliyun-ecs-metadata-token-ttl-seconds: {ttl}"

    assert fetch(base, "/latest/api/token", line, method="PUT").status == 200


def test_rule_6_tokens_are_cheap(base: str) -> None:
    """A thousand tokens in a row are not rate-limited, and the first token stays valid."""
    with Connection(base) as connection:
        tokens = set()
        first = b""
        for _ in range(1000):
            connection.send(request_head("PUT", "/latest/api/token", TTL))
            response = connection.read_response()
            assert response.status == 200
            first = first or response.body
            tokens.add(response.body)
        connection.send(request_head("GET", f"{ROLES}/default", f"X-aliyun-ecs-metadata-token: {first.decode()}"))

        assert connection.read_response().status == 200


def test_rules_8_and_9_token_of_another_instance(base: str) -> None:
    """Where tokens are optional, a token from before a restart, or none at all, changes nothing."""
    assert fetch(base, f"{ROLES}/default", "X-aliyun-ecs-metadata-token: METATOKEN123==").status == 200
    assert fetch(base, f"{ROLES}/default").status == 200


def test_dated_paths(base: str) -> None:
    """A dated version of the metadata service, as cloud-init requests it, means the latest one."""
    body = fetch(base, f"{ROLES}/default".replace("/latest/", "/2016-01-01/")).body

    assert json.loads(body)["Code"] == "Success"


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
    """The role path matches in every case and form that clients use, and returns the same body as the URI."""
    assert fetch(base, target).body == fetch(base, "/credentials").body


@pytest.mark.parametrize("target", [ROLES, f"{ROLES}/", f"{ROLES}/?"])
def test_rule_10_role_list(base: str, target: str) -> None:
    """The role list returns one name without a newline, with and without a trailing slash."""
    assert fetch(base, target).body == b"default"


def test_rule_11_wrong_role(base: str) -> None:
    """An unknown role gets 404 with a Code."""
    response = fetch(base, f"{ROLES}/nobody")

    assert (response.status, json.loads(response.body)["Code"]) == (404, "NotFound")


def test_rule_15_published_uri_has_the_literal_address(sidecar: Demo) -> None:
    """The printed URI begins with http://127.0.0.1: ecctl refuses `localhost`, and Python cannot connect to `[::1]`."""
    assert sidecar.credentials_uri.startswith("http://127.0.0.1:")
    assert sidecar.env["ALIBABA_CLOUD_ECS_METADATA_DISABLED"] == "true"


def test_rule_17_idle_connections_are_closed(base: str) -> None:
    """An idle connection is closed: credentials-go leaves one open per fetch."""
    with Connection(base) as connection:
        connection.send(request_head("GET", "/credentials"))
        assert connection.read_response().status == 200

        assert connection.is_closed()


def test_rule_18_one_call_per_request(base: str) -> None:
    """Two thousand requests in a row on one connection get 200: clients without a cache fetch on every call."""
    with Connection(base) as connection:
        for _ in range(2000):
            connection.send(request_head("GET", "/credentials"))
            assert connection.read_response().status == 200


@pytest.mark.parametrize("method", ["HEAD", "POST", "DELETE", "OPTIONS"])
def test_rule_21_other_methods(base: str, method: str) -> None:
    """Other methods get 405 with Allow, and HEAD gets no body."""
    response = fetch(base, "/credentials", method=method)

    assert response.status == 405
    assert response.headers["allow"] == "GET"


@pytest.mark.parametrize("target", ["/latest/meta-data/instance-id", "/latest/user-data", "/latest/meta-data"])
def test_rule_22_unknown_metadata(base: str, target: str) -> None:
    """Metadata that is not configured gets 404 with a short body."""
    response = fetch(base, target)

    assert response.status == 404
    assert len(response.body) < 200


@pytest.mark.parametrize("line", ["X-Forwarded-For: 203.0.113.7", "x-FORWARDED-host: a", "Via: 1.1 x", "Forwarded:"])
def test_rule_23_forwarded(base: str, line: str) -> None:
    """A request that came through a proxy is refused."""
    assert fetch(base, "/credentials", line).status == 403


def test_rule_23_absolute_form(base: str) -> None:
    """A request in absolute form, as for a proxy, is refused."""
    response = fetch(base, f"{base}/credentials")

    assert (response.status, json.loads(response.body)["Code"]) == (403, "AccessDenied.Forwarded")


def test_body_to_the_byte(base: str) -> None:
    """The body has the seven members in their order, all of them non-empty strings, on one line."""
    text = fetch(base, "/credentials").body.decode()
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
    """Nothing follows the body: ossfs2 sizes its read by Content-Length."""
    with Connection(base) as connection:
        connection.send(request_head("GET", "/credentials", "Connection: close"))
        response = connection.read_response()

        assert len(response.body) == int(response.headers["content-length"])
        assert response.headers["connection"] == "close"
        assert connection.is_closed()
