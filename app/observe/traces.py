"""A span of OpenTelemetry for each refresh. The extra `otel` has the packages, which only a set endpoint imports."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ..core.errors import ConfigError, SidecarError
from ..core.events import Event, Refreshed, RefreshFailed, StageTimed
from ..core.values import Now
from .counters import outcome

PREFIX = "idaas_sidecar."
SPAN = "idaas_sidecar.refresh"
NANOSECONDS = 1_000_000_000

CLOSE_SECONDS = 2.0
"""Seconds that the exit waits for the last spans. A collector that does not answer must not delay the exit longer."""


class Traces:
    """
    Makes a span from the events of each attempt to refresh.

    `tracer` is a tracer of OpenTelemetry. A span has the profile, the outcome, the cloud's request ID, and the seconds
    of each stage. The span of a failed attempt also has the failed stage, the HTTP status and the endpoint's error
    code. It also has the code of the errors index. No span has a server's text or a value of a request.
    """

    def __init__(self, tracer: Any, now: Now) -> None:
        self._tracer = tracer
        self._now = now
        self._stages: dict[str, dict[str, float]] = {}

    def observe(self, event: Event) -> None:
        """Remember a stage, or make the span of the attempt that this event ends."""
        match event:
            case StageTimed(profile=profile, stage=stage, seconds=seconds):
                stages = self._stages.setdefault(profile, {})
                stages[stage] = stages.get(stage, 0.0) + seconds
            case Refreshed(profile=profile, credentials=session, took=took):
                request_id = {"request_id": session.request_id} if session.request_id else {}
                self._span(profile, took, {"outcome": "success", **request_id}, failed=False)
            case RefreshFailed(profile=profile, error=error, took=took):
                self._span(profile, took, {"outcome": outcome(error), **_failure(error)}, failed=True)
            case _:
                pass

    def _span(self, profile: str, took: float, members: dict[str, str | int], *, failed: bool) -> None:
        from opentelemetry.trace import Status, StatusCode

        found: dict[str, str | int | float] = {"profile": profile, **members}
        found.update({f"stage.{name}.seconds": each for name, each in self._stages.pop(profile, {}).items()})
        end = self._now()
        span = self._tracer.start_span(
            SPAN,
            start_time=int((end - took) * NANOSECONDS),
            attributes={f"{PREFIX}{name}": value for name, value in found.items()},
        )
        if failed:
            span.set_status(Status(StatusCode.ERROR))
        span.end(end_time=int(end * NANOSECONDS))


def _failure(error: Exception) -> dict[str, str | int]:
    """Return the known facts of a failed attempt, without empty members."""
    if not isinstance(error, SidecarError):
        return {}
    known: dict[str, str | int] = {
        "stage": error.stage,
        "code": error.code,
        "status": error.status,
        "request_id": error.request_id,
        "error_code": error.error_code,
    }
    return {name: value for name, value in known.items() if value}


def exported(endpoint: str, *, version: str, instance: str, now: Now) -> tuple[Traces, Callable[[], None]]:
    """
    Return traces that a thread sends to a collector (OTLP over HTTP), and a function that ends the thread.

    Raises ConfigError if the packages are missing. The variables OTEL_EXPORTER_OTLP_* of the environment apply, for
    example for headers and CA certificates. Only the endpoint comes from the configuration.
    """
    try:
        # The extra `otel`, which is not always installed where mypy runs.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # type: ignore[import-not-found, unused-ignore]
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # type: ignore[import-not-found, unused-ignore]
        from opentelemetry.sdk.trace import TracerProvider  # type: ignore[import-not-found, unused-ignore]
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # type: ignore[import-not-found, unused-ignore]
        from requests import Session  # type: ignore[import-not-found, import-untyped, unused-ignore] # the exporter's
    except ImportError:
        raise ConfigError(
            "telemetry.tracesEndpoint: traces need the packages of OpenTelemetry",
            cure="install idaas-credential-sidecar[otel], or remove the key",
            error_code="IDS-129",
        ) from None
    resource = Resource.create(
        {"service.name": "idaas-sidecar", "service.version": version, "service.instance.id": instance}
    )
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    session = Session()
    session.hooks["response"] = [_without_body]
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, session=session)))
    return Traces(provider.get_tracer("idaas_sidecar", version), now), lambda: _close(provider.shutdown)


def _without_body(response: Any, **_: Any) -> None:
    """
    Close a collector's answer after its head. The status is all that the exporter needs.

    The exporter would read the body whole: one without end takes all memory and the exporter's thread.
    """
    response.close()
    response.raw = None  # no body, as `requests` reads it


def _close(shutdown: Callable[[], None]) -> None:
    """Send the last spans, within CLOSE_SECONDS. Blocks: call it in a thread."""
    thread = threading.Thread(target=shutdown, name="traces", daemon=True)
    thread.start()
    thread.join(CLOSE_SECONDS)
