"""The metrics as a scrape shows them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.core.values import STATES, State, Status
from app.observe.counters import RefreshCounters, RequestCounters
from app.serve.metrics import SidecarCollector, exposition

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
