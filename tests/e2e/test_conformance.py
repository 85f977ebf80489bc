"""`conformance` as a process: against our own `demo`, a right server that is not ours, and three deliberately wrong."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.conformance.wire.address import Address
from app.conformance.wire.answer import NotAsked, Silence
from app.conformance.wire.exchange import Budget, Wire

from .credential_server import KEYS, TOKEN, Careless, CredentialServer, Fractional, Streaming, listening
from .processes import Demo, Ended, demo, environment, run

UNABLE = {"credentials-csharp", "credentials-cpp", "credentials-swift"}
GET = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with demo(home=tmp_path_factory.mktemp("conformance")) as running:
        yield running


def look(home: Path, base: str, *flags: str, path: str = "/credentials") -> Ended:
    return run("conformance", f"{base}{path}", *flags, env=environment(home), seconds=60)


def findings(document: dict[str, Any], verdict: str) -> set[str]:
    return {
        f"{item['protocol']} {item['rule']} {item['name']}" for item in document["rules"] if item["verdict"] == verdict
    }


def needs(document: dict[str, Any]) -> dict[str, set[str]]:
    """Each failing client's unmet needs."""
    return {
        f"{item['protocol']} {item['client']}": {unmet["need"] for unmet in item["unmet"]}
        for item in document["clients"]
        if item["verdict"] == "fails"
    }


def test_our_own_demo_conforms(sidecar: Demo, tmp_path: Path) -> None:
    """Exit 0: all rules, the slow ones too, and every client green but the three that no server can serve."""
    done = look(tmp_path, sidecar.metadata_url, "--ecs", sidecar.metadata_url, "--slow", "--json")

    document = json.loads(done.out)
    assert (done.code, done.err) == (0, "")
    assert document["conforms"]
    assert {item["verdict"] for item in document["rules"]} == {"ok", "advice"}
    assert findings(document, "advice") == {"ecs 22 external-dns"}
    assert {item["client"] for item in document["clients"] if item["verdict"] != "works"} == UNABLE
    assert document["requests"] < 150


def test_the_text_names_every_client(sidecar: Demo, tmp_path: Path) -> None:
    """Without --json: a line for each rule and client, and the sum."""
    done = look(tmp_path, sidecar.metadata_url)

    assert done.code == 0
    assert "    works     credentials-python\n" in done.out
    assert "    unable    credentials-csharp\n" in done.out
    assert "ECS metadata" not in done.out
    assert done.out.splitlines()[-1].startswith("it conforms (")


def test_a_right_server_that_is_not_ours(tmp_path: Path) -> None:
    """The rules are not our own habits: another implementation conforms too, with external-dns and all."""
    with listening(CredentialServer()) as base:
        done = look(tmp_path, base, "--ecs", base, "--json")

    document = json.loads(done.out)
    assert done.code == 0, done.out
    assert findings(document, "advice") | findings(document, "broken") == set()


def test_a_server_of_fractions_and_nested_members(tmp_path: Path) -> None:
    """A fraction breaks Python, Java and oss2, not Go and Node; a role ARN within another member breaks ossfs v1."""
    with listening(Fractional()) as base:
        done = look(tmp_path, base, "--json")

    document, whole = json.loads(done.out), "Expiration in whole seconds, UTC, with Z"
    failing = needs(document)
    assert done.code == 1
    assert findings(document, "broken") == {"uri body credentials"}
    assert {client for client, unmet in failing.items() if whole in unmet} == {
        "uri credentials-java",
        "uri aliyun-java-sdk-core",
        "uri credentials-python",
        "uri credentials-python async",
        "uri oss2",
        "uri ossfs2",
        "uri JindoSDK",
    }
    assert {client: unmet for client, unmet in failing.items() if whole not in unmet} == {
        "uri ossfs v1": {"exactly four members that ossfs finds by substring"}
    }


def test_a_server_of_a_frameworks_defaults(tmp_path: Path) -> None:
    """A line end behind the role, 405 for the token, chunked answers: each is found, with whom it breaks."""
    with listening(Streaming()) as base:
        done = look(tmp_path, base, "--ecs", base, "--json")

    document = json.loads(done.out)
    failing = needs(document)
    assert done.code == 1
    assert findings(document, "broken") == {
        "uri 4 length and type",
        "ecs 4 length and type",
        "ecs 7 token path",
        "ecs body list",
    }
    assert findings(document, "not seen") == {"ecs 5 PUT", "ecs 6 TTL", "ecs 9 wrong token", "ecs body token"}
    assert failing["uri ossfs2"] == failing["ecs ossfs2"] == {"Content-Length"}
    assert failing["ecs ack-ram-tool"] == {"200, 403 or 404 on the token path"}
    assert failing["ecs credentials-python"] == {"a role list of one name without a line end"}
    assert "ecs credentials-go" not in failing
    assert "uri credentials-python" not in failing


