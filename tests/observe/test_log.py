"""The log: the line of each event, and what a line may contain."""

from __future__ import annotations

import io
import json
import logging
import tracemalloc

from app.core.events import ClockRead, Refreshed, RefreshFailed, StoreFailed, Warned
from app.core.values import Credentials
from app.observe import log_events
from app.observe.event_log import EventLog
from app.observe.library_log import LibraryHandler
from app.observe.log import Log

from ..clock import Clock

SESSION = Credentials("STS.id", "the-secret", "the-token", issued_at=0, expires_at=3600, request_id="R-1")
PROFILE = {"identity": "idaas", "role": "acs:…", "session": "pod-1"}


class Lines:
    """A log in memory and its lines."""

    def __init__(self, clock: Clock, *, level: str = "info", json_lines: bool = True) -> None:
        self.stream = io.StringIO()
        self.log = Log(self.stream, level=level, json_lines=json_lines, now=clock.time)
        self.event_log = EventLog(self.log, lambda _profile: PROFILE)

    @property
    def events(self) -> list[dict[str, object]]:
        """The lines as JSON objects."""
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


def test_issue_has_an_audit_line(clock: Clock) -> None:
    """The line has profile, identity, role, session, AccessKeyId, expiry and request id, and nothing else."""
    lines = Lines(clock)
    lines.event_log.observe(Refreshed("default", SESSION, 100.0, 0.1))

    assert lines.events == [
        {
            "timestamp": "2026-01-02T03:04:05.000Z",
            "level": "info",
            "event": "credentials_issued",
            "message": "the profile has new credentials",
            "profile": "default",
            **PROFILE,
            "access_key_id": "STS.id",
            "expires_at": "1970-01-01T01:00:00Z",
            "next_refresh_at": "1970-01-01T00:01:40Z",
            "sts_request_id": "R-1",
            "seconds": 0.1,
        }
    ]


def test_unexpected_exception_shows_its_type_and_frames(clock: Clock) -> None:
    """The line has the exception's type, the debug line its frames; neither has its text, which may quote a secret."""
    lines = Lines(clock, level="debug")
    try:
        raise ValueError("the-secret")
    except ValueError as error:
        lines.event_log.observe(RefreshFailed("default", error, 1, 1.0, 0.1))

    assert [event["event"] for event in lines.events] == ["refresh_failed", "traceback"]
    assert "the-secret" not in lines.stream.getvalue()
    assert lines.events[0]["error"] == "ValueError"


def test_repeated_warning_is_logged_once(clock: Clock) -> None:
    """A warning that repeats at every refresh is logged once."""
    lines = Lines(clock)
    for _ in range(3):
        lines.event_log.observe(Warned("default", "iss differs", "IDS-331"))

    assert len(lines.events) == 1


def test_store_failures_have_their_own_events(clock: Clock) -> None:
    """A failure of the cache or of a credential file is logged each time, with the profile if it concerns only one."""
    lines = Lines(clock)
    for event in (StoreFailed("", "full"), StoreFailed("p2", "damaged"), StoreFailed("p2", "full", "files")):
        lines.event_log.observe(event)

    assert [(event["event"], event.get("profile"), event["message"]) for event in lines.events] == [
        ("cache_unusable", None, "full"),
        ("cache_unusable", "p2", "damaged"),
        ("files_unusable", "p2", "full"),
    ]


def test_memory_for_logged_warnings_is_bounded(clock: Clock) -> None:
    """After 2 000 different warnings, 8 000 more take less than 500 kB of memory."""
    lines = Lines(clock)
    tracemalloc.start()
    try:
        for number in range(10_000):
            if number == 2_000:
                before = tracemalloc.get_traced_memory()[0]
            lines.event_log.observe(Warned("default", f"the token's sub is {number:0200}", "IDS-332"))
            lines.stream.seek(0)
        growth = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()

    assert growth < 500_000


def test_clock_offset_is_logged_once_until_it_ends(clock: Clock) -> None:
    """An offset above a minute is logged once, and again only after it has ended."""
    lines = Lines(clock)
    for offset in (5.0, 90.0, 95.0, 3.0, -120.0):
        lines.event_log.observe(ClockRead("sts.test:443", offset))

    assert [event["seconds"] for event in lines.events] == [90, -120]


def test_lines_below_the_level_are_not_written(clock: Clock) -> None:
    """A line below the level is not written, and a caller may raise the level of one line."""
    lines = Lines(clock, level="error")
    lines.log.write(log_events.REFRESH_FAILED)
    lines.log.write(log_events.REFRESH_FAILED, "", "error")

    assert [event["level"] for event in lines.events] == ["error"]


def test_text_format(clock: Clock) -> None:
    """In text format a line is time, level, event, message and fields; values with spaces are quoted."""
    lines = Lines(clock, json_lines=False)
    lines.log.write(log_events.LISTENING, ops="http://127.0.0.1:1", config="two words", admin=None)

    assert lines.stream.getvalue() == (
        '03:04:05.000 INFO    listening: all listeners accept connections ops=http://127.0.0.1:1 config="two words"\n'
    )


def test_line_break_in_a_value_is_escaped(clock: Clock) -> None:
    """A line break in a value or a message cannot forge a second line, in JSON and in text."""
    for json_lines in (True, False):
        lines = Lines(clock, json_lines=json_lines)
        lines.log.write(log_events.CONFIGURATION, "a\nb", config="a\nb")
        assert lines.stream.getvalue().count("\n") == 1


def test_closed_stream_is_ignored(clock: Clock) -> None:
    """Writing to a closed standard error raises no error."""
    lines = Lines(clock)
    lines.stream.close()

    assert lines.log.write(log_events.STOPPED) is None


def test_library_warning_becomes_an_event(clock: Clock) -> None:
    """A library's warning becomes an event, with its text only for known loggers."""
    lines = Lines(clock)
    handler = LibraryHandler(lines.log)
    for name in ("uvicorn.error", "httpx"):
        handler.emit(logging.LogRecord(name, logging.WARNING, "f", 1, "the words", (), None))

    assert [(event["logger"], event.get("text")) for event in lines.events] == [
        ("uvicorn.error", "the words"),
        ("httpx", None),
    ]


def test_every_event_is_documented() -> None:
    """Each event has a level, described fields, and a message or a description of its message."""
    for event in log_events.EVENTS.values():
        assert event.level in log_events.LEVELS
        assert all(event.fields.values())
        assert event.message or event.meaning
