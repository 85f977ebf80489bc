"""The metrics as a scrape shows them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.core.values import STATES, State, Status
from app.observe.counters import Histogram, RefreshCounters, RequestCounters
from app.observe.exposition import CONTENT_TYPE, exposition
from app.serve.metrics import SidecarCollector

from ..clock import Clock


@dataclass
class FixedSource:
    """A source that reports one status; the collector reads nothing else of it."""

    status: Status


def status(profile: str, state: State, expires_at: float | None = None, left: float = 0, failures: int = 0) -> Status:
    """Return the status of a required profile."""
    return Status(profile, True, state, expires_at, left, None, failures, None)


def scraped(clock: Clock, *statuses: Status) -> dict[tuple[str, ...], float]:
    """Return the samples of the profiles by name and label values."""
    collector = SidecarCollector(
        [FixedSource(status) for status in statuses],
        RequestCounters(clock.time),
        RefreshCounters(clock.time),
        version="1",
        loaded_at=0,
    )
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(exposition(collector).decode())
        for sample in family.samples
    }


@pytest.mark.parametrize("state", STATES)
def test_a_profile_is_in_exactly_one_state(clock: Clock, state: State) -> None:
    """`profile_state` is 1 for the present state and 0 for each of the others."""
    samples = scraped(clock, status("default", state))

    states = {key[2]: value for key, value in samples.items() if key[0] == "idaas_sidecar_profile_state"}
    assert states == {name: float(name == state) for name in STATES}


def test_remaining_lifetime_is_zero_without_a_session(clock: Clock) -> None:
    """Alerts compare the remaining lifetime; the expiry is absent rather than invented."""
    samples = scraped(
        clock, status("held", "fresh", expires_at=5000.0, left=4000.0), status("empty", "starting", failures=3)
    )

    assert samples["idaas_sidecar_credential_remaining_seconds", "held"] == 4000
    assert samples["idaas_sidecar_credential_remaining_seconds", "empty"] == 0
    assert samples["idaas_sidecar_credential_expiry_timestamp_seconds", "held"] == 5000
    assert ("idaas_sidecar_credential_expiry_timestamp_seconds", "empty") not in samples
    assert samples["idaas_sidecar_refresh_consecutive_failures", "empty"] == 3


def full_scrape() -> str:
    """Return a scrape of two profiles in which every metric has a value."""
    requests, refreshes = RequestCounters(lambda: 9_000.0), RefreshCounters(lambda: 9_000.0)
    requests.requests["credentials", "healthz", 200, ""] += 2
    requests.served("default", True)
    requests.denied["Host"] += 3
    requests.durations["credentials", "healthz"] = Histogram((0.001, 0.1))
    for seconds in (0.0005, 0.0015, 0.002, 5.0):
        requests.durations["credentials", "healthz"].add(seconds)
    refreshes.refreshes["default", "success"] += 4
    refreshes.refreshes["p2", "refused"] += 5
    refreshes.failures["p2", "exchange", "NoPermission"] += 5
    refreshes.interruptions["p2"] += 6
    refreshes.interruptions["gone"] += 1
    refreshes.failures["gone", "exchange", "NoPermission"] += 1
    refreshes.last_refresh["default"] = 8_000.0
    refreshes.last_refresh["gone"] = 7_000.0
    refreshes.stages["default", "token"] = Histogram((0.5,))
    refreshes.stages["default", "token"].add(0.25)
    refreshes.identity_expiries["default", "certificate"] = 99_000.0
    refreshes.identity_expiries["gone", "certificate"] = 98_000.0
    refreshes.clock_offset = 1.5
    collector = SidecarCollector(
        [
            FixedSource(status("default", "fresh", expires_at=12_000.0, left=3_000.0)),
            FixedSource(status("p2", "denied", failures=5)),
        ],
        requests,
        refreshes,
        version="1.2",
        loaded_at=6_000.0,
        reloaded=False,
        on_trial=["p2"],
        unverified_tls=["default"],
    )
    return exposition(collector).decode()


def test_scrape_has_every_metric() -> None:
    """A scrape has each metric with its type, its help, its labels and its values, as in scrape.txt."""
    expected = (Path(__file__).parent / "scrape.txt").read_text()

    assert list(text_string_to_metric_families(full_scrape())) == list(text_string_to_metric_families(expected))


def test_scrape_of_a_new_process(clock: Clock) -> None:
    """Before the first request, refresh and reload, optional samples are absent, and the reload counts as good."""
    samples = scraped(clock, status("default", "starting"))

    assert samples["idaas_sidecar_config_reload_success",] == 1
    assert samples["idaas_sidecar_config_reload_timestamp_seconds",] == 0
    absent = ("clock_offset", "tls_verification", "profile_change", "last_", "identity", "requests", "denied")
    assert not [key for key in samples if key[0].startswith(tuple(f"idaas_sidecar_{name}" for name in absent))]


def test_content_type() -> None:
    """The content type is that of the Prometheus text format."""
    assert CONTENT_TYPE.startswith(b"text/plain; version=")
