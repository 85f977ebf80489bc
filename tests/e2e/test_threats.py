"""Attacks on the HTTP face of a real process, row by row as the threat list has them; floods and users stand apart.

In-process clients have hidden dead checks elsewhere, so nothing here is taken from one: sockets, bytes, a `serve`.
"""

from __future__ import annotations

import errno
import json
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from .processes import EmulatedCloud, RunningSidecar, emulator, environment, run, serve, wait_until
from .cloud import ENV, config
from .wire import Response, Connection, fetch, request_head

ROLES = "/latest/meta-data/ram/security-credentials"
TTL = "X-aliyun-ecs-metadata-token-ttl-seconds"
TOKEN = "X-aliyun-ecs-metadata-token"
PATH_TOKEN = "path-token-0123456789"
CREDENTIAL = (b"STS.", b"SecurityToken", b"AccessKeySecret")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedCloud]:
    with emulator(home=tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture(scope="module")
def sidecar(cloud: EmulatedCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSidecar]:
    """Everything at its default."""
    with serve(config(cloud), home=tmp_path_factory.mktemp("plain"), env=ENV) as running:
        running.process.event("credentials_issued")
        yield running


@pytest.fixture(scope="module")
def hardened(cloud: EmulatedCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSidecar]:
    """A path token, and session tokens required."""
    home = tmp_path_factory.mktemp("hardened")
    (home / "path-token").write_text(PATH_TOKEN)
    access = {"pathToken": {"file": str(home / "path-token")}, "metadataTokens": "required"}
    with serve(config(cloud, access=access), home=home, env=ENV) as running:
        running.process.event("credentials_issued")
        yield running


@pytest.fixture
def base(sidecar: RunningSidecar) -> str:
    return sidecar.urls["credentials"]


def said(base: str, raw: bytes) -> Response:
    """The answer to these very bytes."""
    with Connection(base) as connection:
        connection.send(raw)
        return connection.read_response()


def code(answer: Response) -> str:
    return str(json.loads(answer.body)["Code"])


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
def test_a_foreign_host(base: str, host: str, path: str) -> None:
    """DNS rebinding: whoever believes to talk to somebody else gets nothing, whatever the port is."""
    answer = fetch(base, path, host=host)

    assert (answer.status, code(answer)) == (403, "AccessDenied.Host")


@pytest.mark.parametrize("path", PATHS)
def test_no_host_or_two(base: str, path: str) -> None:
    """A missing Host is no HTTP/1.1, and two Hosts are believed by two programs each."""
    none = said(base, f"GET {path} HTTP/1.1\r\n\r\n".encode())
    two = fetch(base, path, "Host: evil.example")
    same = fetch(base, path, "HOST: 127.0.0.1")

    assert [answer.status for answer in (none, two, same)] == [400, 400, 400]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:7117", "localhost", "LOCALHOST:80", "[::1]", "100.100.100.200"]
)
def test_our_own_hosts(base: str, host: str) -> None:
    """The loopback names and the metadata address pass, with any port."""
    assert fetch(base, "/credentials", host=host).status == 200


@pytest.mark.parametrize(
    "target", ["http://127.0.0.1/credentials", "http://evil.example/credentials", "//127.0.0.1/credentials"]
)
def test_a_whole_url_as_target(base: str, target: str) -> None:
    """Who takes us for a proxy is refused; two slashes are a path, and one that is not served."""
    answer = fetch(base, target)

    assert answer.status == (404 if target.startswith("//") else 403)


# --- 2: forwarded requests, browsers ----------------------------------------------------------------------------------

FORWARDED = (
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Port",
    "Forwarded",
    "Via",
    "X-Real-IP",
)


@pytest.mark.parametrize("value", ["203.0.113.7", ""])
@pytest.mark.parametrize("name", [*FORWARDED, *map(str.upper, FORWARDED), *map(str.lower, FORWARDED)])
def test_forwarded(base: str, name: str, value: str) -> None:
    """SSRF through a reverse proxy: GET and PUT alike, in any case of the header, also with nothing in it."""
    get = fetch(base, f"{ROLES}/default", f"{name}: {value}")
    uri = fetch(base, "/credentials", f"{name}: {value}")
    put = fetch(base, "/latest/api/token", f"{name}: {value}", f"{TTL}: 60", method="PUT")

    assert {(answer.status, code(answer)) for answer in (get, uri, put)} == {(403, "AccessDenied.Forwarded")}


BROWSER = (
    *("Origin: https://evil.example", "Origin: null", "ORIGIN: http://127.0.0.1", "Sec-Fetch-Site: cross-site"),
    *("Sec-Fetch-Site: none", "sec-fetch-mode: navigate", "Sec-Fetch-Dest: empty"),
)


