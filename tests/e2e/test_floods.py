"""One client must not starve the others: crowds, slow requests and floods against a real process.

How fast a client is served beside these attacks is measured in bench/attacks.py.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO

import pytest

from app.serve.audit import PAUSE

from .attacks import flood, open_connections, pipelining, socket_bytes, socket_sizes, trickling
from .cloud import ENV, add_fault, config
from .processes import DEADLINE, PROGRAM, ROOT, Demo, EmulatedCloud, demo, environment, serve, wait_until
from .wire import Connection, Response, admin_request, fetch, request_head

ROLES = "/latest/meta-data/ram/security-credentials"


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A running demo."""
    with demo(home=tmp_path_factory.mktemp("floods")) as running:
        yield running


def check_good_client(sidecar: Demo) -> None:
    """Check that a client that opens a connection per request, as most SDKs do, gets 200 for each of 200 requests."""
    assert fetch(sidecar.ops_url, "/livez").status == 200
    assert {fetch(sidecar.metadata_url, "/credentials").status for _ in range(200)} == {200}
    assert fetch(sidecar.ops_url, "/livez").status == 200


def test_idle_connections(sidecar: Demo) -> None:
    """With a thousand idle connections open, every request of another client gets 200, and the probes are green."""
    with open_connections(sidecar.metadata_url):
        check_good_client(sidecar)


def test_trickling_requests(sidecar: Demo) -> None:
    """With a thousand half requests that trickle on, every request of another client gets 200."""
    with (
        open_connections(sidecar.metadata_url, b"GET /credentials HTTP/1.1\r\nX-A: ") as connections,
        trickling(connections),
    ):
        check_good_client(sidecar)


def test_endless_pipelines(sidecar: Demo) -> None:
    """With a hundred connections that pipeline thousands of requests, every request of another client gets 200."""
    with pipelining(sidecar.metadata_url, 100):
        check_good_client(sidecar)


def test_busy_connections(sidecar: Demo) -> None:
    """With 500 connections that pipeline at both listeners and stay open, every other request and probe gets 200."""
    with (
        pipelining(sidecar.metadata_url, 500, requests=10),
        pipelining(sidecar.ops_url, 500, target="/livez", requests=10),
    ):
        for _ in range(10):
            assert fetch(sidecar.metadata_url, "/credentials").status == 200
            assert fetch(sidecar.ops_url, "/livez").status == 200


@pytest.mark.skipif(shutil.which("ss") is None, reason="needs ss (apt-get install iproute2)")
def test_clients_that_never_read_hold_little_memory(sidecar: Demo) -> None:
    """With 500 clients that send requests and read nothing, the kernel holds less than 16 KiB for each connection."""
    with pipelining(sidecar.metadata_url, 500, requests=10, reads=False):
        wait_until(lambda: socket_bytes(sidecar.metadata_url) > 0)
        for _ in range(20):
            assert fetch(sidecar.ops_url, "/livez").status == 200
            assert max(socket_sizes(sidecar.metadata_url)) < 16_384


@pytest.mark.parametrize("target", ["/status.json", "/status", "/metrics"])
def test_status_floods(sidecar: Demo, target: str) -> None:
    """Two hundred requests for a page at once share one response: memory grows by less than 4 MiB."""
    assert fetch(sidecar.ops_url, target).status == 200  # FastAPI and prometheus-client are imported at the first one
    before = sidecar.process.anonymous_bytes()
    with ExitStack() as stack:
        connections = [stack.enter_context(Connection(sidecar.ops_url)) for _ in range(200)]  # 1,024 files permit 240
        for connection in connections:
            connection.send(request_head("GET", target))
        statuses = {connection.read_response().status for connection in connections}

    assert statuses == {200}
    assert sidecar.process.anonymous_bytes() - before < 4 * 1_048_576


