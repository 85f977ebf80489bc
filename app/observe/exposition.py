"""Metric families in the Prometheus text format. The import takes long, so it happens at the first scrape."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from .counters import Histogram

PREFIX = "idaas_sidecar_"
CONTENT_TYPE = CONTENT_TYPE_LATEST.encode()


def exposition(collector: Collector) -> bytes:
    """Return the body of a scrape."""
    registry = CollectorRegistry()
    registry.register(collector)
    return generate_latest(registry)


def gauge(name: str, text: str, labels: list[str]) -> GaugeMetricFamily:
    """Return a gauge without samples; `name` follows the prefix."""
    return GaugeMetricFamily(PREFIX + name, text, labels=labels)


def counter(name: str, text: str, labels: list[str]) -> CounterMetricFamily:
    """Return a counter without samples; `name` follows the prefix."""
    return CounterMetricFamily(PREFIX + name, text, labels=labels)


def histogram(name: str, text: str, labels: list[str]) -> HistogramMetricFamily:
    """Return a histogram without samples; `name` follows the prefix."""
    return HistogramMetricFamily(PREFIX + name, text, labels=labels)


def add_histogram(family: HistogramMetricFamily, labels: tuple[str, ...], values: Histogram) -> None:
    """Add the buckets, which are cumulative in this format, and the sum."""
    counts, running, buckets = list(values.counts), 0, []
    for bound, count in zip((*map(repr, values.bounds), "+Inf"), counts, strict=True):
        running += count
        buckets.append((bound, running))
    family.add_metric(list(labels), buckets, values.total)
