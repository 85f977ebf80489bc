"""Attacks over HTTP on a real process, in the order of the threat list. Floods and users have files of their own.

Each test uses sockets and a real `serve`: in-process clients have hidden missing checks elsewhere.
"""

from __future__ import annotations

import errno
import json
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from .cloud import ENV, config
from .processes import DEADLINE, EmulatedCloud, RunningSidecar, environment, run, serve, wait_until
from .wire import Connection, Response, fetch, request_head

ROLES = "/latest/meta-data/ram/security-credentials"
TTL = "X-aliyun-ecs-metadata-token-ttl-seconds"
TOKEN = "X-aliyun-ecs-metadata-token"
PATH_TOKEN = "path-token-0123456789"
CREDENTIAL_MARKS = (b"STS.", b"SecurityToken", b"AccessKeySecret")


@pytest.fixture(scope="module", params=["cold memo", "warm memo"])
def memo(request: pytest.FixtureRequest) -> str:
    """Whether the sidecar has answered permitted requests, and remembers their heads, before the attacks."""
    return str(request.param)


def warm_up(base: str, memo: str, prefix: str = "", *lines: str) -> None:
    """With a warm memo, send each permitted request three times: it is remembered after the first."""
    for target in (f"{prefix}/credentials", f"{prefix}/credentials/", f"{ROLES}/default", f"{ROLES}/"):
        for _ in range(3 if memo == "warm memo" else 0):
            assert fetch(base, target, *lines).status == 200


@pytest.fixture(scope="module")
def sidecar(cloud: EmulatedCloud, memo: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSidecar]:
    """A sidecar with default settings."""
    with serve(config(cloud), home=tmp_path_factory.mktemp("plain"), env=ENV) as running:
        running.process.event("credentials_issued")
        warm_up(running.urls["credentials"], memo)
        yield running


@pytest.fixture(scope="module")
def hardened(cloud: EmulatedCloud, memo: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSidecar]:
    """A sidecar with a path token and required session tokens."""
    home = tmp_path_factory.mktemp("hardened")
    (home / "path-token").write_text(PATH_TOKEN)
    access = {"pathToken": {"file": str(home / "path-token")}, "metadataTokens": "required"}
    with serve(config(cloud, access=access), home=home, env=ENV) as running:
        running.process.event("credentials_issued")
        url, by_header = running.urls["credentials"], f"X-Aliyun-Parameters-Secrets-Token: {PATH_TOKEN}"
        token = fetch(url, "/latest/api/token", f"{TTL}: 3600", by_header, method="PUT").body.decode()
        warm_up(url, memo, f"/{PATH_TOKEN}", by_header, f"{TOKEN}: {token}")
        yield running


@pytest.fixture
def base(sidecar: RunningSidecar) -> str:
    """The base URL of the credentials listener."""
    return sidecar.urls["credentials"]


def send_raw(base: str, raw: bytes) -> Response:
    """Send exactly these bytes and return the response."""
    with Connection(base) as connection:
        connection.send(raw)
        return connection.read_response()


def code(response: Response) -> str:
    """Return the Code of a response."""
    return str(json.loads(response.body)["Code"])


# --- 1: the Host header -----------------------------------------------------------------------------------------------

PATHS = ("/credentials", f"{ROLES}/default", ROLES)
BAD_HOSTS = (
    *(
        "evil.example",
        "evil.example:7117",
        "127.0.0.1.nip.io",
        "localhost.evil.example",
        "",
        " ",
        "127.0.0.1:x",
        ":7117",
    ),
    *("user@127.0.0.1", "127.0.0.1@evil.example", "127.0.0.1 evil.example", "127.0.0.1,evil.example", "127.0.0.2"),
    *("0x7f000001", "2130706433", "[::2]", "127.0.0.1#", "127.0.0.1/x", "localhost.", "http://127.0.0.1"),
)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("host", BAD_HOSTS)
def test_foreign_host(base: str, host: str, path: str) -> None:
    """A foreign Host is refused, whatever its port is: that is how a request after DNS rebinding looks."""
    response = fetch(base, path, host=host)

    assert (response.status, code(response)) == (403, "AccessDenied.Host")


