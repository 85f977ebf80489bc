"""What the listener does with bytes that are too many, too slow or no HTTP at all."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .processes import Demo, Serving, demo, serve, until
from .wire import Connection, ask, head


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with demo(home=tmp_path_factory.mktemp("listener")) as running:
        yield running


@pytest.fixture
def base(sidecar: Demo) -> str:
    return sidecar.metadata_url


REFUSED = [
    ("long path", head("GET", "/" + "a" * 9_000), 414),
    ("64 KiB path", head("GET", "/" + "a" * 65_536), 414),
    ("17 KiB header", head("GET", "/credentials", "X-A: " + "a" * 17_000), 431),
    ("1 MiB header", head("GET", "/credentials", "X-A: " + "a" * 1_048_576), 431),
    ("101 lines", head("GET", "/credentials", *(f"X-{n}: a" for n in range(101))), 431),
    ("2 000 lines", head("GET", "/credentials", *(f"X-{n}: a" for n in range(2000))), 431),
    ("2 KiB body", head("PUT", "/latest/api/token", "Content-Length: 2048") + b"a" * 2048, 413),
    (
        "chunked body",
        head("PUT", "/x", "Transfer-Encoding: chunked") + b"800\r\n" + b"a" * 2048 + b"\r\n0\r\n\r\n",
        413,
    ),
    ("trailer", b"GET /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: 127.0.0.1\r\n\r\n", 400),
    ("endless trailer", head("GET", "/x", "Transfer-Encoding: chunked") + b"0\r\nA: " + b"a" * 40_000, 431),
    ("refused, then Expect", b"GET /x\r\n\r\n" + head("PUT", "/x", "Content-Length: 1", "Expect: 100-continue"), 400),
    ("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    ("two lengths", head("PUT", "/x", "Content-Length: 1", "Content-Length: 2") + b"a", 400),
    ("length and chunks", head("PUT", "/x", "Content-Length: 3", "Transfer-Encoding: chunked") + b"0\r\n\r\n", 400),
    ("connect", b"CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400),
    ("asterisk", b"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400),
    ("folded header", b"GET /credentials HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: a\r\n b\r\n\r\n", 400),
    ("bare CR in header", b"GET /credentials HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: a\rb\r\n\r\n", 400),
    ("NUL in header", b"GET /credentials HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: a\0b\r\n\r\n", 400),
    ("no version", b"GET /credentials\r\n\r\n", 400),
]
CODES = {400: "BadRequest", 408: "RequestTimeout", 413: "TooLarge", 414: "TooLarge", 431: "TooLarge"}


@pytest.mark.parametrize(("name", "raw", "status"), REFUSED, ids=[name for name, _, _ in REFUSED])
@pytest.mark.parametrize("listener", ["credentials", "ops"])
def test_refused(sidecar: Demo, listener: str, name: str, raw: bytes, status: int) -> None:
    """What is no request within the limits gets its own status and Code on either listener, and the connection ends."""
    with Connection(sidecar.metadata_url if listener == "credentials" else sidecar.ops_url) as connection:
        connection.send(raw)
        answer = connection.answer()

        assert (answer.status, json.loads(answer.body)["Code"]) == (status, CODES[status])
        assert connection.closed()


def test_just_within_the_limits(base: str) -> None:
    """A hundred lines (Host among them), 16 000 bytes of head and a 1 KiB body are still a request."""
    lines = [f"X-{n}: {'a' * 150}" for n in range(98)]
    with Connection(base) as connection:
        connection.send(head("GET", "/credentials", *lines, "Content-Length: 1024") + b"a" * 1024)

        assert connection.answer().status == 200


def test_pipelined_requests_are_answered_in_order(sidecar: Demo) -> None:
    """Requests that are answered at once may follow each other without waiting."""
    with Connection(sidecar.ops_url) as connection:
        connection.send(head("GET", "/livez") + head("GET", "/nowhere") + head("GET", "/readyz"))

        assert [connection.answer().status for _ in range(3)] == [200, 404, 200]


@pytest.mark.parametrize(
    "behind", [head("GET", "/livez"), b"no HTTP at all\r\n\r\n", head("PUT", "/x", "Expect: 100-continue")]
)
@pytest.mark.parametrize("at_once", [True, False], ids=["one segment", "two segments"])
def test_nothing_overtakes_an_answer_that_is_owed(sidecar: Demo, behind: bytes, at_once: bool) -> None:
    """What comes behind a request whose answer takes a while is not read: that answer is the last, and says so."""
    with Connection(sidecar.ops_url) as connection:
        first = head("GET", "/metrics")
        for raw in [first + behind] if at_once else [first, behind]:
            connection.send(raw)
        answer = connection.answer()

        assert answer.status == 200
        assert answer.body.startswith(b"# HELP")
        if at_once:
            assert answer.headers["connection"] == "close"
            assert connection.closed()


@pytest.mark.parametrize("protocol", ["websocket", "h2c"])
def test_other_protocols_are_not_switched_to(base: str, protocol: str) -> None:
    """Java's HttpClient offers HTTP/2 with every first request: it gets its answer in the version that we speak."""
    with Connection(base) as connection:
        connection.send(head("GET", "/credentials", "Connection: Upgrade, HTTP2-Settings", f"Upgrade: {protocol}"))

        assert connection.answer().status == 200
        assert connection.closed()


