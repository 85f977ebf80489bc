"""The metrics in the Prometheus text format. Imported at the first scrape, in a thread: the import takes 60 ms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from ..core.values import STATES, Status
from ..observe.counters import Histogram, RefreshCounters, RequestCounters
from .source import Source

PREFIX = "idaas_sidecar_"
CONTENT_TYPE = CONTENT_TYPE_LATEST.encode()

OUTCOMES = ("success", "unreachable", "refused", "config", "internal")


class SidecarCollector(Collector):
    """Converts the counters to metric families at a scrape. The credential path never uses the metrics library."""

    def __init__(
        self,
        sources: Sequence[Source],
        counters: RequestCounters,
        refresh_counters: RefreshCounters,
        *,
        version: str,
        loaded_at: float,
        reloaded: bool = True,
        on_trial: Iterable[str] = (),
        unverified_tls: Iterable[str] = (),
    ) -> None:
        self._sources = sources
        self._counters = counters
        self._refresh_counters = refresh_counters
        self._version = version
        self._loaded_at = loaded_at
        self._reloaded = reloaded
        self._on_trial = tuple(on_trial)
        self._unverified_tls = tuple(unverified_tls)

    def collect(self) -> Iterator[Metric]:
        statuses = [source.status for source in self._sources]
        yield from self._credentials(statuses)
        yield from self._refreshes(statuses)
        yield from self._requests()
        yield from self._process()

    def _credentials(self, statuses: list[Status]) -> Iterator[Metric]:
        expiry = _gauge(
            "credential_expiry_timestamp_seconds", "Unix time at which the held session expires.", ["profile"]
        )
        remaining = _gauge(
            "credential_remaining_seconds", "Seconds left of the held session; 0 without a valid one.", ["profile"]
        )
        for status in statuses:
            if status.expires_at is not None:
                expiry.add_metric([status.profile], status.expires_at)
            remaining.add_metric([status.profile], status.left)
        served = _gauge(
            "last_served_timestamp_seconds", "Unix time at which credentials were last served.", ["profile"]
        )
        for status in statuses:
            if status.profile in self._counters.last_served:
                served.add_metric([status.profile], self._counters.last_served[status.profile])
        violations = _counter(
            "serve_horizon_violations",
            "Responses with fewer seconds left than promised although the last refresh succeeded.",
            ["profile"],
        )
        for status in statuses:
            violations.add_metric([status.profile], self._counters.violations[status.profile])
        state = _gauge("profile_state", "1 for the state of the profile, 0 for the other states.", ["profile", "state"])
        for status in statuses:
            for name in STATES:
                state.add_metric([status.profile, name], int(status.state == name))
        yield from (expiry, remaining, served, violations, state)

    def _refreshes(self, statuses: list[Status]) -> Iterator[Metric]:
        total = _counter("refresh", "Attempts to refresh, by outcome.", ["profile", "outcome"])
        failures = _gauge("refresh_consecutive_failures", "Failed attempts since the last successful one.", ["profile"])
        for status in statuses:
            failures.add_metric([status.profile], status.failures)
            for outcome in OUTCOMES:
                total.add_metric([status.profile, outcome], self._refresh_counters.refreshes[status.profile, outcome])
        causes = _counter(
            "refresh_failures",
            "Failed attempts, by stage and the cloud's error code; without a code, its HTTP status or the outcome.",
            ["profile", "stage", "code"],
        )
        present = {status.profile for status in statuses}
        for (profile, stage, code), count in list(self._refresh_counters.failures.items()):
            if profile in present:
                causes.add_metric([profile, stage, code], count)
        last = _gauge("last_refresh_timestamp_seconds", "Unix time of the last successful refresh.", ["profile"])
        for status in statuses:
            if status.profile in self._refresh_counters.last_refresh:
                last.add_metric([status.profile], self._refresh_counters.last_refresh[status.profile])
        stages = _histogram(
            "refresh_duration_seconds", "Duration of each stage of a refresh, successful or not.", ["profile", "stage"]
        )
        for labels, histogram in list(self._refresh_counters.stages.items()):
            _add(stages, labels, histogram)
        ends = _gauge(
            "identity_not_after_timestamp_seconds",
            "Unix time at which a certificate or token of the identity expires.",
            ["profile", "kind"],
        )
        for (profile, kind), instant in list(self._refresh_counters.identity_expiries.items()):
            if profile in present:  # the expiry of a removed profile would raise an alert for nothing
                ends.add_metric([profile, kind], instant)
        yield from (total, failures, causes, last, stages, ends)

    def _requests(self) -> Iterator[Metric]:
        total = _counter(
            "requests",
            "Responses by listener, endpoint, status code and profile.",
            ["listener", "endpoint", "code", "profile"],
        )
        for (listener, endpoint, code, profile), count in list(self._counters.requests.items()):
            total.add_metric([listener, endpoint, str(code), profile], count)
        seconds = _histogram(
            "request_duration_seconds", "Seconds from the complete request to its response.", ["listener", "endpoint"]
        )
        for labels, histogram in list(self._counters.durations.items()):
            _add(seconds, labels, histogram)
        denied = _counter("denied", "Refused requests, by reason.", ["reason"])
        for reason, count in list(self._counters.denied.items()):
            denied.add_metric([reason], count)
        yield from (total, seconds, denied)

    def _process(self) -> Iterator[Metric]:
        offset = _gauge(
            "clock_offset_seconds",
            "The cloud's clock minus this machine's, by the last Date header that is not absurd.",
            [],
        )
        if self._refresh_counters.clock_offset is not None:
            offset.add_metric([], self._refresh_counters.clock_offset)
        loaded = _gauge("config_reload_success", "1 if the last reload of the configuration succeeded, else 0.", [])
        loaded.add_metric([], 1 if self._reloaded else 0)
        loaded_at = _gauge(
            "config_reload_timestamp_seconds", "Unix time at which the configuration in use was read.", []
        )
        loaded_at.add_metric([], self._loaded_at)
        build = _gauge("build_info", "Always 1; the version is a label.", ["version"])
        build.add_metric([self._version], 1)
        tls = _gauge(
            "tls_verification_disabled", "1 for a profile that does not verify its token endpoint's TLS.", ["profile"]
        )
        for profile in self._unverified_tls:
            tls.add_metric([profile], 1)
        trials = _gauge(
            "profile_change_pending", "1 for a profile whose changed settings have no session yet.", ["profile"]
        )
        for profile in self._on_trial:
            trials.add_metric([profile], 1)
        yield from (offset, loaded, loaded_at, build, tls, trials)


def exposition(collector: Collector) -> bytes:
    """Return the body of a scrape."""
    registry = CollectorRegistry()
    registry.register(collector)
    return generate_latest(registry)


def _gauge(name: str, text: str, labels: list[str]) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, text, labels=labels)


def _counter(name: str, text: str, labels: list[str]) -> CounterMetricFamily:
    return CounterMetricFamily(PREFIX + name, text, labels=labels)


def _histogram(name: str, text: str, labels: list[str]) -> HistogramMetricFamily:
    return HistogramMetricFamily(PREFIX + name, text, labels=labels)


def _add(family: HistogramMetricFamily, labels: tuple[str, ...], histogram: Histogram) -> None:
    counts, running, buckets = list(histogram.counts), 0, []
    for bound, count in zip((*map(repr, histogram.bounds), "+Inf"), counts, strict=True):
        running += count
        buckets.append((bound, running))
    family.add_metric(list(labels), buckets, histogram.total)