@pytest.mark.parametrize("path", PATHS)
def test_missing_or_repeated_host(base: str, path: str) -> None:
    """A request without Host or with two Hosts gets 400: two programs could read two Hosts differently."""
    none = send_raw(base, f"GET {path} HTTP/1.1\r\n\r\n".encode())
    two = fetch(base, path, "Host: evil.example")
    same = fetch(base, path, "HOST: 127.0.0.1")

    assert [response.status for response in (none, two, same)] == [400, 400, 400]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:7117", "localhost", "LOCALHOST:80", "[::1]", "100.100.100.200"]
)
def test_allowed_hosts(base: str, host: str) -> None:
    """The loopback names and the metadata address are accepted, with any port."""
    assert fetch(base, "/credentials", host=host).status == 200


@pytest.mark.parametrize(
    "target", ["http://127.0.0.1/credentials", "http://evil.example/credentials", "//127.0.0.1/credentials"]
)
def test_absolute_form_target(base: str, target: str) -> None:
    """A target in absolute form, as for a proxy, gets 403; a path with two slashes gets 404."""
    response = fetch(base, target)

    assert response.status == (404 if target.startswith("//") else 403)


# --- 2: forwarded requests, browsers ----------------------------------------------------------------------------------

FORWARDING_HEADERS = (
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Port",
    "Forwarded",
    "Via",
    "X-Real-IP",
)


@pytest.mark.parametrize("value", ["203.0.113.7", ""])
@pytest.mark.parametrize(
    "name", [*FORWARDING_HEADERS, *map(str.upper, FORWARDING_HEADERS), *map(str.lower, FORWARDING_HEADERS)]
)
def test_forwarded(base: str, name: str, value: str) -> None:
    """A forwarding header is refused on GET and PUT, in any case and also empty: SSRF through a reverse proxy."""
    get = fetch(base, f"{ROLES}/default", f"{name}: {value}")
    uri = fetch(base, "/credentials", f"{name}: {value}")
    put = fetch(base, "/latest/api/token", f"{name}: {value}", f"{TTL}: 60", method="PUT")

    assert {(response.status, code(response)) for response in (get, uri, put)} == {(403, "AccessDenied.Forwarded")}


BROWSER_HEADERS = (
    *("Origin: https://evil.example", "Origin: null", "ORIGIN: http://127.0.0.1", "Sec-Fetch-Site: cross-site"),
    *("Sec-Fetch-Site: none", "sec-fetch-mode: navigate", "Sec-Fetch-Dest: empty"),
)


@pytest.mark.parametrize("line", BROWSER_HEADERS)
def test_browsers(base: str, line: str) -> None:
    """A request of a web page is refused on every path and method, including a preflight."""
    responses = [
        fetch(base, "/credentials", line),
        fetch(base, "/latest/api/token", line, f"{TTL}: 60", method="PUT"),
        fetch(base, "/credentials", line, "Access-Control-Request-Method: GET", method="OPTIONS"),
    ]

    assert {(response.status, code(response)) for response in responses} == {(403, "AccessDenied.Browser")}


def test_no_cors_header(sidecar: RunningSidecar, base: str) -> None:
    """No response of any listener has a CORS header that lets a page read it."""
    responses = [fetch(base, path) for path in (*PATHS, "/healthz", "/nowhere")]
    responses += [fetch(base, path, "Origin: null") for path in PATHS]
    responses += [
        fetch(sidecar.urls["ops"], path, "Origin: null") for path in ("/livez", "/metrics", "/status", "/status.json")
    ]

    assert not [name for response in responses for name in response.headers if name.startswith("access-control")]


# --- 3: tokens --------------------------------------------------------------------------------------------------------


def new_token(base: str, ttl: str = "21600", *lines: str) -> str:
    """Fetch a session token."""
    response = fetch(base, "/latest/api/token", f"{TTL}: {ttl}", *lines, method="PUT")
    assert response.status == 200
    return response.body.decode()


