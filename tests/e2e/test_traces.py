"""`telemetry.tracesEndpoint`: a real sidecar sends its spans to a collector, and ends without it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..http_server import Handler, HttpServer, serving
from .cloud import ENV, config
from .processes import emulator, serve, wait_until

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="needs the extra otel")


@contextmanager
def collector() -> Iterator[tuple[int, list[bytes]]]:
    """Yield the port of an OTLP collector, and the bodies that it has received."""
    received: list[bytes] = []

    class Collector(Handler):
        def do_POST(self) -> None:
            """Keep the body."""
            assert (self.path, self.headers["Content-Type"]) == ("/v1/traces", "application/x-protobuf")
            received.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

    with serving(HttpServer(Collector)) as server:
        yield server.server_port, received


def test_spans_arrive(tmp_path: Path) -> None:
    """The span of the first refresh arrives, at the latest when the sidecar ends; it has no part of the session."""
    with emulator(home=tmp_path) as cloud, collector() as (port, received):
        endpoint = {"tracesEndpoint": f"http://127.0.0.1:{port}/v1/traces"}
        with serve(config(cloud, telemetry=endpoint), home=tmp_path, env=ENV) as sidecar:
            sidecar.process.event("credentials_issued")
            sidecar.process.send(signal.SIGTERM)
            assert sidecar.process.wait() == 0
        wait_until(lambda: received)

    body = b"".join(received)
    assert b"idaas_sidecar.refresh" in body
    assert b"idaas_sidecar.stage.exchange.seconds" in body
    assert b"STS." not in body


@contextmanager
def answering_without_end(status: int) -> Iterator[tuple[int, list[int]]]:
    """Yield the port of a collector whose answers have no end, and how many bytes of each the client took."""
    taken: list[int] = []

    class Collector(Handler):
        def do_POST(self) -> None:
            """Answer until the client ends the connection."""
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.end_headers()
            sent = 0
            try:
                while sent < ENDLESS:
                    self.wfile.write(b" " * 65_536)
                    sent += 65_536
            except OSError:
                pass
            taken.append(sent)

    with serving(HttpServer(Collector)) as server:
        yield server.server_port, taken


ENDLESS = 256 << 20


@pytest.mark.parametrize("status", [200, 400, 503])
def test_answer_of_a_collector_that_has_no_end(status: int, tmp_path: Path) -> None:
    """The body of a collector's answer is not read, so one without end takes no memory, whatever its status."""
    with emulator(home=tmp_path) as cloud, answering_without_end(status) as (port, taken):
        endpoint = {"tracesEndpoint": f"http://127.0.0.1:{port}/v1/traces"}
        env = {**ENV, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        with serve(config(cloud, telemetry=endpoint), home=tmp_path, env=env) as sidecar:
            sidecar.process.event("credentials_issued")
            wait_until(lambda: taken)
            sidecar.process.send(signal.SIGTERM)
            assert sidecar.process.wait() == 0

    assert max(taken) < 16 << 20  # what the kernel's buffers on both sides may hold


def test_a_collector_that_is_down_changes_nothing(tmp_path: Path) -> None:
    """Without a collector the sidecar serves, and ends within its time."""
    with emulator(home=tmp_path) as cloud:
        settings = config(cloud, telemetry={"tracesEndpoint": "http://127.0.0.1:9/v1/traces"})
        with serve(settings, home=tmp_path, env=ENV) as sidecar:
            sidecar.process.event("credentials_issued")
            sidecar.process.send(signal.SIGTERM)
            assert sidecar.process.wait() == 0
