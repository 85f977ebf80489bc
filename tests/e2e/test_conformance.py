"""`conformance` as a process: against `demo`, an independent correct server, and three servers with faults."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.conformance.wire.budget import Budget, BudgetExhausted
from app.conformance.wire.response import NoResponse
from app.conformance.wire.sender import SocketSender
from app.conformance.wire.url import HttpUrl

from ..ports import unused_port
from .credential_server import KEYS, TOKEN, Careless, CredentialServer, Fractional, FrameworkDefaults, listening
from .processes import DEADLINE, CommandResult, Demo, demo, environment, run

UNABLE = {"credentials-csharp", "credentials-cpp", "credentials-swift"}
GET = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with demo(home=tmp_path_factory.mktemp("conformance")) as running:
        yield running


def check(home: Path, base: str, *flags: str, path: str = "/credentials") -> CommandResult:
    return run("conformance", f"{base}{path}", *flags, env=environment(home), seconds=2 * DEADLINE)


def findings(document: dict[str, Any], verdict: str) -> set[str]:
    return {
        f"{item['protocol']} {item['rule']} {item['name']}" for item in document["rules"] if item["verdict"] == verdict
    }


def unmet_needs(document: dict[str, Any]) -> dict[str, set[str]]:
    """Return the unmet needs of each failing client."""
    return {
        f"{item['protocol']} {item['client']}": {unmet["need"] for unmet in item["unmet"]}
        for item in document["clients"]
        if item["verdict"] == "fails"
    }


def test_the_demo_conforms(sidecar: Demo, tmp_path: Path) -> None:
    """Exit code 0: all rules are kept, the slow ones too, and all clients work but the three that never work."""
    done = check(tmp_path, sidecar.metadata_url, "--ecs", sidecar.metadata_url, "--slow", "--json")

    document = json.loads(done.out)
    assert (done.code, done.err) == (0, "")
    assert document["conforms"]
    assert {item["verdict"] for item in document["rules"]} == {"ok", "advice", "not seen"}
    assert findings(document, "not seen") == {"ecs 9 wrong token", "ecs 9 expired token"}
    assert findings(document, "advice") == {"ecs 22 external-dns"}
    excluded = {"LoongCollector", "aliyungo (external-dns)"}
    assert {item["client"] for item in document["clients"] if item["verdict"] != "works"} == UNABLE | excluded
    assert document["requests"] < 150


def test_the_text_names_every_client(sidecar: Demo, tmp_path: Path) -> None:
    """Without --json the command prints a line for each rule and client, and a summary."""
    done = check(tmp_path, sidecar.metadata_url)

    assert done.code == 0
    assert "    works     credentials-python\n" in done.out
    assert "    unable    credentials-csharp\n" in done.out
    assert "ECS metadata" not in done.out
    assert done.out.splitlines()[-1].startswith("conforms (")


def test_an_independent_server_conforms(tmp_path: Path) -> None:
    """The rules are not specific to the sidecar: another implementation conforms, with the external-dns advice too."""
    with listening(CredentialServer()) as base:
        done = check(tmp_path, base, "--ecs", base, "--json")

    document = json.loads(done.out)
    assert done.code == 0, done.out
    assert findings(document, "advice") | findings(document, "broken") == set()


def test_a_server_with_fractions_and_nested_members(tmp_path: Path) -> None:
    """A fraction breaks Python, Java and oss2, but not Go and Node. A nested role ARN breaks ossfs v1."""
    with listening(Fractional()) as base:
        done = check(tmp_path, base, "--json")

    document, whole_seconds = json.loads(done.out), "Expiration in whole seconds, UTC, with Z"
    failing = unmet_needs(document)
    assert done.code == 1
    assert done.error_line.endswith(": the server does not conform (IDS-530)")
    assert findings(document, "broken") == {"uri body credentials"}
    assert {client for client, unmet in failing.items() if whole_seconds in unmet} == {
        "uri credentials-java",
        "uri aliyun-java-sdk-core",
        "uri credentials-python",
        "uri credentials-python async",
        "uri oss2",
        "uri ossfs2",
        "uri JindoSDK",
    }
    assert {client: unmet for client, unmet in failing.items() if whole_seconds not in unmet} == {
        "uri ossfs v1": {"exactly four members that ossfs finds by substring"}
    }


def test_a_server_with_a_frameworks_defaults(tmp_path: Path) -> None:
    """A line end after the role, 405 for the token and chunked responses are found, with the clients that fail."""
    with listening(FrameworkDefaults()) as base:
        done = check(tmp_path, base, "--ecs", base, "--json")

    document = json.loads(done.out)
    failing = unmet_needs(document)
    assert done.code == 1
    assert findings(document, "broken") == {
        "uri 4 length and type",
        "ecs 4 length and type",
        "ecs 7 token path",
        "ecs body list",
    }
    assert findings(document, "not seen") == {"ecs 5 PUT", "ecs 6 TTL", "ecs 9 wrong token", "ecs body token"}
    assert failing["uri ossfs2"] == failing["ecs ossfs2"] == {"Content-Length"}
    assert failing["ecs ack-ram-tool"] == {"status 200, 403 or 404 on the token path"}
    assert failing["ecs credentials-python"] == {"a role list of one name without a line end"}
    assert "ecs credentials-go" not in failing
    assert "uri credentials-python" not in failing


def test_a_careless_server(tmp_path: Path) -> None:
    """A Host with port, a redirect and expired credentials with status 200 are found, with the clients that fail."""
    with listening(Careless()) as base:
        done = check(tmp_path, base, "--ecs", base, "--json")

    document = json.loads(done.out)
    failing = unmet_needs(document)
    assert done.code == 1
    assert findings(document, "broken") == {"uri 1 direct", "uri 2 host", "uri body credentials", "ecs body role"}
    assert failing["uri credentials-python"] == {"status 200"}
    assert failing["uri credentials-java"] == failing["uri ecctl"] == {"an Expiration in the future"}
    assert "uri credentials-nodejs" not in failing
    assert "ecs credentials-go" not in failing


@pytest.mark.parametrize("server", [CredentialServer, Fractional, FrameworkDefaults, Careless])
@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_no_secret_is_printed(tmp_path: Path, server: Callable[[], CredentialServer], flags: tuple[str, ...]) -> None:
    """The report of a correct or faulty server contains no key, no token and no path of the URL."""
    with listening(server()) as base:
        done = check(tmp_path, base, "--ecs", base, *flags, path="/hush-path/credentials")

    printed = done.out + done.err
    assert done.code == (0 if server is CredentialServer else 1)
    assert not [value for value in (*KEYS.values(), TOKEN, "hush") if value in printed]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("https://127.0.0.1/x",), "URL: must begin with http://"),
        (("http://user:hush@127.0.0.1/x",), "URL: must not have userinfo"),
        (("http://127.0.0.1/x", "--ecs", "http://127.0.0.1/latest"), "--ecs: must be http://HOST:PORT without a path"),
        ((), "arguments are required: URL"),
    ],
)
def test_bad_usage(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    """Exit code 2 and one line that names the argument and does not contain a possible secret."""
    done = run("conformance", *arguments, env=environment(tmp_path))

    assert done.code == 2
    assert message in done.error_line
    assert "hush" not in done.err


def test_an_unreachable_server(tmp_path: Path) -> None:
    """Exit code 4 if no server listens at the URL."""
    port = unused_port()
    done = check(tmp_path, f"http://127.0.0.1:{port}", path="/hush")

    assert done.code == 4
    assert f"http://127.0.0.1:{port}: Connection refused" in done.error_line
    assert "hush" not in done.err


@contextmanager
def sending(*pieces: bytes, then: Callable[[socket.socket], object] = lambda _: None) -> Iterator[HttpUrl]:
    """Run a server that sends `pieces` to each connection and then calls `then` with it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepted: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                    accepted.append(connection)
                    connection.recv(65_536)
                    for piece in pieces:
                        connection.sendall(piece)
                    then(connection)
                except OSError:
                    return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield HttpUrl("127.0.0.1", listener.getsockname()[1], "/")
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in accepted:
                connection.close()


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    connection.close()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"


