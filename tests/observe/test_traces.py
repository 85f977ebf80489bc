"""A span of OpenTelemetry for each attempt to refresh: what helps to find it in the cloud's logs, and no secret."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from app.core.errors import ConfigError, Refused, Unreachable
from app.core.events import ClockRead, Refreshed, RefreshFailed, StageTimed
from app.core.values import Credentials
from app.observe.traces import SPAN, Traces, exported

SESSION = Credentials("STS.id", "the-secret", "the-token", issued_at=0.0, expires_at=3600.0, request_id="R-0")
NOW = 1_000.0

trace = pytest.importorskip("opentelemetry.sdk.trace", reason="needs the extra otel")


@pytest.fixture
def memory() -> Any:
    """The exporter of the SDK that keeps the spans."""
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    return InMemorySpanExporter()


@pytest.fixture
def traces(memory: Any) -> Traces:
    """Traces whose spans are in `memory`, at the time NOW."""
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    provider = trace.TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    return Traces(provider.get_tracer("test"), lambda: NOW)


def attributes(span: Any) -> dict[str, Any]:
    """Return the attributes of a span without their prefix."""
    return {name.removeprefix("idaas_sidecar."): value for name, value in span.attributes.items()}


def test_a_session(traces: Traces, memory: Any) -> None:
    """A successful attempt is one span over its duration, with the seconds of each stage."""
    traces.observe(StageTimed("default", "token", 0.5))
    traces.observe(StageTimed("other", "token", 9.0))
    traces.observe(ClockRead("sts.aliyuncs.com:443", 0.0))
    traces.observe(StageTimed("default", "exchange", 0.25))
    traces.observe(Refreshed("default", SESSION, next_refresh_at=0.0, took=0.75))

    (span,) = memory.get_finished_spans()
    assert (span.name, span.status.is_ok) == (SPAN, True)
    assert (span.start_time, span.end_time) == (999_250_000_000, 1_000_000_000_000)
    assert attributes(span) == {
        "profile": "default",
        "outcome": "success",
        "request_id": "R-0",
        "stage.token.seconds": 0.5,
        "stage.exchange.seconds": 0.25,
    }


def test_a_refusal(traces: Traces, memory: Any) -> None:
    """A failed attempt has stage, status, code and request ID; the message, which quotes the server, is left out."""
    error = Refused("the-secret", code="NoPermission", request_id="R-1", status=403, cloud_message="the-token")
    error.stage, error.error_code = "exchange", "IDS-503"
    traces.observe(StageTimed("default", "token", 0.5))
    traces.observe(RefreshFailed("default", error, failures=1, retry_in=1.0, took=1.0))
    traces.observe(RefreshFailed("default", Unreachable("x"), failures=2, retry_in=1.0, took=1.0))
    traces.observe(RefreshFailed("default", ValueError("the-secret"), failures=3, retry_in=1.0, took=1.0))

    first, second, third = memory.get_finished_spans()
    assert first.status.status_code.name == "ERROR"
    assert attributes(first) == {
        "profile": "default",
        "outcome": "refused",
        "stage": "exchange",
        "code": "NoPermission",
        "status": 403,
        "request_id": "R-1",
        "error_code": "IDS-503",
        "stage.token.seconds": 0.5,
    }
    assert attributes(second)["outcome"] == "unreachable"
    assert attributes(third) == {"profile": "default", "outcome": "internal"}
    assert not [each for each in memory.get_finished_spans() if "the-" in each.to_json()]


def test_without_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the key and the extra."""
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)

    with pytest.raises(ConfigError, match=r"telemetry\.tracesEndpoint: .*idaas-credential-sidecar\[otel\]"):
        exported("http://127.0.0.1:4318/v1/traces", version="1", instance="pod", now=lambda: NOW)