@pytest.mark.parametrize("line", BROWSER)
def test_browsers(base: str, line: str) -> None:
    """A page that asks loopback is refused on every path and method, a preflight among them."""
    asked = [
        fetch(base, "/credentials", line),
        fetch(base, "/latest/api/token", line, f"{TTL}: 60", method="PUT"),
        fetch(base, "/credentials", line, "Access-Control-Request-Method: GET", method="OPTIONS"),
    ]

    assert {(answer.status, code(answer)) for answer in asked} == {(403, "AccessDenied.Browser")}


def test_no_cors_on_any_answer(sidecar: RunningSidecar, base: str) -> None:
    """No answer of any listener permits a page to read it."""
    asked = [fetch(base, path) for path in (*PATHS, "/healthz", "/nowhere")]
    asked += [fetch(base, path, "Origin: null") for path in PATHS]
    asked += [
        fetch(sidecar.urls["ops"], path, "Origin: null") for path in ("/livez", "/metrics", "/status", "/status.json")
    ]

    assert not [name for answer in asked for name in answer.headers if name.startswith("access-control")]


# --- 3: tokens --------------------------------------------------------------------------------------------------------


def new_token(base: str, ttl: str = "21600", *lines: str) -> str:
    answer = fetch(base, "/latest/api/token", f"{TTL}: {ttl}", *lines, method="PUT")
    assert answer.status == 200
    return answer.body.decode()


OWN = f"X-Aliyun-Parameters-Secrets-Token: {PATH_TOKEN}"
WITH_PATH_TOKEN = [
    (f"/{PATH_TOKEN}/credentials", (), 200),
    ("/credentials", (OWN,), 200),
    ("/credentials", (), 403),
    (f"/{PATH_TOKEN[:-1]}/credentials", (), 403),
    (f"/{PATH_TOKEN}x/credentials", (), 403),
    (f"/{PATH_TOKEN.upper()}/credentials", (), 403),
    (f"/credentials?token={PATH_TOKEN}", (), 403),
    (f"/credentials?__ssrf_token={PATH_TOKEN}", (), 403),
    (f"/credentials#{PATH_TOKEN}", (), 403),
    (f"//{PATH_TOKEN}/credentials", (), 403),
    ("/credentials", (f"X-Aliyun-Parameters-Secrets-Token: {PATH_TOKEN}x",), 403),
    ("/credentials", (OWN, OWN), 403),
    ("/credentials", (f"Cookie: token={PATH_TOKEN}", f"Authorization: Bearer {PATH_TOKEN}"), 403),
]


@pytest.mark.parametrize(("target", "lines", "status"), WITH_PATH_TOKEN)
def test_the_path_token(hardened: RunningSidecar, target: str, lines: tuple[str, ...], status: int) -> None:
    """Who cannot choose the whole URL, or a header, gets nothing; a query, which ends in logs, is no place for it."""
    answer = fetch(hardened.urls["credentials"], target, *lines)

    assert answer.status == status
    assert status == 200 or code(answer) == "AccessDenied.PathToken"


def test_session_tokens(hardened: RunningSidecar, sidecar: RunningSidecar) -> None:
    """Required: none, a wrong one, another sidecar's and two of them are refused; the right one is taken."""
    here = hardened.urls["credentials"]
    own = new_token(here, "60", OWN)
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

    found = {name: fetch(here, f"{ROLES}/default", OWN, *extra).status for name, extra in lines.items()}

    assert found == {"own": 200, "none": 401, "foreign": 401, "prolonged": 401, "cut": 401, "two": 401}
    assert fetch(here, f"{ROLES}/default?{TOKEN}={own}", OWN).status == 401


def test_a_session_token_ends(hardened: RunningSidecar) -> None:
    """A token for a second is none two seconds later."""
    here = hardened.urls["credentials"]
    token = new_token(here, "1", OWN)
    statuses: list[int] = []

    def refused() -> bool:
        statuses.append(fetch(here, f"{ROLES}/default", OWN, f"{TOKEN}: {token}").status)
        return statuses[-1] == 401

    wait_until(refused, 5)
    assert statuses[0] == 200


# --- the TTL's edges, written down ------------------------------------------------------------------------------------

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
    """What is a TTL and what is not, exactly; white space around a header's value is no part of it."""
    raw = b"PUT /latest/api/token HTTP/1.1\r\nHost: 127.0.0.1\r\n" + f"{TTL}:{ttl}\r\n\r\n".encode()
    answer = said(base, raw)

    assert answer.status == status
    assert status == 200 or code(answer) == "BadRequest"


def test_no_ttl_or_two(base: str) -> None:
    """A TTL that is not said, or said twice, is none."""
    none = fetch(base, "/latest/api/token", method="PUT")
    two = fetch(base, "/latest/api/token", f"{TTL}: 60", f"{TTL.lower()}: 60", method="PUT")

    assert (none.status, two.status) == (400, 400)