PATH_TOKEN_HEADER = f"X-Aliyun-Parameters-Secrets-Token: {PATH_TOKEN}"
PATH_TOKEN_REQUESTS = [
    (f"/{PATH_TOKEN}/credentials", (), 200),
    ("/credentials", (PATH_TOKEN_HEADER,), 200),
    ("/credentials", (), 403),
    (f"/{PATH_TOKEN[:-1]}/credentials", (), 403),
    (f"/{PATH_TOKEN}x/credentials", (), 403),
    (f"/{PATH_TOKEN.upper()}/credentials", (), 403),
    (f"/credentials?token={PATH_TOKEN}", (), 403),
    (f"/credentials?__ssrf_token={PATH_TOKEN}", (), 403),
    (f"/credentials#{PATH_TOKEN}", (), 403),
    (f"//{PATH_TOKEN}/credentials", (), 403),
    ("/credentials", (f"X-Aliyun-Parameters-Secrets-Token: {PATH_TOKEN}x",), 403),
    ("/credentials", (PATH_TOKEN_HEADER, PATH_TOKEN_HEADER), 403),
    ("/credentials", (f"Cookie: token={PATH_TOKEN}", f"Authorization: Bearer {PATH_TOKEN}"), 403),
]


@pytest.mark.parametrize(("target", "lines", "status"), PATH_TOKEN_REQUESTS)
def test_path_token(hardened: RunningSidecar, target: str, lines: tuple[str, ...], status: int) -> None:
    """Only the path token in the path or in its header is accepted, never in a query, which ends up in logs."""
    response = fetch(hardened.urls["credentials"], target, *lines)

    assert response.status == status
    assert status == 200 or code(response) == "AccessDenied.PathToken"


def test_session_tokens(hardened: RunningSidecar, sidecar: RunningSidecar) -> None:
    """In required mode a missing, wrong, foreign or repeated session token gets 401, and the right one 200."""
    here = hardened.urls["credentials"]
    own = new_token(here, "60", PATH_TOKEN_HEADER)
    foreign = new_token(sidecar.urls["credentials"])
    forged = f"{int(own.split('.')[0]) + 3600}.{own.split('.')[1]}"
    lines = {
        "own": (f"{TOKEN}: {own}",),
        "none": (),
        "foreign": (f"{TOKEN}: {foreign}",),
        "prolonged": (f"{TOKEN}: {forged}",),
        "cut": (f"{TOKEN}: {own[:-1]}",),
        "two": (f"{TOKEN}: {own}", f"{TOKEN}: {own}"),
    }

    statuses = {
        name: fetch(here, f"{ROLES}/default", PATH_TOKEN_HEADER, *extra).status for name, extra in lines.items()
    }

    assert statuses == {"own": 200, "none": 401, "foreign": 401, "prolonged": 401, "cut": 401, "two": 401}
    assert fetch(here, f"{ROLES}/default?{TOKEN}={own}", PATH_TOKEN_HEADER).status == 401


def test_session_token_expires(hardened: RunningSidecar) -> None:
    """A session token is accepted at first and refused after its TTL."""
    here = hardened.urls["credentials"]
    token = new_token(here, "3", PATH_TOKEN_HEADER)
    statuses: list[int] = []

    def refused() -> bool:
        statuses.append(fetch(here, f"{ROLES}/default", PATH_TOKEN_HEADER, f"{TOKEN}: {token}").status)
        return statuses[-1] == 401

    wait_until(refused)
    assert statuses[0] == 200


# --- TTLs -------------------------------------------------------------------------------------------------------------

TTLS = {
    "1": 200,
    "21600": 200,
    "060": 200,
    " 60": 200,
    "60 ": 200,
    "\t60": 200,
    "0": 400,
    "-1": 400,
    "21601": 400,
    "99999999999999999999": 400,
    "1e3": 400,
    "+60": 400,
    "60.0": 400,
    "0x3c": 400,
    "6 0": 400,
    "60,60": 400,
    "٦٠": 400,
    "": 400,
}


@pytest.mark.parametrize(("ttl", "status"), TTLS.items(), ids=[repr(ttl) for ttl in TTLS])
def test_ttls(base: str, ttl: str, status: int) -> None:
    """Only 1 to 21600 in plain digits is a TTL; white space around a header value does not count."""
    raw = b"PUT /latest/api/token HTTP/1.1\r\nHost: 127.0.0.1\r\n" + f"{TTL}:{ttl}\r\n\r\n".encode()
    response = send_raw(base, raw)

    assert response.status == status
    assert status == 200 or code(response) == "BadRequest"


