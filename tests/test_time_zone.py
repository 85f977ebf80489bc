"""Every time that the service shows, writes or reads is UTC, whatever the time zone of the machine."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

import httpx
import pytest

from app.config.loader import Loaded
from app.config.settings import Profile
from app.core.events import ClockRead, Event, Refreshed
from app.core.formats import FORMATS
from app.core.values import Credentials, Status
from app.exchange.sts import instant
from app.observe.event_log import EventLog
from app.observe.log import Log
from app.observe.recent_callers import Caller, RecentCallers
from app.refresh.profiles import Profiles
from app.reload import Reloader, ReloadStatus
from app.report import Observed, Report
from app.serve.audit import Audit
from app.serve.peers.peer import UNKNOWN_PEER
from app.upstream.client import Limits, UpstreamClient

from .clock import Clock

SESSION = Credentials("STS.id", "secret", "token", issued_at=1_767_323_045.9, expires_at=1_767_326_645.0)
ISSUED, EXPIRES, REFRESH = "2026-01-02T03:04:05Z", "2026-01-02T04:04:05Z", "2026-01-02T03:50:00Z"
NEXT_REFRESH = 1_767_325_800.0


@pytest.fixture(autouse=True)
def china_standard_time() -> Iterator[None]:
    """The time zone of Asia/Shanghai, in the form that needs no time zone database."""
    with pytest.MonkeyPatch.context() as environ:
        environ.setenv("TZ", "CST-8")
        time.tzset()
        assert time.localtime(0).tm_hour == 8
        yield
    time.tzset()


def times(text: str) -> list[str]:
    """Return all dates with a time, with their zone, in order."""
    return re.findall(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[^\",<\s]*[^\",<\s.]", text)


@pytest.mark.parametrize(
    ("name", "expected"), [("uri", [EXPIRES, ISSUED]), ("external", [EXPIRES]), ("json", [EXPIRES])]
)
def test_credentials_end_in_utc(name: str, expected: list[str]) -> None:
    """Credentials show their expiry in UTC in every format that has one."""
    assert times(FORMATS[name](SESSION)) == expected


def test_log_lines_are_in_utc(clock: Clock) -> None:
    """The time of a line, the expiry of a session and its next refresh are in UTC."""
    stream = io.StringIO()
    log = Log(stream, level="info", json_lines=True, now=lambda: clock.time() + 0.25)
    EventLog(log, lambda _profile: {}).observe(Refreshed("default", SESSION, NEXT_REFRESH, 0.1))
    Audit(log, lambda _profile: {}, lambda *_: None, RecentCallers(lambda: 0.0)).served(
        "credentials", "default", SESSION, UNKNOWN_PEER
    )

    written = "2026-01-02T03:04:05.250Z"
    assert times(stream.getvalue()) == [written, EXPIRES, REFRESH, written, EXPIRES]


def test_text_lines_are_in_utc(clock: Clock) -> None:
    """The lines of a terminal begin with the time of day in UTC."""
    stream = io.StringIO()
    log = Log(stream, level="info", json_lines=False, now=clock.time)
    EventLog(log, lambda _profile: {}).observe(Refreshed("default", SESSION, NEXT_REFRESH, 0.1))

    assert stream.getvalue().startswith("03:04:05.000 INFO ")


@dataclass
class FixedRefresher:
    """The refresher of one profile, with a status that does not change."""

    status: Status
    last_error: None = None

    @property
    def profile(self) -> str:
        """The name of the profile."""
        return self.status.profile


@dataclass
class FixedProfiles:
    """The one profile of a sidecar, in the form that the report reads."""

    serving: Profile
    refreshers: list[FixedRefresher]

    def profile(self, _name: str) -> Profile:
        """Return the profile's configuration."""
        return self.serving

    def trial(self, _name: str) -> None:
        """Return nothing: no configuration is on trial."""


@dataclass
class FixedReloader:
    """A configuration that was read once."""

    loaded: Loaded
    status: ReloadStatus


async def test_status_is_in_utc(loaded: Callable[..., Loaded], clock: Clock) -> None:
    """`/status.json` and the page `/status` show the expiry, the next refresh and the last reload in UTC."""
    config = loaded()
    status = Status("default", True, "fresh", SESSION.expires_at, 3600, NEXT_REFRESH, 0, None, life=3600)
    observed = Observed.by(clock.clocks)
    report = Report(
        cast(Profiles, FixedProfiles(config.settings.profiles["default"], [FixedRefresher(status)])),
        cast(Reloader, FixedReloader(config, ReloadStatus(clock.time()))),
        observed,
        clocks=clock.clocks,
        host="pod",
        listeners=dict,
    )
    observed.attempts.observe(Refreshed("default", SESSION, NEXT_REFRESH, 0.1))
    observed.requests.served("default", below_horizon=False)
    observed.callers.record(Caller("credentials", "default", "", 1000))

    now = ISSUED
    status_json, page = await report.status_response(), await report.page_response(False)
    assert times(status_json.body.decode()) == [now, ISSUED, EXPIRES, REFRESH, now, now, now]
    assert times(page.body.decode()) == [now, EXPIRES, REFRESH, now, now, now, ISSUED, now]


def test_expiration_is_read_as_utc() -> None:
    """The Expiration of STS is in UTC."""
    assert instant(EXPIRES) == SESSION.expires_at


@pytest.mark.parametrize(
    "date",
    [
        "Fri, 02 Jan 2026 03:04:05 GMT",
        "Fri Jan  2 03:04:05 2026",
        "Friday, 02-Jan-26 03:04:05 GMT",
        "Fri, 02 Jan 2026 03:04:05 -0000",
    ],
)
async def test_dates_of_the_cloud_are_read_as_utc(date: str, clock: Clock) -> None:
    """A Date header is in UTC in each of the forms of RFC 9110, also in that of asctime, which names no zone."""
    events: list[Event] = []
    transport = httpx.MockTransport(lambda _: httpx.Response(200, headers={"date": date}, stream=httpx.ByteStream(b"")))
    client = UpstreamClient(transport, limits=Limits(), now=clock.time, observe=events.append)
    await client.get("http://127.0.0.1/")
    await client.aclose()

    assert events == [ClockRead("127.0.0.1:80", 0.5)]
