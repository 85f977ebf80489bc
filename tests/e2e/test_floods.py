"""One client must not starve the others: crowds, trickles and floods against a real process, all of them bounded."""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import pytest

from .processes import PROGRAM, ROOT, Demo, EmulatedCloud, demo, emulator, environment, serve, wait_until
from .cloud import ENV, config, add_fault
from .wire import Connection, fetch, request_head

PATIENCE = 0.050
"""Seconds: a good client's p99 under attack (threats.md, row 6)."""

CROWD = 1_000
ROLES = "/latest/meta-data/ram/security-credentials"


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with demo(home=tmp_path_factory.mktemp("floods")) as running:
        yield running


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedCloud]:
    with emulator(home=tmp_path_factory.mktemp("cloud")) as running:
        yield running


def p99(work: Callable[[], object], times: int = 200) -> float:
    """The 99th percentile of so many runs, in seconds."""
    took = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        took.append(time.perf_counter() - started)
    return sorted(took)[int(times * 0.99) - 1]


def a_good_client(sidecar: Demo) -> float:
    """p99 of a client that opens a connection for each of its questions, as most SDKs do."""
    assert fetch(sidecar.ops_url, "/livez").status == 200
    statuses: list[int] = []
    slow = p99(lambda: statuses.append(fetch(sidecar.metadata_url, "/credentials").status))
    assert set(statuses) == {200}
    assert fetch(sidecar.ops_url, "/livez").status == 200
    return slow


def memory(pid: int) -> int:
    """Bytes of anonymous memory: what the process itself has filled."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("Anonymous:")).split()[1])


@contextmanager
def crowd(base: str, first: bytes = b"") -> Iterator[list[Connection]]:
    """A thousand connections that have said `first`, and nothing more."""
    with ExitStack() as stack:
        connections = [stack.enter_context(Connection(base)) for _ in range(CROWD)]
        for connection in connections:
            connection.send(first)
        yield connections


def test_idle_connections(sidecar: Demo) -> None:
    """A thousand connections that say nothing do not slow down one that has a question."""
    with crowd(sidecar.metadata_url):
        assert a_good_client(sidecar) < PATIENCE


def test_trickling_requests(sidecar: Demo) -> None:
    """Nor do a thousand half requests that trickle on."""
    with crowd(sidecar.metadata_url, b"GET /credentials HTTP/1.1\r\nX-A: ") as connections, trickling(connections):
        assert a_good_client(sidecar) < PATIENCE


def test_pipelines_without_end(sidecar: Demo) -> None:
    """Nor do a hundred connections on which questions come by the thousand at a time."""
    with pipelining(sidecar.metadata_url, 100):
        assert a_good_client(sidecar) < 0.5


PIPELINES = r"""
import selectors, socket, sys
request = b"GET /credentials HTTP/1.1\r\nHost: localhost\r\n\r\n"
selector = selectors.DefaultSelector()
def new():
    sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
    sock.setblocking(False)
    selector.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE)
for _ in range(int(sys.argv[3])):
    new()
print("sending", flush=True)
while True:
    for key, events in selector.select():
        try:
            if events & selectors.EVENT_READ and not key.fileobj.recv(1_000_000):
                raise ConnectionResetError
            if events & selectors.EVENT_WRITE:
                key.fileobj.send(request * 4000)
        except BlockingIOError:
            continue
        except OSError:
            selector.unregister(key.fileobj)
            key.fileobj.close()
            new()