@pytest.mark.parametrize(
    ("listener", "raw"),
    [
        ("credentials", request_head("GET", "/credentials", host="evil.example")),
        ("credentials", request_head("GET", "/credentials", "X-Forwarded-For: 203.0.113.7")),
        ("credentials", b"not HTTP\r\n\r\n"),
        ("ops", request_head("GET", "/metrics")),
    ],
    ids=["wrong host", "forwarded", "not HTTP", "scrapes"],
)
def test_floods(sidecar: Demo, listener: str, raw: bytes) -> None:
    """During a flood of refused requests or of scrapes, every request of another client gets 200."""
    with flood(sidecar.metadata_url if listener == "credentials" else sidecar.ops_url, raw, 20) as responses:
        before = responses[0]
        check_good_client(sidecar)

        assert responses[0] > before


def test_flood_of_denials_gives_few_log_lines(sidecar: Demo) -> None:
    """Thousands of refusals give few log lines, whose counts add up to the number of refusals."""
    before, lines_before, started = denials(sidecar), len(sidecar.process.events("denied")), time.monotonic()
    with flood(sidecar.metadata_url, request_head("GET", "/credentials", host="evil.example"), 10) as responses:
        wait_until(lambda: responses[0] >= 3_000)
    lines, seconds = len(sidecar.process.events("denied")) - lines_before, time.monotonic() - started
    wait_until(lambda: denials(sidecar) - before >= 3_000)

    assert lines <= seconds / PAUSE + 10


def denials(sidecar: Demo) -> int:
    """Return the number of requests refused for their Host, as the log counts them."""
    return sum(line.get("count", 1) for line in sidecar.process.events("denied") if line["reason"] == "Host")


def test_large_requests_leave_no_memory_behind(sidecar: Demo) -> None:
    """After four hundred too large requests, memory has grown by less than 2 MiB; each of them is refused."""
    requests = [
        (request_head("GET", "/" + "a" * 65_536), 414),
        (request_head("GET", "/credentials", "X-A: " + "a" * 1_048_576), 431),
        (request_head("GET", "/credentials", *(f"X-{number}: a" for number in range(2_000))), 431),
        (request_head("PUT", "/latest/api/token", f"Content-Length: {10 * 1_048_576}") + b"a" * 1_048_576, 413),
    ]
    for raw, status in requests:
        assert rejection(sidecar.metadata_url, raw) == status
    before = sidecar.process.anonymous_bytes()
    for _ in range(100):
        for raw, status in requests:
            assert rejection(sidecar.metadata_url, raw) == status

    assert sidecar.process.anonymous_bytes() - before < 2 * 1_048_576


def rejection(base: str, raw: bytes) -> int:
    """Return the status of the response. The server need not read the whole request."""
    with Connection(base) as connection:
        with suppress(OSError):
            connection.send(raw)
        return connection.read_response().status


def test_a_hundred_thousand_session_tokens(sidecar: Demo) -> None:
    """A hundred thousand session tokens do not grow memory by 1 MiB, and the first one stays valid."""
    put = request_head("PUT", "/latest/api/token", "X-aliyun-ecs-metadata-token-ttl-seconds: 21600")
    with Connection(sidecar.metadata_url) as connection:
        connection.send(put)
        first = connection.read_response().body.decode()
        before = sidecar.process.anonymous_bytes()
        size = 0
        for _ in range(10_000):
            connection.send(put * 10)
            for _ in range(10):
                size = len(connection.read_response().body)
        growth = sidecar.process.anonymous_bytes() - before

    assert size == len(first)
    assert growth < 1_048_576
    assert fetch(sidecar.metadata_url, f"{ROLES}/default", f"X-aliyun-ecs-metadata-token: {first}").status == 200


