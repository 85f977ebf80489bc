"""The metrics in the Prometheus text format. Imported at the first scrape, in a thread, because it takes long."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from ..core.values import STATES, Status
from ..observe.counters import RefreshCounters, RequestCounters
from ..observe.exposition import add_histogram, counter, gauge, histogram
from .source import Source

OUTCOMES = ("success", "unreachable", "refused", "config", "waiting", "internal")


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
        yield from self._attempts(statuses)
        yield from self._refreshes(statuses)
        yield from self._requests()
        yield from self._process()

    def _credentials(self, statuses: list[Status]) -> Iterator[Metric]:
        expiry = gauge(
            "credential_expiry_timestamp_seconds", "Unix time at which the held session expires.", ["profile"]
        )
        remaining = gauge(
            "credential_remaining_seconds", "Seconds left of the held session; 0 without a valid one.", ["profile"]
        )
        for status in statuses:
            if status.expires_at is not None:
                expiry.add_metric([status.profile], status.expires_at)
            remaining.add_metric([status.profile], status.left)
        served = gauge("last_served_timestamp_seconds", "Unix time at which credentials were last served.", ["profile"])
        for status in statuses:
            if status.profile in self._counters.last_served:
                served.add_metric([status.profile], self._counters.last_served[status.profile])
        violations = counter(
            "serve_horizon_violations",
            "Responses with fewer seconds left than promised although the last refresh succeeded.",
            ["profile"],
        )
        for status in statuses:
            violations.add_metric([status.profile], self._counters.violations[status.profile])
        state = gauge("profile_state", "1 for the state of the profile, 0 for the other states.", ["profile", "state"])
        for status in statuses:
            for name in STATES:
                state.add_metric([status.profile, name], int(status.state == name))
        yield from (expiry, remaining, served, violations, state)

    def _attempts(self, statuses: list[Status]) -> Iterator[Metric]:
        total = counter("refresh", "Attempts to refresh, by outcome.", ["profile", "outcome"])
        failures = gauge("refresh_consecutive_failures", "Failed attempts since the last successful one.", ["profile"])
        for status in statuses:
            failures.add_metric([status.profile], status.failures)
            for outcome in OUTCOMES:
                total.add_metric([status.profile, outcome], self._refresh_counters.refreshes[status.profile, outcome])
        interruptions = counter(
            "refresh_interruptions",
            "Attempts that were interrupted for a server that may answer quickly. They began again, and did not fail.",
            ["profile"],
        )
        for status in statuses:
            interruptions.add_metric([status.profile], self._refresh_counters.interruptions[status.profile])
        yield from (total, failures, interruptions)

    def _refreshes(self, statuses: list[Status]) -> Iterator[Metric]:
        causes = counter(
            "refresh_failures",
            "Failed attempts, by stage and the cloud's error code; without a code, its HTTP status or the outcome.",
            ["profile", "stage", "code"],
        )
        present = {status.profile for status in statuses}
        for (profile, stage, code), count in list(self._refresh_counters.failures.items()):
            if profile in present:
                causes.add_metric([profile, stage, code], count)
        last = gauge("last_refresh_timestamp_seconds", "Unix time of the last successful refresh.", ["profile"])
        for status in statuses:
            if status.profile in self._refresh_counters.last_refresh:
                last.add_metric([status.profile], self._refresh_counters.last_refresh[status.profile])
        stages = histogram(
            "refresh_duration_seconds",
            "Duration of each stage of a refresh that succeeded or failed.",
            ["profile", "stage"],
        )
        for labels, values in list(self._refresh_counters.stages.items()):
            add_histogram(stages, labels, values)
        ends = gauge(
            "identity_not_after_timestamp_seconds",
            "Unix time at which a certificate or token of the identity expires.",
            ["profile", "kind"],
        )
        for (profile, kind), instant in list(self._refresh_counters.identity_expiries.items()):
            if profile in present:  # the expiry of a removed profile would raise a false alert
                ends.add_metric([profile, kind], instant)
        yield from (causes, last, stages, ends)

    def _requests(self) -> Iterator[Metric]:
        total = counter(
            "requests",
            "Responses by listener, endpoint, status code and profile.",
            ["listener", "endpoint", "code", "profile"],
        )
        for (listener, endpoint, code, profile), count in list(self._counters.requests.items()):
            total.add_metric([listener, endpoint, str(code), profile], count)
        seconds = histogram(
            "request_duration_seconds", "Seconds from the complete request to its response.", ["listener", "endpoint"]
        )
        for labels, values in list(self._counters.durations.items()):
            add_histogram(seconds, labels, values)
        denied = counter("denied", "Refused requests, by reason.", ["reason"])
        for reason, count in list(self._counters.denied.items()):
            denied.add_metric([reason], count)
        yield from (total, seconds, denied)

    def _process(self) -> Iterator[Metric]:
        offset = gauge(
            "clock_offset_seconds",
            "The cloud's clock minus this machine's, by the last Date header that is not absurd.",
            [],
        )
        if self._refresh_counters.clock_offset is not None:
            offset.add_metric([], self._refresh_counters.clock_offset)
        loaded = gauge("config_reload_success", "1 if the last reload of the configuration succeeded, else 0.", [])
        loaded.add_metric([], 1 if self._reloaded else 0)
        loaded_at = gauge(
            "config_reload_timestamp_seconds", "Unix time at which the configuration in use was read.", []
        )
        loaded_at.add_metric([], self._loaded_at)
        build = gauge("build_info", "Always 1; the version is a label.", ["version"])
        build.add_metric([self._version], 1)
        tls = gauge(
            "tls_verification_disabled", "1 for a profile that does not verify its token endpoint's TLS.", ["profile"]
        )
        for profile in self._unverified_tls:
            tls.add_metric([profile], 1)
        trials = gauge(
            "profile_change_pending", "1 for a profile whose changed settings have no session yet.", ["profile"]
        )
        for profile in self._on_trial:
            trials.add_metric([profile], 1)
        yield from (offset, loaded, loaded_at, build, tls, trials)
