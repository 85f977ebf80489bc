"""Numbers and lines: what is counted, what is exposed, and what a log line may hold."""

from __future__ import annotations

import io
import json
import logging
import tracemalloc

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.core.model import (
    ClockRead,
    Credentials,
    IdentityEnds,
    Refreshed,
    RefreshFailed,
    Refused,
    StageTimed,
    Unkept,
    Unreachable,
    Warned,
)
from app.observe.counters import Histogram, Ledger, Traffic, outcome
from app.observe.log import Bridge, Log
from app.serve.metrics import SidecarCollector, exposition

from ..clock import Clock

SESSION = Credentials("STS.id", "the-secret", "the-token", issued_at=0, expires_at=3600, request_id="R-1")


class Lines:
    """A log and what it wrote."""

    def __init__(self, clock: Clock, *, level: str = "info", json_lines: bool = True) -> None:
        self.stream = io.StringIO()
        self.log = Log(self.stream, level=level, json_lines=json_lines, now=clock.time)

    @property
    def events(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


def test_histogram_is_cumulative(clock: Clock) -> None:
    """Observations land in the right buckets of the exposition, and in its sum and count."""
    ledger = Ledger(clock.time)
    for seconds in (0.01, 0.05, 0.3, 99.0):
        ledger.observe(StageTimed("default", "token", seconds))
    text = exposition(collector(clock, ledger)).decode()

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


def collector(clock: Clock, ledger: Ledger) -> SidecarCollector:
    return SidecarCollector([], Traffic(clock.time), ledger, version="1", loaded_at=0, unverified_tls=["x"])


def test_every_kind_of_event_is_counted(clock: Clock) -> None:
    """Successes, failures by kind, the clock and the identity's end are all kept."""
    ledger = Ledger(clock.time)
    for event in (
        Refreshed("default", SESSION, 100.0, 0.1),
        RefreshFailed("default", Unreachable("x"), 1, 1.0, 0.1),
        RefreshFailed("default", Refused("x", status=401, code="x"), 2, 1.0, 0.1),
        RefreshFailed("default", RuntimeError("x"), 3, 1.0, 0.1),
        ClockRead(2.5),
        IdentityEnds("default", "tokenFile", 99.0),
        Warned("default", "x"),
    ):
        ledger.observe(event)

    assert ledger.refreshes == {
        ("default", "success"): 1,
        ("default", "unreachable"): 1,
        ("default", "refused"): 1,
        ("default", "internal"): 1,
    }
    assert ledger.clock_offset == 2.5
    assert ledger.identity_ends == {("default", "tokenFile"): 99.0}


def test_outcomes_are_a_closed_set() -> None:
    """An outcome is one of a few words, whatever went wrong."""
    errors = [Unreachable("x"), Refused("x", status=1, code="x"), ValueError("x")]

    assert [outcome(error) for error in errors] == ["unreachable", "refused", "internal"]


def test_a_bound_belongs_to_its_bucket() -> None:
    """Prometheus's buckets include their upper bound."""
    histogram = Histogram((1.0, 2.0))
    for value in (1.0, 1.5, 2.0, 2.1):
        histogram.add(value)

    assert histogram.counts == [1, 2, 1]


def test_the_audit_line_of_an_issue(clock: Clock) -> None:
    """It names profile, identity, role, session, AccessKeyId, expiry and request id, and nothing more."""
    lines = Lines(clock)
    lines.log.describe = lambda _: {"identity": "idaas", "role": "acs:…", "session": "pod-1"}
    lines.log.observe(Refreshed("default", SESSION, 100.0, 0.1))

    assert lines.events == [
        {
            "time": "2026-01-02T03:04:05Z",
            "level": "info",
            "event": "credentials_issued",
            "profile": "default",
            "identity": "idaas",
            "role": "acs:…",
            "session": "pod-1",
            "access_key_id": "STS.id",
            "expires_at": "1970-01-01T01:00:00Z",
            "next_refresh_at": "1970-01-01T00:01:40Z",
            "sts_request_id": "R-1",
            "seconds": 0.1,
        }
    ]


def test_a_foreign_exception_shows_its_type_and_frames_alone(clock: Clock) -> None:
    """A bug's text may quote anything: the line has its type, the debug line has places, neither has words."""
    lines = Lines(clock, level="debug")
    try:
        raise ValueError("the-secret")
    except ValueError as error:
        lines.log.observe(RefreshFailed("default", error, 1, 1.0, 0.1))

    assert [event["event"] for event in lines.events] == ["refresh_failed", "traceback"]
    assert "the-secret" not in lines.stream.getvalue()
    assert lines.events[0]["error"] == "ValueError"


def test_a_mismatch_is_said_once(clock: Clock) -> None:
    """The same warning at every refresh would be noise."""
    lines = Lines(clock)
    for _ in range(3):
        lines.log.observe(Warned("default", "iss differs"))

    assert len(lines.events) == 1


def test_the_caches_trouble_has_its_own_name(clock: Clock) -> None:
    """What the cache cannot do is said as often as it is told, of the profile where it is one's alone."""
    lines = Lines(clock)
    for event in (Unkept("", "full"), Unkept("p2", "damaged"), Unkept("", "full")):
        lines.log.observe(event)

    assert [(event["event"], event.get("profile"), event["message"]) for event in lines.events] == [
        ("cache_unusable", None, "full"),
        ("cache_unusable", "p2", "damaged"),
        ("cache_unusable", None, "full"),
    ]


def test_what_is_said_once_is_not_remembered_for_ever(clock: Clock) -> None:
    """A warning that quotes something new each time takes no more memory than a thousand of them."""
    lines = Lines(clock)
    tracemalloc.start()
    try:
        for number in range(10_000):
            if number == 2_000:
                before = tracemalloc.get_traced_memory()[0]
            lines.log.observe(Warned("default", f"the token's sub is {number:0200}"))
            lines.stream.seek(0)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()

    assert grown < 500_000


def test_the_clock_is_warned_about_when_it_begins_to_differ(clock: Clock) -> None:
    """An offset above a minute is said once, and again only after it had gone."""
    lines = Lines(clock)
    for offset in (5.0, 90.0, 95.0, 3.0, -120.0):
        lines.log.observe(ClockRead(offset))

    assert [event["seconds"] for event in lines.events] == [90, -120]


def test_levels(clock: Clock) -> None:
    """What is below the level is not written."""
    lines = Lines(clock, level="error")
    lines.log.write("warning", "x")
    lines.log.write("error", "y")

    assert [event["event"] for event in lines.events] == ["y"]


def test_text_for_people(clock: Clock) -> None:
    """On a terminal a line is time, level, event and fields, quoted where they have spaces."""
    lines = Lines(clock, json_lines=False)
    lines.log.write("info", "listening", url="http://127.0.0.1:1", message="two words", absent=None)

    assert lines.stream.getvalue() == '03:04:05 INFO    listening url=http://127.0.0.1:1 message="two words"\n'


def test_a_line_is_one_line(clock: Clock) -> None:
    """A value with a line break cannot forge a second line, in either form."""
    for json_lines in (True, False):
        lines = Lines(clock, json_lines=json_lines)
        lines.log.write("info", "x", message="a\nb")
        assert lines.stream.getvalue().count("\n") == 1


def test_a_reader_that_left_does_not_end_the_service(clock: Clock) -> None:
    """When nobody reads stderr any more, logging is silent instead of raising."""
    lines = Lines(clock)
    lines.stream.close()

    assert lines.log.write("info", "x") is None


def test_libraries_speak_through_the_bridge(clock: Clock) -> None:
    """A library's warning becomes an event of ours; words are shown only of the library whose words we know."""
    lines = Lines(clock)
    bridge = Bridge(lines.log)
    for name in ("uvicorn.error", "httpx"):
        bridge.emit(logging.LogRecord(name, logging.WARNING, "f", 1, "the words", (), None))

    assert [(event["logger"], event.get("message")) for event in lines.events] == [
        ("uvicorn.error", "the words"),
        ("httpx", None),
    ]