"""


@contextmanager
def pipelining(base: str, connections: int) -> Iterator[None]:
    """So many connections that ask as fast as they can, and come again when they are closed; in a process."""
    host, _, port = base.removeprefix("http://").partition(":")
    with subprocess.Popen(
        [sys.executable, "-c", PIPELINES, host, port, str(connections)], stdout=subprocess.PIPE
    ) as attacker:
        assert attacker.stdout is not None
        attacker.stdout.readline()
        try:
            yield
        finally:
            attacker.kill()


@contextmanager
def trickling(connections: list[Connection]) -> Iterator[None]:
    """A byte a second on each of them, from a thread."""
    ended = threading.Event()

    def trickle() -> None:
        while not ended.is_set():
            for connection in connections:
                try:
                    connection.socket.send(b"a", socket.MSG_DONTWAIT)
                except OSError:
                    continue
            ended.wait(1)

    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def flood(base: str, raw: bytes, connections: int) -> Iterator[list[int]]:
    """As many requests as the server takes, on so many connections, each after the answer to the one before."""
    ended = threading.Event()
    answered = [0]

    def run() -> None:
        with ExitStack() as stack:
            opened = {}
            for _ in range(connections):
                connection = stack.enter_context(Connection(base))
                connection.send(raw)
                opened[connection.socket.fileno()] = connection
            while not ended.is_set():
                for descriptor in select.select(list(opened), [], [], 0.1)[0]:
                    answered[0] += 1
                    if not asked_again(opened[descriptor], raw):
                        opened.pop(descriptor).socket.close()
                        connection = stack.enter_context(Connection(base))
                        connection.send(raw)
                        opened[connection.socket.fileno()] = connection

    thread = threading.Thread(target=run)
    thread.start()
    try:
        wait_until(lambda: answered[0] > connections)
        yield answered
    finally:
        ended.set()
        thread.join()


def asked_again(connection: Connection, raw: bytes) -> bool:
    """Reads what is there and sends `raw` once more; whether the connection still is one."""
    try:
        if not connection.socket.recv(262_144):
            return False
        connection.send(raw)
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("listener", "raw"),
    [
        ("credentials", request_head("GET", "/credentials", host="evil.example")),
        ("credentials", request_head("GET", "/credentials", "X-Forwarded-For: 203.0.113.7")),
        ("credentials", b"no HTTP\r\n\r\n"),
        ("ops", request_head("GET", "/metrics")),
    ],
    ids=["wrong host", "forwarded", "no HTTP", "scrapes"],
)
def test_floods(sidecar: Demo, listener: str, raw: bytes) -> None:
    """A flood of refused requests, or of scrapes, leaves a good client and the probes their answers."""
    with flood(sidecar.metadata_url if listener == "credentials" else sidecar.ops_url, raw, 20) as answered:
        before = answered[0]
        slow = a_good_client(sidecar)

        assert answered[0] > before
        assert slow < PATIENCE


def test_a_flood_of_denials_is_few_lines(sidecar: Demo) -> None:
    """Thousands of refusals are some lines, which together count every one of them."""
    before = counted(sidecar)
    with flood(sidecar.metadata_url, request_head("GET", "/credentials", host="evil.example"), 10) as answered:
        wait_until(lambda: answered[0] >= 3_000)
    lines = len(sidecar.process.events("denied"))
    wait_until(lambda: counted(sidecar) - before >= 3_000)

    assert lines < 60


def counted(sidecar: Demo) -> int:
    return sum(line.get("count", 1) for line in sidecar.process.events("denied") if line["reason"] == "Host")


def test_large_requests_leave_nothing_behind(sidecar: Demo) -> None:
    """A hundred times a 64 KiB path, a 1 MiB header, 2 000 lines and a 10 MiB body: refused, and memory as before."""
    requests = [
        (request_head("GET", "/" + "a" * 65_536), 414),
        (request_head("GET", "/credentials", "X-A: " + "a" * 1_048_576), 431),
        (request_head("GET", "/credentials", *(f"X-{number}: a" for number in range(2_000))), 431),
        (request_head("PUT", "/latest/api/token", f"Content-Length: {10 * 1_048_576}") + b"a" * 1_048_576, 413),
    ]
    for raw, status in requests:
        assert refusal(sidecar.metadata_url, raw) == status
    before = memory(sidecar.process.pid)
    for _ in range(100):
        for raw, status in requests:
            assert refusal(sidecar.metadata_url, raw) == status

    assert memory(sidecar.process.pid) - before < 2 * 1_048_576


def refusal(base: str, raw: bytes) -> int:
    """The answer's status; the server need not take all of it."""
    with Connection(base) as connection:
        with suppress(OSError):
            connection.send(raw)
        return connection.read_response().status


def test_a_hundred_thousand_session_tokens(sidecar: Demo) -> None:
    """Session tokens are stored nowhere: memory stays flat, and the first one still works."""
    put = request_head("PUT", "/latest/api/token", "X-aliyun-ecs-metadata-token-ttl-seconds: 21600")
    with Connection(sidecar.metadata_url) as connection:
        connection.send(put)
        first = connection.read_response().body.decode()
        before = memory(sidecar.process.pid)
        size = 0
        for _ in range(10_000):
            connection.send(put * 10)
            for _ in range(10):
                size = len(connection.read_response().body)
        grown = memory(sidecar.process.pid) - before

    assert size == len(first)
    assert grown < 1_048_576
    assert fetch(sidecar.metadata_url, f"{ROLES}/default", f"X-aliyun-ecs-metadata-token: {first}").status == 200