def test_missing_or_repeated_ttl(base: str) -> None:
    """A missing or repeated TTL gets 400."""
    none = fetch(base, "/latest/api/token", method="PUT")
    two = fetch(base, "/latest/api/token", f"{TTL}: 60", f"{TTL.lower()}: 60", method="PUT")

    assert (none.status, two.status) == (400, 400)


# --- paths and methods ------------------------------------------------------------------------------------------------

METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "PROPFIND", "get")
DOCUMENTED_PATHS = ("/credentials", "/credentials/", "/credentials/default", f"{ROLES}/default", f"{ROLES}/default/")
OTHER_PATHS = (
    *(
        "/",
        "//",
        "/credentials//",
        "//credentials",
        "/credentials/default//",
        "/credentials/../credentials",
        "/./credentials",
    ),
    *(
        "/Credentials",
        "/CREDENTIALS",
        "/credentials/Default",
        "/%63redentials",
        "/%2e%2e/credentials",
        "/credentials%00",
    ),
    *(
        "/credentials/%64efault",
        "/credentials;x",
        "/credentials/nobody",
        "/credentials/*",
        "/index.html",
        "/favicon.ico",
    ),
    *("/latest", "/latest/", "/latest/meta-data", "/latest/meta-data/ram", "/latest/user-data", f"{ROLES}//default"),
    *(f"{ROLES}/Default", f"{ROLES}/nobody", f"{ROLES}/default/x", f"{ROLES}%2fdefault", f"{ROLES}/../default"),
    *(
        "/latest/dynamic/instance-identity/document",
        "/metrics",
        "/livez",
        "/status",
        "/status.json",
        "/refresh",
        "/purge",
    ),
    *("/cloud_token", "/2018-06-01/credentials", "/computeMetadata/v1/", "/.env", "/latest/api/token"),
)


@pytest.mark.parametrize("method", METHODS)
def test_no_credentials_elsewhere(base: str, method: str) -> None:
    """No method on any path returns a credential or a success, except GET on the documented paths."""
    for path in (*DOCUMENTED_PATHS, *OTHER_PATHS):
        if method == "GET" and path in DOCUMENTED_PATHS:
            continue
        with Connection(base) as connection:
            connection.send(request_head(method, path, "Connection: close"))
            response = connection.read_response(head_only=method == "HEAD")

        assert response.status in (400, 403, 404, 405), path
        assert not [mark for mark in CREDENTIAL_MARKS if mark in response.body], path


@pytest.mark.parametrize("path", DOCUMENTED_PATHS)
def test_credentials_at_the_documented_paths(base: str, path: str) -> None:
    """The documented paths return credentials; this is the control of the test above."""
    response = fetch(base, path)

    assert response.status == 200
    assert all(mark in response.body for mark in CREDENTIAL_MARKS)


def test_no_credentials_on_the_ops_listener(sidecar: RunningSidecar) -> None:
    """No path of the operations listener returns a credential."""
    for path in (*DOCUMENTED_PATHS, *OTHER_PATHS):
        response = fetch(sidecar.urls["ops"], path)
        assert not [mark for mark in CREDENTIAL_MARKS if mark in response.body], path


# --- ambiguous requests -----------------------------------------------------------------------------------------------

START = b"GET /credentials HTTP/1.1\r\nHost: 127.0.0.1\r\n"
AMBIGUOUS = {
    "folded header": START + b"X-A: a\r\n b\r\n\r\n",
    "folded Host": b"GET /credentials HTTP/1.1\r\nHost:\r\n 127.0.0.1\r\n\r\n",
    "bare CR in a value": START + b"X-A: a\rb\r\n\r\n",
    "bare CR ends a line": START + b"X-A: a\rX-B: b\r\n\r\n",
    "NUL in a value": START + b"X-A: a\0b\r\n\r\n",
    "NUL in a name": START + b"X\0A: a\r\n\r\n",
    "space in a name": START + b"X A: a\r\n\r\n",
    "space before the colon": START + b"X-A : a\r\n\r\n",
    "Host with a space before the colon": b"GET /credentials HTTP/1.1\r\nHost : 127.0.0.1\r\n\r\n",
    "no colon": START + b"X-A\r\n\r\n",
    "chunks and a length": START + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "a length and chunks": START + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": START + b"Content-Length: 0\r\nContent-Length: 1\r\n\r\na",
    "the same length twice": START + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
    "a negative length": START + b"Content-Length: -1\r\n\r\n",
    "a signed length": START + b"Content-Length: +1\r\n\r\na",
    "a list of lengths": START + b"Content-Length: 1, 1\r\n\r\na",
    "a hexadecimal length": START + b"Content-Length: 0x1\r\n\r\na",
    "another coding": START + b"Transfer-Encoding: gzip\r\n\r\n",
    "a coding after chunked": START + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "a hexadecimal chunk size with a prefix": START + b"Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/3.0": b"GET /credentials HTTP/3.0\r\nHost: 127.0.0.1\r\n\r\n",
    "no version": b"GET /credentials\r\n\r\n",
}


