"""The counters behind the metrics, and their exposition."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.core import wording
from app.core.errors import ConfigError, NotThereYet, Refused, Unreachable
from app.core.events import ClockRead, IdentityExpiry, Refreshed, RefreshFailed, StageTimed, Warned
from app.core.values import Credentials
from app.observe.counters import MOST_CODES, Histogram, RefreshCounters, RequestCounters, outcome
from app.observe.exposition import exposition
from app.serve import metrics
from app.serve.metrics import SidecarCollector

from ..clock import Clock

SESSION = Credentials("STS.id", "the-secret", "the-token", issued_at=0, expires_at=3600, request_id="R-1")


def test_histogram_is_cumulative(clock: Clock) -> None:
    """Durations are counted in the right buckets, and in the sum and the count of the exposition."""
    refreshes = RefreshCounters(clock.time)
    for seconds in (0.01, 0.05, 0.3, 99.0):
        refreshes.observe(StageTimed("default", "token", seconds))
    collector = SidecarCollector(
        [], RequestCounters(clock.time), refreshes, version="1", loaded_at=0, unverified_tls=["x"]
    )
    text = exposition(collector).decode()

    samples = {
        (sample.name, sample.labels.get("le")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if family.name == "idaas_sidecar_refresh_duration_seconds"
    }
    assert samples["idaas_sidecar_refresh_duration_seconds_bucket", "0.05"] == 2
    assert samples["idaas_sidecar_refresh_duration_seconds_bucket", "+Inf"] == 4
    assert samples["idaas_sidecar_refresh_duration_seconds_count", None] == 4
    assert samples["idaas_sidecar_refresh_duration_seconds_sum", None] == pytest.approx(99.36)


def test_each_event_is_counted(clock: Clock) -> None:
    """Successes, failures by kind, the clock offset and the identity's expiry are recorded."""
    refreshes = RefreshCounters(clock.time)
    for event in (
        Refreshed("default", SESSION, 100.0, 0.1),
        RefreshFailed("default", Unreachable("x"), 1, 1.0, 0.1),
        RefreshFailed("default", Refused("x", status=401, code="x"), 2, 1.0, 0.1),
        RefreshFailed("default", RuntimeError("x"), 3, 1.0, 0.1),
        ClockRead("sts.test:443", 2.5),
        IdentityExpiry("default", "tokenFile", 99.0),
        Warned("default", "x", "IDS-331"),
    ):
        refreshes.observe(event)

    assert refreshes.refreshes == {
        ("default", "success"): 1,
        ("default", "unreachable"): 1,
        ("default", "refused"): 1,
        ("default", "internal"): 1,
    }
    assert refreshes.failures == {
        ("default", "", "unreachable"): 1,
        ("default", "", "x"): 1,
        ("default", "", "internal"): 1,
    }
    assert refreshes.clock_offset == 2.5
    assert refreshes.identity_expiries == {("default", "tokenFile"): 99.0}


def test_failures_have_stage_and_code(clock: Clock) -> None:
    """The code is the cloud's, else the status, else the outcome; of a server that makes up codes, 64 are labels."""
    refreshes = RefreshCounters(clock.time)
    error = Refused("x", status=403, code="NoPermission")
    error.stage = "exchange"
    without_code = Unreachable("x", status=502)
    without_code.stage = "token"
    for failed in (error, error, without_code, *(Unreachable("x", code=f"c{number}") for number in range(70)), error):
        refreshes.observe(RefreshFailed("default", failed, 1, 1.0, 0.1))

    assert refreshes.failures["default", "exchange", "NoPermission"] == 3
    assert refreshes.failures["default", "token", "502"] == 1
    assert refreshes.failures["default", "", "c61"] == 1
    assert refreshes.failures["default", "", "other"] == 8
    assert len(refreshes.failures) == MOST_CODES + 1


def test_outcome_is_one_of_a_fixed_set() -> None:
    """The outcome of any error is one of a fixed set of words."""
    errors = [
        *(Unreachable("x"), Refused("x", status=1, code="x"), ConfigError("x"), NotThereYet("x")),
        ValueError("x"),
    ]
    found = [outcome(error) for error in errors]

    assert found == ["unreachable", "refused", "config", "waiting", "internal"]
    assert {"success", *found} == set(metrics.OUTCOMES) == set(wording.OUTCOMES)


def test_bucket_includes_its_upper_bound() -> None:
    """A bucket includes its upper bound, as Prometheus defines it."""
    histogram = Histogram((1.0, 2.0))
    for value in (1.0, 1.5, 2.0, 2.1):
        histogram.add(value)

    assert histogram.counts == [1, 2, 1]


def test_absurd_clock_is_not_the_offset() -> None:
    """A server whose clock is absurd does not hide the offset of the others; alone, it is shown."""
    refreshes = RefreshCounters(lambda: 0.0)
    shown = []
    for offset in (1e9, 2e9, 2.5, -1e9, 90.0):
        refreshes.observe(ClockRead("sts.test:443", offset))
        shown.append(refreshes.clock_offset)

    assert shown == [1e9, 2e9, 2.5, 2.5, 90.0]
