"""The log: which lines events become, and what a line may hold."""

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
    """A log and what it wrote."""

    def __init__(self, clock: Clock, *, level: str = "info", json_lines: bool = True) -> None:
        self.stream = io.StringIO()
        self.log = Log(self.stream, level=level, json_lines=json_lines, now=clock.time)
        self.events_log = EventLog(self.log, lambda _profile: PROFILE)

    @property
    def events(self) -> list[dict[str, object]]:
        """The lines as objects."""
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


def test_the_audit_line_of_an_issue(clock: Clock) -> None:
    """It names profile, identity, role, session, AccessKeyId, expiry and request id, and nothing more."""
    lines = Lines(clock)
    lines.events_log.observe(Refreshed("default", SESSION, 100.0, 0.1))

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


def test_a_foreign_exception_shows_only_its_type_and_frames(clock: Clock) -> None:
    """A bug's text may quote a secret: the line has its type, the debug line has places, neither has its text."""
    lines = Lines(clock, level="debug")
    try:
        raise ValueError("the-secret")
    except ValueError as error:
        lines.events_log.observe(RefreshFailed("default", error, 1, 1.0, 0.1))

    assert [event["event"] for event in lines.events] == ["refresh_failed", "traceback"]
    assert "the-secret" not in lines.stream.getvalue()
    assert lines.events[0]["error"] == "ValueError"


def test_a_mismatch_is_logged_once(clock: Clock) -> None:
    """The same warning at every refresh would be noise."""
    lines = Lines(clock)
    for _ in range(3):
        lines.events_log.observe(Warned("default", "iss differs"))

    assert len(lines.events) == 1


def test_the_caches_trouble_has_its_own_name(clock: Clock) -> None:
    """A failure of the cache is logged as often as it is reported, with the profile where it concerns one only."""
    lines = Lines(clock)
    for event in (StoreFailed("", "full"), StoreFailed("p2", "damaged"), StoreFailed("p2", "full", "files")):
        lines.events_log.observe(event)

    assert [(event["event"], event.get("profile"), event["message"]) for event in lines.events] == [
        ("cache_unusable", None, "full"),
        ("cache_unusable", "p2", "damaged"),
        ("files_unusable", "p2", "full"),
    ]


def test_logged_warnings_are_not_remembered_for_ever(clock: Clock) -> None:
    """A warning that quotes something new each time takes no more memory than a thousand of them."""
    lines = Lines(clock)
    tracemalloc.start()
    try:
        for number in range(10_000):
            if number == 2_000:
                before = tracemalloc.get_traced_memory()[0]
            lines.events_log.observe(Warned("default", f"the token's sub is {number:0200}"))
            lines.stream.seek(0)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()

    assert grown < 500_000


def test_the_clock_is_warned_about_when_it_begins_to_differ(clock: Clock) -> None:
    """An offset above a minute is logged once, and again only after it was gone."""
    lines = Lines(clock)
    for offset in (5.0, 90.0, 95.0, 3.0, -120.0):
        lines.events_log.observe(ClockRead(offset))

    assert [event["seconds"] for event in lines.events] == [90, -120]


def test_levels(clock: Clock) -> None:
    """A line below the level is not written; a caller may raise the level of one line."""
    lines = Lines(clock, level="error")
    lines.log.write(log_events.REFRESH_FAILED)
    lines.log.write(log_events.REFRESH_FAILED, "", "error")

    assert [event["level"] for event in lines.events] == ["error"]


def test_text_for_people(clock: Clock) -> None:
    """On a terminal a line is time, level, event, sentence and fields, which are quoted where they have spaces."""
    lines = Lines(clock, json_lines=False)
    lines.log.write(log_events.LISTENING, ops="http://127.0.0.1:1", config="two words", admin=None)

    assert lines.stream.getvalue() == (
        '03:04:05.000 INFO    listening: all listeners accept connections ops=http://127.0.0.1:1 config="two words"\n'
    )


def test_a_line_is_one_line(clock: Clock) -> None:
    """A value or a message with a line break cannot forge a second line, in either form."""
    for json_lines in (True, False):
        lines = Lines(clock, json_lines=json_lines)
        lines.log.write(log_events.CONFIGURATION, "a\nb", config="a\nb")
        assert lines.stream.getvalue().count("\n") == 1


def test_a_reader_that_left_does_not_end_the_service(clock: Clock) -> None:
    """When standard error has no reader any more, logging is silent instead of raising."""
    lines = Lines(clock)
    lines.stream.close()

    assert lines.log.write(log_events.STOPPED) is None


def test_warnings_of_libraries(clock: Clock) -> None:
    """A library's warning becomes an event; its text is shown only for known loggers."""
    lines = Lines(clock)
    handler = LibraryHandler(lines.log)
    for name in ("uvicorn.error", "httpx"):
        handler.emit(logging.LogRecord(name, logging.WARNING, "f", 1, "the words", (), None))

    assert [(event["logger"], event.get("text")) for event in lines.events] == [
        ("uvicorn.error", "the words"),
        ("httpx", None),
    ]


def test_every_event_is_documented() -> None:
    """Each event has a level, fields with a meaning, and a sentence, or a meaning that says what its message names."""
    for event in log_events.EVENTS.values():
        assert event.level in log_events.LEVELS
        assert all(event.fields.values())
        assert event.message or event.meaning