@pytest.mark.parametrize("raw", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_ambiguous_requests(base: str, raw: bytes) -> None:
    """A request that two programs could read differently gets 400, and the connection is closed."""
    with Connection(base) as connection:
        connection.send(raw)
        response = connection.read_response()

        assert (response.status, code(response)) == (400, "BadRequest")
        assert connection.is_closed()


def test_header_names_in_any_case(base: str) -> None:
    """Rules apply to a header name in any case; a name that only looks similar is another header."""
    assert fetch(base, "/credentials", "x-FORWARDED-for: 1").status == 403
    assert fetch(base, "/credentials", "X_Forwarded_For: 1").status == 200
    assert fetch(base, "/latest/api/token", f"{TTL.upper()}: 60", method="PUT").status == 200


# --- addresses --------------------------------------------------------------------------------------------------------


def other_addresses() -> list[tuple[int, tuple[object, ...]]]:
    """Return the addresses of this machine that are not loopback, with their family."""
    listed = subprocess.run(["ip", "-o", "addr"], capture_output=True, text=True, check=True).stdout
    statuses = re.findall(r"^\d+: (\S+)\s+(inet6?) ([0-9a-f.:]+)/", listed, re.MULTILINE)
    return [
        (socket.AF_INET, (address, 0))
        if kind == "inet"
        else (socket.AF_INET6, (address, 0, 0, socket.if_nametoindex(name)))
        for name, kind, address in statuses
        if name.split("@")[0] != "lo"
    ]


@pytest.mark.skipif(shutil.which("ip") is None, reason="needs ip (apt-get install iproute2)")
def test_no_other_address_accepts_connections(sidecar: RunningSidecar) -> None:
    """Each address of this machine besides loopback refuses the connection."""
    ports = [int(urlsplit(sidecar.urls[name]).port or 0) for name in ("credentials", "ops")]
    addresses = other_addresses()
    assert addresses, "skipped: needs a network interface besides lo"

    for family, (address, _, *scope) in addresses:
        for port in ports:
            with socket.socket(family, socket.SOCK_STREAM) as client:
                client.settimeout(DEADLINE)
                assert client.connect_ex((address, port, *scope)) == errno.ECONNREFUSED, address


def test_bound_address_is_an_allowed_host(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A sidecar that is bound to another loopback address serves the URL that it logs, and no other one."""
    settings = config(cloud, server={"bind": "127.0.0.2:0", "ops": "127.0.0.1:0"})
    with serve(settings, home=tmp_path, env=ENV) as running:
        running.process.event("credentials_issued")
        base = running.urls["credentials"]

        assert base.startswith("http://127.0.0.2:")
        assert fetch(base, "/credentials", host=base.removeprefix("http://")).status == 200
        assert fetch(base, "/credentials", host="127.0.0.3").status == 403


def test_wildcard_bind(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A bind to all interfaces is refused unless access.unsafeBind is set, which gives a warning at each start."""
    path = tmp_path / "config.json"
    server = {"bind": "0.0.0.0:0", "ops": None}
    path.write_text(json.dumps(config(cloud, server=server)))
    refused = run("serve", "--config", str(path), env=environment(tmp_path, **ENV))
    with serve(config(cloud, server=server, access={"unsafeBind": True}), home=tmp_path, env=ENV) as running:
        warning = running.process.event("configuration")["message"]

    assert refused.code == 2
    assert "server.bind: 0.0.0.0:0 is reachable from other machines" in refused.error_line
    assert warning.startswith("access.unsafeBind:")