def test_longest_waiting_clients_get_429(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """
    At the connection limit during a cold start, some clients get 429 at once, and the others an answer of their own.

    tests/serve/test_waiting_clients.py judges which clients these are.
    """
    add_fault(cloud, kind="token", times=1, delay=30)
    with serve(config(cloud, access={"maxConnections": 16}), home=tmp_path, env=ENV) as starting, ExitStack() as stack:
        waiting = []
        for _ in range(20):  # one without a request would be closed without an answer
            waiting.append(stack.enter_context(Connection(starting.urls["credentials"])))
            waiting[-1].send(request_head("GET", "/credentials"))
        responses = [connection.read_response() for connection in waiting]

    throttled = [response for response in responses if response.status == 429]
    assert 1 <= len(throttled) <= 4
    assert {response.status for response in responses} == {429, 503}
    assert json.loads(throttled[0].body)["Code"] == "Throttled"
    assert throttled[0].headers["connection"] == "close"


def test_pipelined_requests_wait_once(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Ten pipelined requests during a cold start get one response, 503, and the connection is closed."""
    add_fault(cloud, kind="token", times=1, delay=30)
    with (
        serve(config(cloud), home=tmp_path, env=ENV) as starting,
        Connection(starting.urls["credentials"]) as connection,
    ):
        connection.send(request_head("GET", f"{ROLES}/default") * 10)
        response = connection.read_response()

        assert (response.status, response.headers["connection"]) == (503, "close")
        assert connection.is_closed()


def test_waiting_clients_are_answered_at_sigterm(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """SIGTERM during a cold start gives each waiting client a response."""
    add_fault(cloud, kind="token", times=1, delay=30)
    with (
        serve(config(cloud), home=tmp_path, env=ENV) as starting,
        Connection(starting.urls["credentials"]) as connection,
    ):
        connection.send(request_head("GET", "/credentials"))
        wait_until(lambda: fetch(starting.urls["ops"], "/livez").status == 200)
        starting.process.send(signal.SIGTERM)
        response = connection.read_response()

    assert (response.status, json.loads(response.body)["Code"]) == (503, "CredentialsUnavailable")


def test_rate_limit(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Requests above the rate get 429 with Retry-After, and /healthz is not limited."""
    with serve(config(cloud, access={"requestsPerSecond": 5}), home=tmp_path, env=ENV) as limited:
        limited.process.event("credentials_issued")
        base = limited.urls["credentials"]
        started, responses, rejected = time.monotonic(), [], []
        while len(rejected) < 10:  # together, because a busy machine may answer fewer than five in a second
            assert time.monotonic() < started + DEADLINE
            responses += fetched_together(base, "/credentials", 10)
            rejected = [response for response in responses if response.status == 429]
        allowed = 5 + 5 * (time.monotonic() - started)
        metrics = fetch(limited.urls["ops"], "/metrics").body.decode()

        assert [response.status for response in responses[:10]].count(200) >= 5
        assert len(responses) - len(rejected) <= allowed + 1
        assert rejected[0].headers["retry-after"] == "1"
        assert json.loads(rejected[0].body)["Code"] == "Throttled"
        assert fetch(base, "/healthz").status == 200
        assert f'idaas_sidecar_denied_total{{reason="Rate"}} {len(rejected)}.0' in metrics
        wait_until(lambda: fetch(base, "/credentials").status == 200)


def fetched_together(base: str, target: str, count: int) -> list[Response]:
    """Send so many requests, each on a connection of its own, and return the responses."""
    with ExitStack() as stack:
        connections = [stack.enter_context(Connection(base)) for _ in range(count)]
        for connection in connections:
            connection.send(request_head("GET", target))
        return [connection.read_response() for connection in connections]


def test_log_that_is_not_read(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """With a full pipe at stderr the sidecar serves on, and writes the delayed lines when the pipe is read."""
    path = tmp_path / "config.json"
    settings = config(cloud)
    settings["server"]["adminSocket"] = str(tmp_path / "admin.sock")
    path.write_text(json.dumps(settings))
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    command = (*PROGRAM, "serve", "--config", str(path))
    with subprocess.Popen(command, cwd=ROOT, env=environment(tmp_path, **ENV), stderr=writing) as process:
        os.close(writing)
        with os.fdopen(reading, "rb", buffering=0) as lines:
            urls = json.loads(read_line(lines))
            for _ in range(100):
                assert admin_request(str(tmp_path / "admin.sock"), "POST", "/refresh") == 200
            assert fetch(urls["credentials"], "/credentials").status == 200
            assert fetch(urls["ops"], "/livez").status == 200
            process.send_signal(signal.SIGINT)
            log = b"".join(iter(lambda: lines.read(65_536), b"")).decode()
        assert process.wait(DEADLINE) == 0

    assert log.count('"refresh_ordered"') == 100
    assert log.count('"credentials_issued"') >= 100


def read_line(stream: BinaryIO) -> bytes:
    """Read one line, byte by byte."""
    return b"".join(iter(lambda: stream.read(1), b"\n"))
