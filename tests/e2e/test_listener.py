"""The listener's handling of bytes that are too many, too slow or not HTTP."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .processes import DEADLINE, Demo, RunningSidecar, demo, serve, wait_until
from .wire import Connection, fetch, request_head


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A running demo."""
    with demo(home=tmp_path_factory.mktemp("listener")) as running:
        yield running


@pytest.fixture
def base(sidecar: Demo) -> str:
    """The base URL of the credentials listener."""
    return sidecar.metadata_url


REFUSED = [
    ("long path", request_head("GET", "/" + "a" * 9_000), 414),
    ("64 KiB path", request_head("GET", "/" + "a" * 65_536), 414),
    ("17 KiB header", request_head("GET", "/credentials", "X-A: " + "a" * 17_000), 431),
    ("1 MiB header", request_head("GET", "/credentials", "X-A: " + "a" * 1_048_576), 431),
    ("101 lines", request_head("GET", "/credentials", *(f"X-{n}: a" for n in range(101))), 431),
    ("2 000 lines", request_head("GET", "/credentials", *(f"X-{n}: a" for n in range(2000))), 431),
    ("2 KiB body", request_head("PUT", "/latest/api/token", "Content-Length: 2048") + b"a" * 2048, 413),
    (
        "chunked body",
        request_head("PUT", "/x", "Transfer-Encoding: chunked") + b"800\r\n" + b"a" * 2048 + b"\r\n0\r\n\r\n",
        413,
    ),
    ("trailer", b"GET /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: 127.0.0.1\r\n\r\n", 400),
    ("endless trailer", request_head("GET", "/x", "Transfer-Encoding: chunked") + b"0\r\nA: " + b"a" * 40_000, 431),
    (
        "refused, then Expect",
        b"GET /x\r\n\r\n" + request_head("PUT", "/x", "Content-Length: 1", "Expect: 100-continue"),
        400,
    ),
    ("not HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    ("two lengths", request_head("PUT", "/x", "Content-Length: 1", "Content-Length: 2") + b"a", 400),
    (
        "length and chunks",
        request_head("PUT", "/x", "Content-Length: 3", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
        400,
    ),
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
    """A request outside the limits gets its own status and Code on both listeners, and the connection is closed."""
    with Connection(sidecar.metadata_url if listener == "credentials" else sidecar.ops_url) as connection:
        with contextlib.suppress(OSError):  # the server need not read the whole request
            connection.send(raw)
        response = connection.read_response()

        assert (response.status, json.loads(response.body)["Code"]) == (status, CODES[status])
        assert connection.is_closed()


def test_just_within_the_limits(base: str) -> None:
    """A request with a hundred header lines (Host among them), a head of 16 000 bytes and a body of 1 KiB gets 200."""
    lines = [f"X-{n}: {'a' * 150}" for n in range(98)]
    with Connection(base) as connection:
        connection.send(request_head("GET", "/credentials", *lines, "Content-Length: 1024") + b"a" * 1024)

        assert connection.read_response().status == 200


def test_pipelined_requests_are_answered_in_order(sidecar: Demo) -> None:
    """Pipelined requests that need no wait are answered in their order."""
    with Connection(sidecar.ops_url) as connection:
        connection.send(
            request_head("GET", "/livez") + request_head("GET", "/nowhere") + request_head("GET", "/readyz")
        )

        assert [connection.read_response().status for _ in range(3)] == [200, 404, 200]


@pytest.mark.parametrize(
    "second",
    [request_head("GET", "/livez"), b"not HTTP\r\n\r\n", request_head("PUT", "/x", "Expect: 100-continue")],
)
@pytest.mark.parametrize("one_segment", [True, False], ids=["one segment", "two segments"])
def test_pending_response_stops_the_pipeline(sidecar: Demo, second: bytes, one_segment: bool) -> None:
    """Data behind a request whose response takes a while is not read; that response is the last and closes."""
    first = request_head("GET", "/metrics")
    segments = [first + second] if one_segment else [first, second]

    def was_pending() -> bool:
        """Send the requests on a new connection. Return False if the response was there at once: one of before."""
        with Connection(sidecar.ops_url) as connection:
            for raw in segments:
                connection.send(raw)
            response = connection.read_response()

            assert response.status == 200
            assert response.body.startswith(b"# HELP")
            return "connection" in response.headers and connection.is_closed()

    if one_segment:
        wait_until(was_pending)
    else:
        was_pending()


@pytest.mark.parametrize("protocol", ["websocket", "h2c"])
def test_other_protocols_are_not_switched_to(base: str, protocol: str) -> None:
    """An upgrade offer is answered in HTTP/1.1: Java's HttpClient offers HTTP/2 with each first request."""
    with Connection(base) as connection:
        connection.send(
            request_head("GET", "/credentials", "Connection: Upgrade, HTTP2-Settings", f"Upgrade: {protocol}")
        )

        assert connection.read_response().status == 200
        assert connection.is_closed()


def test_long_pipeline_is_not_a_long_head(base: str) -> None:
    """A segment that ends several requests and begins another is not counted as one long head."""
    with Connection(base) as connection:
        one = request_head("GET", "/credentials", "X-A: " + "a" * 2900)
        whole = one * 15
        connection.send(whole[:-30])
        statuses = [connection.read_response().status for _ in range(14)]
        connection.send(whole[-30:])

        assert [*statuses, connection.read_response().status] == [200] * 15


def test_pipeline_limit(base: str) -> None:
    """Of a thousand requests in one segment sixteen are answered, and the last response has Connection: close."""
    with Connection(base) as connection:
        connection.send(request_head("GET", "/healthz") * 1000)
        responses = [connection.read_response() for _ in range(16)]

        assert [response.status for response in responses] == [200] * 16
        assert [response.headers.get("connection") for response in responses] == ["keep-alive"] * 15 + ["close"]
        assert connection.is_closed()


def test_split_into_bytes(base: str) -> None:
    """A head that arrives byte by byte is the same request."""
    with Connection(base) as connection:
        for byte in request_head("GET", "/credentials"):
            connection.send(bytes([byte]))

        assert connection.read_response().status == 200


def test_half_closed_client_gets_its_response(sidecar: Demo) -> None:
    """A client that closes its sending side after the request still gets the response, at once or later."""
    for base, target in ((sidecar.metadata_url, "/credentials"), (sidecar.ops_url, "/metrics")):
        with Connection(base) as connection:
            connection.send(request_head("GET", target))
            connection.socket.shutdown(socket.SHUT_WR)

            assert connection.read_response().status == 200


def test_client_that_does_not_read_is_dropped(sidecar: Demo) -> None:
    """A connection whose responses are not read is closed at its deadline, and its descriptor is freed."""
    descriptors = Path(f"/proc/{sidecar.process.pid}/fd")
    before = len(list(descriptors.iterdir()))
    clients = [client_that_does_not_read(sidecar.metadata_url, 200 + 100 * number) for number in range(10)]
    try:
        wait_until(lambda: all(map(is_ended, clients)))
        wait_until(lambda: len(list(descriptors.iterdir())) <= before)
    finally:
        for client in clients:
            client.close()


def is_ended(client: socket.socket) -> bool:
    """Return whether the server has closed or reset the connection. Reads nothing."""
    poll = select.poll()
    poll.register(client, select.POLLRDHUP)
    return bool(poll.poll(0))


def client_that_does_not_read(base: str, requests: int) -> socket.socket:
    """Return a client with a small receive buffer that sends many requests and reads nothing."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.connect(("127.0.0.1", int(base.rpartition(":")[2])))
    client.settimeout(2)
    with contextlib.suppress(OSError):  # no more fits, or a slow machine reaches the deadline before that
        for _ in range(requests // 10):
            client.sendall(request_head("GET", "/credentials") * 10)
            # After this response the ten requests have been read. A longer pipeline would end the connection.
            fetch(base, "/healthz")
    return client


def test_http_1_0(base: str) -> None:
    """HTTP/1.0 is answered and the connection is closed. It needs a Host header too, for the guard."""
    with Connection(base) as connection:
        connection.send(b"GET /credentials HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
        assert connection.read_response().status == 200
        assert connection.is_closed()


def test_expect_continue(base: str) -> None:
    """A client that sends Expect: 100-continue is told to continue."""
    with Connection(base) as connection:
        connection.send(request_head("GET", "/credentials", "Content-Length: 3", "Expect: 100-continue"))
        assert connection.socket.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.send(b"abc")

        assert connection.read_response().status == 200


def test_trickling_does_not_extend_the_deadline(base: str) -> None:
    """A head that is incomplete ten seconds after its first byte gets 408, although bytes still arrive."""
    with Connection(base) as connection:
        started = time.monotonic()
        connection.send(b"GET /credentials HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ")
        connection.socket.settimeout(0.5)
        while not is_readable(connection) and time.monotonic() < started + DEADLINE:
            connection.send(b"a")
        took = time.monotonic() - started
        response = connection.read_response()

    assert (response.status, json.loads(response.body)["Code"]) == (408, "RequestTimeout")
    assert took > 9.5


def test_missing_body(base: str) -> None:
    """A head whose announced body does not arrive gets 408."""
    with Connection(base) as connection:
        connection.send(request_head("PUT", "/latest/api/token", "Content-Length: 10"))
        response = connection.read_response()

    assert (response.status, json.loads(response.body)["Code"]) == (408, "RequestTimeout")


def is_readable(connection: Connection) -> bool:
    """Wait half a second for data, and return whether some arrived."""
    try:
        connection.receive()
    except TimeoutError:
        return False
    return True


def test_oldest_idle_connection_is_closed_at_the_limit(sidecar: Demo, tmp_path: object) -> None:
    """At the connection limit a new client is answered, and the connection that is idle for longest is closed."""
    config = json.loads(sidecar.config_path.read_text())
    config["access"] = {"maxConnections": 16}
    config["server"] = {"bind": "127.0.0.1:0", "ops": "127.0.0.1:0"}  # the demo has its own ports
    home = sidecar.config_path.parent / "limited"
    home.mkdir()
    with serve(config, home=home, env=dict(sidecar.env)) as limited:
        connections = [Connection(limited.urls["credentials"]) for _ in range(16)]
        try:
            assert is_served(limited)
            assert connections[0].is_closed()
        finally:
            for connection in connections:
                connection.socket.close()


def is_served(limited: RunningSidecar) -> bool:
    """Return whether a request gets 200."""
    return fetch(limited.urls["credentials"], "/healthz").status == 200