def test_waiting_clients_give_way(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """At a cold start those who have waited longest are told 429, so that others are answered: nobody hangs."""
    add_fault(cloud, kind="token", times=1, delay=3)
    with serve(config(cloud, access={"maxConnections": 16}), home=tmp_path, env=ENV) as cold, ExitStack() as stack:
        waiting = []
        for _ in range(20):
            connection = stack.enter_context(Connection(cold.urls["credentials"]))
            connection.send(request_head("GET", "/credentials"))
            waiting.append(connection)
            # One after the other: who came first is what this is about.
            wait_until(lambda: fetch(cold.urls["ops"], "/livez").status == 200)
        answers = [connection.read_response() for connection in waiting]

    assert [answer.status for answer in answers] == [429] * 4 + [200] * 16
    assert json.loads(answers[0].body)["Code"] == "Throttled"
    assert answers[0].headers["connection"] == "close"


def test_pipelined_waits_do_not_add_up(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Ten requests at once on one connection wait as long as one: the answer to the first is the last."""
    add_fault(cloud, kind="token", times=1, delay=30)
    with serve(config(cloud), home=tmp_path, env=ENV) as cold, Connection(cold.urls["credentials"]) as connection:
        started = time.monotonic()
        connection.send(request_head("GET", f"{ROLES}/default") * 10)
        answer = connection.read_response()

        assert (answer.status, answer.headers["connection"]) == (503, "close")
        assert connection.is_closed()
        assert time.monotonic() - started < 2.5


def test_waiting_clients_are_told_when_it_ends(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """SIGTERM during a cold start leaves nobody without an answer."""
    add_fault(cloud, kind="token", times=1, delay=30)
    with serve(config(cloud), home=tmp_path, env=ENV) as cold, Connection(cold.urls["credentials"]) as connection:
        connection.send(request_head("GET", "/credentials"))
        wait_until(lambda: fetch(cold.urls["ops"], "/livez").status == 200)
        cold.process.send(signal.SIGTERM)
        answer = connection.read_response()

    assert (answer.status, json.loads(answer.body)["Code"]) == (503, "CredentialsUnavailable")


def test_the_rate(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Beyond the rate the answer is 429 with Retry-After; whether the process lives is told in any case."""
    with serve(config(cloud, access={"requestsPerSecond": 5}), home=tmp_path, env=ENV) as limited:
        limited.process.event("credentials_issued")
        base = limited.urls["credentials"]
        answers = [fetch(base, "/credentials") for _ in range(20)]
        late = [answer for answer in answers if answer.status == 429]
        metrics = fetch(limited.urls["ops"], "/metrics").body.decode()

        assert [answer.status for answer in answers[:5]] == [200] * 5
        assert len(late) >= 10
        assert late[0].headers["retry-after"] == "1"
        assert json.loads(late[0].body)["Code"] == "Throttled"
        assert fetch(base, "/healthz").status == 200
        assert f'idaas_sidecar_denied_total{{reason="Rate"}} {len(late)}.0' in metrics
        wait_until(lambda: fetch(base, "/credentials").status == 200)


def test_a_log_that_nobody_reads(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """When the pipe behind stderr is full the process serves on; what it could not say comes when somebody reads."""
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
            urls = json.loads(one_line(lines))
            for _ in range(100):
                refresh(tmp_path / "admin.sock")
            assert fetch(urls["credentials"], "/credentials").status == 200
            assert fetch(urls["ops"], "/livez").status == 200
            process.send_signal(signal.SIGINT)
            said = b"".join(iter(lambda: lines.read(65_536), b"")).decode()
        assert process.wait(20) == 0

    assert said.count('"refresh_ordered"') == 100
    assert said.count('"credentials_issued"') >= 100


def one_line(stream: BinaryIO) -> bytes:
    return b"".join(iter(lambda: stream.read(1), b"\n"))


def refresh(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(path))
        client.sendall(request_head("POST", "/refresh"))
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
