"""The metrics of the webhooks, on a listener without TLS: Prometheus needs no access to the port of the API server."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from fastapi import FastAPI, Response

from ...observe.counters import Histogram

if TYPE_CHECKING:
    from prometheus_client.core import Metric

WEBHOOKS = ("mutate", "validate", "guard")
OUTCOMES = ("injected", "refused", "untouched", "unavailable", "invalid")

BUCKETS = (0.002, 0.01, 0.05, 0.2, 1.0, 3.0, 5.0)
"""Upper bounds in seconds: a decision takes 1 ms, a policy is read within 3 s (two attempts), and the API server waits
5 s."""


class AdmissionCounters:
    """Admission requests, counted as plain numbers."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str]] = Counter()
        self.durations = {webhook: Histogram(BUCKETS) for webhook in WEBHOOKS}

    def answered(self, webhook: str, outcome: str, seconds: float) -> None:
        """Count a request that was answered after `seconds`."""
        self.requests[webhook, outcome] += 1
        self.durations[webhook].add(seconds)


class WebhookCollector:
    """Converts the counters to metric families at a scrape. `expires_at`: the expiry of the certificate in use."""

    def __init__(self, counters: AdmissionCounters, expires_at: float) -> None:
        self._counters = counters
        self._expires_at = expires_at

    def collect(self) -> Iterator[Metric]:
        """Yield the families. All combinations of labels have a sample from the start: a first event is an increase."""
        from ...observe.exposition import add_histogram, counter, gauge, histogram

        total = counter("webhook_requests", "Admission requests by webhook and outcome.", ["webhook", "outcome"])
        seconds = histogram(
            "webhook_request_duration_seconds", "Seconds from an admission request to its response.", ["webhook"]
        )
        for webhook in WEBHOOKS:
            for outcome in OUTCOMES:
                total.add_metric([webhook, outcome], self._counters.requests[webhook, outcome])
            add_histogram(seconds, (webhook,), self._counters.durations[webhook])
        end = gauge(
            "webhook_certificate_not_after_timestamp_seconds",
            "Unix time at which the certificate of the webhooks expires.",
            [],
        )
        end.add_metric([], self._expires_at)
        yield from (total, seconds, end)


def metrics_application(counters: AdmissionCounters, expires_at: Callable[[], float]) -> FastAPI:
    """Return an application with the one route /metrics."""

    def scrape() -> Response:
        from ...observe.exposition import CONTENT_TYPE, exposition

        body = exposition(WebhookCollector(counters, expires_at()))
        return Response(body, headers={"Content-Type": CONTENT_TYPE.decode()})

    async def metrics() -> Response:
        return await asyncio.to_thread(scrape)

    app = FastAPI(title="idaas-sidecar webhook metrics", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_api_route("/metrics", metrics, methods=["GET"])
    return app