def test_a_long_pipeline_is_no_long_head(base: str) -> None:
    """A segment that ends many requests and begins another is measured by its parts, not by its sum."""
    with Connection(base) as connection:
        one = head("GET", "/credentials", "X-A: " + "a" * 2900)
        whole = one * 15
        connection.send(whole[:-30])
        statuses = [connection.answer().status for _ in range(14)]
        connection.send(whole[-30:])

        assert [*statuses, connection.answer().status] == [200] * 15


def test_the_end_of_a_pipeline(base: str) -> None:
    """Of a thousand requests in one segment sixteen are answered, and the last answer says that it is the last."""
    with Connection(base) as connection:
        connection.send(head("GET", "/healthz") * 1000)
        answers = [connection.answer() for _ in range(16)]

        assert [answer.status for answer in answers] == [200] * 16
        assert [answer.headers.get("connection") for answer in answers] == [None] * 15 + ["close"]
        assert connection.closed()


def test_split_into_bytes(base: str) -> None:
    """A head that arrives byte by byte is the same request."""
    with Connection(base) as connection:
        for byte in head("GET", "/credentials"):
            connection.send(bytes([byte]))

        assert connection.answer().status == 200


def test_a_half_closed_client_gets_its_answer(sidecar: Demo) -> None:
    """A client that closes its sending side after the request still gets the answer, also one that takes a while."""
    for base, target in ((sidecar.metadata_url, "/credentials"), (sidecar.ops_url, "/metrics")):
        with Connection(base) as connection:
            connection.send(head("GET", target))
            connection.socket.shutdown(socket.SHUT_WR)

            assert connection.answer().status == 200


def test_who_does_not_read_is_dropped(sidecar: Demo) -> None:
    """Connections whose answers nobody reads end at their deadline, and their descriptors with them."""
    descriptors = Path(f"/proc/{sidecar.process.pid}/fd")
    before = len(list(descriptors.iterdir()))
    deaf = [deaf_client(sidecar.metadata_url, 200 + 100 * number) for number in range(10)]
    try:
        until(lambda: len(list(descriptors.iterdir())) >= before + 10)
        until(lambda: len(list(descriptors.iterdir())) <= before, 25)
    finally:
        for client in deaf:
            client.close()


def deaf_client(base: str, requests: int) -> socket.socket:
    """A client that asks much and reads nothing, with hardly any room for answers."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.settimeout(2)
    client.connect(("127.0.0.1", int(base.rpartition(":")[2])))
    with contextlib.suppress(TimeoutError):
        for _ in range(requests // 10):
            client.sendall(head("GET", "/credentials") * 10)
            ask(base, "/healthz")  # once this is answered, those were read: more of them at once would be the last
    return client


def test_http_1_0(base: str) -> None:
    """HTTP/1.0 is answered, and the connection closed; it needs a Host too, for the guard to look at."""
    with Connection(base) as connection:
        connection.send(b"GET /credentials HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
        assert connection.answer().status == 200
        assert connection.closed()


def test_expect_continue(base: str) -> None:
    """A client that asks before it sends its body is told to go on."""
    with Connection(base) as connection:
        connection.send(head("GET", "/credentials", "Content-Length: 3", "Expect: 100-continue"))
        assert connection.socket.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.send(b"abc")

        assert connection.answer().status == 200


def test_trickling_does_not_extend_the_deadline(base: str) -> None:
    """A head that is not whole ten seconds after its first byte gets 408, however diligently it trickles."""
    with Connection(base) as connection:
        started = time.monotonic()
        connection.send(b"GET /credentials HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ")
        connection.socket.settimeout(0.5)
        while not readable(connection) and time.monotonic() < started + 15:
            connection.send(b"a")
        took = time.monotonic() - started
        answer = connection.answer()

    assert (answer.status, json.loads(answer.body)["Code"]) == (408, "RequestTimeout")
    assert 9.5 < took < 12.5


def test_a_body_that_never_comes(base: str) -> None:
    """A head that announces a body which does not follow is a request that did not arrive in time."""
    with Connection(base) as connection:
        connection.send(head("PUT", "/latest/api/token", "Content-Length: 10"))
        answer = connection.answer()

    assert (answer.status, json.loads(answer.body)["Code"]) == (408, "RequestTimeout")


def readable(connection: Connection) -> bool:
    """Waits half a second for something to read."""
    try:
        connection._more()
    except TimeoutError:
        return False
    return True


def test_the_oldest_idle_connection_makes_room(sidecar: Demo, tmp_path: object) -> None:
    """At the cap a new client is answered, and the connection that was silent longest is closed for it."""
    config = json.loads(sidecar.config_path.read_text())
    config["access"] = {"maxConnections": 16}
    home = sidecar.config_path.parent / "full"
    home.mkdir()
    with serve(config, home=home, env=dict(sidecar.env)) as full:
        crowd = [Connection(full.urls["credentials"]) for _ in range(16)]
        try:
            assert served(full)
            assert crowd[0].closed()
        finally:
            for connection in crowd:
                connection.socket.close()


def served(full: Serving) -> bool:
    return ask(full.urls["credentials"], "/healthz").status == 200