# --- paths and methods ------------------------------------------------------------------------------------------------

METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "PROPFIND", "get")
DOCUMENTED = ("/credentials", "/credentials/", "/credentials/default", f"{ROLES}/default", f"{ROLES}/default/")
OTHERS = (
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
def test_credentials_at_no_other_place(base: str, method: str) -> None:
    """Every method on every path but the documented GETs: no byte of a credential, and never a success."""
    for path in (*DOCUMENTED, *OTHERS):
        if method == "GET" and path in DOCUMENTED:
            continue
        with Connection(base) as connection:
            connection.send(request_head(method, path, "Connection: close"))
            answer = connection.read_response(head_only=method == "HEAD")

        assert answer.status in (400, 403, 404, 405), path
        assert not [mark for mark in CREDENTIAL if mark in answer.body], path


@pytest.mark.parametrize("path", DOCUMENTED)
def test_credentials_where_they_belong(base: str, path: str) -> None:
    """The control: there they are."""
    answer = fetch(base, path)

    assert answer.status == 200
    assert all(mark in answer.body for mark in CREDENTIAL)


def test_no_credential_on_the_operations_port(sidecar: RunningSidecar) -> None:
    """Nothing that is asked there, by whatever path, contains one."""
    for path in (*DOCUMENTED, *OTHERS):
        answer = fetch(sidecar.urls["ops"], path)
        assert not [mark for mark in CREDENTIAL if mark in answer.body], path


# --- what two programs may read differently ---------------------------------------------------------------------------

START = b"GET /credentials HTTP/1.1\r\nHost: 127.0.0.1\r\n"
CONFUSING = {
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
    "a coding behind chunked": START + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "a chunk of a strange size": START + b"Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/3.0": b"GET /credentials HTTP/3.0\r\nHost: 127.0.0.1\r\n\r\n",
    "no version": b"GET /credentials\r\n\r\n",
}


@pytest.mark.parametrize("raw", CONFUSING.values(), ids=CONFUSING)
def test_confusing_requests(base: str, raw: bytes) -> None:
    """What one program may read so and another otherwise is 400, and the connection is not used again."""
    with Connection(base) as connection:
        connection.send(raw)
        answer = connection.read_response()

        assert (answer.status, code(answer)) == (400, "BadRequest")
        assert connection.is_closed()


def test_a_header_in_other_letters_is_the_same_header(base: str) -> None:
    """Rules hold for a header's name in any case; a name that only looks like it is another header."""
    assert fetch(base, "/credentials", "x-FORWARDED-for: 1").status == 403
    assert fetch(base, "/credentials", "X_Forwarded_For: 1").status == 200
    assert fetch(base, "/latest/api/token", f"{TTL.upper()}: 60", method="PUT").status == 200


# --- where it listens -------------------------------------------------------------------------------------------------


def other_addresses() -> list[tuple[int, tuple[object, ...]]]:
    """The machine's own addresses that are not loopback, by family."""
    listed = subprocess.run(["ip", "-o", "addr"], capture_output=True, text=True, check=True).stdout
    found = re.findall(r"^\d+: (\S+)\s+(inet6?) ([0-9a-f.:]+)/", listed, re.MULTILINE)
    return [
        (socket.AF_INET, (address, 0))
        if kind == "inet"
        else (socket.AF_INET6, (address, 0, 0, socket.if_nametoindex(name)))
        for name, kind, address in found
        if name.split("@")[0] != "lo"
    ]


def test_no_other_address_answers(sidecar: RunningSidecar) -> None:
    """Bound to loopback and nowhere else: each other address of this machine refuses the connection."""
    ports = [int(urlsplit(sidecar.urls[name]).port or 0) for name in ("credentials", "ops")]
    addresses = other_addresses()
    assert addresses, "skipped: needs a network interface besides lo"

    for family, (address, _, *scope) in addresses:
        for port in ports:
            with socket.socket(family, socket.SOCK_STREAM) as client:
                client.settimeout(5)
                assert client.connect_ex((address, port, *scope)) == errno.ECONNREFUSED, address


def test_a_wildcard_is_refused(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Credentials on all interfaces only for who says that it is unsafe, and then with a warning at each start."""
    path = tmp_path / "config.json"
    server = {"bind": "0.0.0.0:0", "ops": None}
    path.write_text(json.dumps(config(cloud, server=server)))
    refused = run("serve", "--config", str(path), env=environment(tmp_path, **ENV))
    with serve(config(cloud, server=server, access={"unsafeBind": True}), home=tmp_path, env=ENV) as running:
        warning = running.process.event("configuration")["message"]

    assert refused.code == 2
    assert "server.bind: 0.0.0.0:0 is reachable from other machines" in refused.error_line
    assert warning.startswith("access.unsafeBind:")