def test_a_careless_server(tmp_path: Path) -> None:
    """Host with the port, a redirect, expired credentials as a success: found, with whom each breaks."""
    with listening(Careless()) as base:
        done = look(tmp_path, base, "--ecs", base, "--json")

    document = json.loads(done.out)
    failing = needs(document)
    assert done.code == 1
    assert findings(document, "broken") == {"uri 1 direct", "uri 2 host", "uri body credentials", "ecs body role"}
    assert failing["uri credentials-python"] == {"status 200"}
    assert failing["uri credentials-java"] == failing["uri ecctl"] == {"an Expiration in the future"}
    assert "uri credentials-nodejs" not in failing
    assert "ecs credentials-go" not in failing


@pytest.mark.parametrize("server", [CredentialServer, Fractional, Streaming, Careless])
@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_no_secret_is_told(tmp_path: Path, server: Callable[[], CredentialServer], flags: tuple[str, ...]) -> None:
    """Whatever the server does: no key, no token and no path of the URL is printed."""
    with listening(server()) as base:
        done = look(tmp_path, base, "--ecs", base, *flags, path="/hush-path/credentials")

    told = done.out + done.err
    assert done.code == (0 if server is CredentialServer else 1)
    assert not [value for value in (*KEYS.values(), TOKEN, "hush") if value in told]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("https://127.0.0.1/x",), "URL: must begin with http://"),
        (("http://user:hush@127.0.0.1/x",), "URL: must not have userinfo"),
        (("http://127.0.0.1/x", "--ecs", "http://127.0.0.1/latest"), "--ecs: must be http://HOST:PORT alone"),
        ((), "arguments are required: URL"),
    ],
)
def test_bad_usage(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    """Exit 2 and one line that names the argument, without what may be a secret in it."""
    done = run("conformance", *arguments, env=environment(tmp_path))

    assert done.code == 2
    assert words in done.complaint
    assert "hush" not in done.err


def test_nobody_there(tmp_path: Path) -> None:
    """Exit 4 where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    done = look(tmp_path, f"http://127.0.0.1:{port}", path="/hush")

    assert done.code == 4
    assert f"http://127.0.0.1:{port}: Connection refused" in done.complaint
    assert "hush" not in done.err


@contextmanager
def saying(*pieces: bytes, end: Callable[[socket.socket], object] = lambda _: None) -> Iterator[Address]:
    """A server that says `pieces` to whoever connects, then does `end`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held: list[socket.socket] = []

        def serve_all() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                    held.append(connection)
                    connection.recv(65_536)
                    for piece in pieces:
                        connection.sendall(piece)
                    end(connection)
                except OSError:
                    return

        thread = threading.Thread(target=serve_all, daemon=True)
        thread.start()
        try:
            yield Address("127.0.0.1", listener.getsockname()[1], "/")
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in held:
                connection.close()


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    connection.close()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"


@pytest.mark.parametrize(
    ("pieces", "end", "words"),
    [
        ((), lambda _: None, "no whole answer within 0.2 s"),
        ((OK, b"o"), lambda _: None, "no whole answer within 0.2 s"),
        ((b"SSH-2.0-x\r\n\r\n",), lambda _: None, "no HTTP/1 status line"),
        ((), socket.socket.close, "the connection ended without an answer"),
        ((OK, b"o"), socket.socket.close, "a body of 1 bytes where Content-Length says 2"),
        ((), reset, "Connection reset by peer"),
    ],
)
def test_silences(pieces: tuple[bytes, ...], end: Callable[[socket.socket], object], words: str) -> None:
    """A server that hangs, breaks off, resets or speaks something else is a silence with its reason, in time."""
    with saying(*pieces, end=end) as where:
        assert Wire(where, Budget(), patience=0.2).ask(GET) == Silence(words)


def test_a_flood_of_bytes_is_let_go() -> None:
    """A body without end is not read to its end."""
    with saying(b"HTTP/1.1 200 OK\r\n\r\n", *([b"x" * 65_536] * 100)) as where:
        assert Wire(where, Budget(), patience=20).ask(GET) == Silence("a body of more than 1048576 bytes")


def test_the_budget_is_kept() -> None:
    """Past the number of requests or of seconds nothing is sent any more."""
    with saying(OK, b"ok", end=socket.socket.close) as where:
        wire = Wire(where, Budget(requests=1))
        wire.ask(GET)

        with pytest.raises(NotAsked, match="1 requests"):
            wire.ask(GET)
        with pytest.raises(NotAsked, match="0 requests"):
            Wire(where, Budget(seconds=0)).ask(GET)


@pytest.mark.parametrize(("end", "closed"), [(socket.socket.close, True), (reset, True), (lambda _: None, False)])
def test_idle_connections(end: Callable[[socket.socket], object], closed: bool) -> None:
    """Who closes, or resets, an idle connection in time is told from who keeps it."""
    with saying(OK, b"ok", end=end) as where:
        seconds = Wire(where, Budget()).idle_seconds(GET, 0.2)

    assert (seconds is not None) is closed