@pytest.mark.parametrize(
    ("pieces", "then", "timeout", "reason"),
    [
        ((), lambda _: None, 0.2, "no complete response within 0.2 s"),
        ((OK, b"o"), lambda _: None, 0.2, "no complete response within 0.2 s"),
        ((b"SSH-2.0-x\r\n\r\n",), lambda _: None, DEADLINE, "no HTTP/1 status line"),
        ((), socket.socket.close, DEADLINE, "connection closed without a response"),
        ((OK, b"o"), socket.socket.close, DEADLINE, "a body of 1 bytes where Content-Length says 2"),
        ((), reset, DEADLINE, "Connection reset by peer"),
    ],
)
def test_missing_responses(
    pieces: tuple[bytes, ...], then: Callable[[socket.socket], object], timeout: float, reason: str
) -> None:
    """A server that hangs, closes, resets or speaks another protocol gives no response, with the reason, in time."""
    with sending(*pieces, then=then) as url:
        assert SocketSender(url, Budget(), timeout=timeout).send(GET) == NoResponse(reason)


def test_an_endless_body_is_not_read() -> None:
    """A body is read up to the size limit only."""
    with sending(b"HTTP/1.1 200 OK\r\n\r\n", *([b"x" * 65_536] * 100)) as url:
        assert SocketSender(url, Budget(), timeout=DEADLINE).send(GET) == NoResponse(
            "a body of more than 1048576 bytes"
        )


def test_the_budget_is_kept() -> None:
    """Past the number of requests or of seconds no request is sent."""
    with sending(OK, b"ok", then=socket.socket.close) as url:
        sender = SocketSender(url, Budget(max_requests=1))
        sender.send(GET)

        with pytest.raises(BudgetExhausted, match="1 requests"):
            sender.send(GET)
        with pytest.raises(BudgetExhausted, match="0 requests"):
            SocketSender(url, Budget(max_seconds=0)).send(GET)


@pytest.mark.parametrize(("then", "closed"), [(socket.socket.close, True), (reset, True), (lambda _: None, False)])
def test_idle_connections(then: Callable[[socket.socket], object], closed: bool) -> None:
    """A server that closes or resets an idle connection in time is told apart from one that keeps it open."""
    with sending(OK, b"ok", then=then) as url:
        seconds = SocketSender(url, Budget()).idle_seconds(GET, DEADLINE if closed else 0.2)

    assert (seconds is not None) is closed
